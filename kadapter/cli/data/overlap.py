"""`kadapter data overlap`: what a training set shares with a probe set."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kadapter.cli.data.reading import OnError
from kadapter.cli.options import Json, print_facts, print_json
from kadapter.errors import ConfigError

if TYPE_CHECKING:
    from knowledge_data import Overlap


def add_to(group: typer.Typer) -> None:
    """Add the command."""
    group.command(name="overlap")(overlap)


def overlap(
    train: Annotated[Path, typer.Argument(help="What is taught: a graph, or a folder of `kadapter data build`.")],
    probe: Annotated[Path, typer.Argument(help="What is asked: the same, or with --kind a probe.")],
    kind: Annotated[str | None, typer.Option(help="The probe as published: bear, lama, lm-kbc or pararel.")] = None,
    by: Annotated[str, typer.Option(help="What is compared: ids, or labels without regard to case.")] = "ids",
    labels: Annotated[str | None, typer.Option(help="Labels of the training graph's entities.")] = None,
    probe_labels: Annotated[str | None, typer.Option("--probe-labels", help="Those of the probe's graph.")] = None,
    on_error: OnError = "raise",
    json: Json = False,
) -> None:
    """Report the pairs and triples that a training set shares with a probe set."""
    from knowledge_data import overlap, probe_facts, read_facts, read_probe

    if by not in ("ids", "labels"):
        raise ConfigError(f"--by {by}: there is nothing of that name to compare; say ids or labels")
    asked = probe_facts(read_probe(kind, probe, on_error).rows) if kind is not None else read_facts(probe, probe_labels)
    found = overlap(read_facts(train, labels), asked, by)  # type: ignore[arg-type]
    print_json(found.as_dict()) if json else _print(found, f"{train} and {probe}, by {by}")


def _print(found: Overlap, title: str) -> None:
    facts = {
        "facts": f"training {found.training:,}, probe {found.probe:,}",
        f"without {found.by}": f"{found.unknown:,}",
        "shared pairs": f"{len(found.pairs):,} of the probe's {found.probe_pairs:,}",
        "shared triples": f"{len(found.triples):,}",
        "such as": ", ".join(" and ".join(pair) for pair in found.pairs[:3]) or "none",
    }
    print_facts(title, facts)
