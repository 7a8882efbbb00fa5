"""`kadapter inspect`: what a saved adapter, a run, a kind of knowledge or a backbone is, and what a run mixes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from kadapter.cli.options import Json, print_facts, print_json, print_markdown, print_table
from kadapter.errors import ConfigError


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command(name="inspect")(inspect)


def inspect(
    what: Annotated[str, typer.Argument(help="Folder of an adapter or run, installed knowledge, or a backbone.")],
    split: Annotated[str | None, typer.Option(help="Run a run over this split: what do its adapters mix?")] = None,
    text: Annotated[str | None, typer.Option(help="Run a model over this text: what do its adapters mix?")] = None,
    data: Annotated[str | None, typer.Option(help="Where the run's data lies now, with --split.")] = None,
    output: Annotated[Path | None, typer.Option(help="Where attention.json and .png go. Default: the folder.")] = None,
    json: Json = False,
) -> None:
    """Say what something is, without running it; or, with --split or --text, what its adapters mix."""
    _check(split, text, data, output)
    if split is not None or text is not None:
        _print_attention(_watch(what, split, text, data, output), json)
        return
    from kadapter.card import card_parts
    from kadapter.inspection import card_of, inspect

    facts = inspect(what)
    card = card_of(what) if facts.keys() & {"format", "weights for"} else None
    front, text = card_parts(card or "")
    if json:
        print_json({**facts, "card": front} if card else facts)
        return
    print_facts(what, facts)
    print_markdown(text)


def _check(split: str | None, text: str | None, data: str | None, output: Path | None) -> None:
    if split is not None and text is not None:
        raise ConfigError("--split and --text are two questions; ask one at a time")
    if data is not None and split is None:
        raise ConfigError("--data goes with --split: it says where the data of the run lies")
    if output is not None and split is None and text is None:
        raise ConfigError("--output goes with --split or --text: without them nothing is written")


def _watch(what: str, split: str | None, text: str | None, data: str | None, output: Path | None) -> dict[str, Any]:
    from kadapter.watching import watch_split, watch_text

    return watch_text(what, text, output) if text is not None else watch_split(what, str(split), data, output)


def _print_attention(report: dict[str, Any], json: bool) -> None:
    from kadapter.watching import tables

    if json:
        print_json(report)
        return
    for title, columns, rows in tables(report):
        print_table(title, columns, rows)
