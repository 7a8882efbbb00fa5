"""Options by which several commands read a graph."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kadapter.cli.options import parse_assignments
from kadapter.errors import ConfigError

if TYPE_CHECKING:
    from knowledge_data import KnowledgeGraph

Graph = Annotated[Path, typer.Argument(help="File or folder of triples, or with --published the folder of the set.")]
Published = Annotated[str | None, typer.Option(help="codex-s, codex-m, wn18rr, wn18rr-ids, umls, fb15k237 …")]
OnError = Annotated[str, typer.Option("--on-error", help="raise, or skip what cannot be read and count it.")]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", help="How it is read: columns=[a,b,c], format=nt, labels=, types=, relations=FILE …"),
]


@dataclass(frozen=True)
class ReadOptions:
    """How a graph is read; see `knowledge_data.read_graph`."""

    format: str | None = None
    columns: tuple[str, ...] | None = None
    entities: str | None = None
    labels: str | None = None
    aliases: str | None = None
    types: str | None = None
    descriptions: str | None = None
    relations: str | None = None
    source: str = ""
    licence: str = ""


_SIDES = ("entities", "labels", "aliases", "types", "descriptions", "relations")


def read(path: Path, published: str | None, on_error: str, set_: Iterable[str] | None) -> KnowledgeGraph:
    """Read the graph.

    Raises:
        ConfigError: an option is unknown, or goes not with a published set.
        knowledge_data.DataError: as `knowledge_data.read_graph`.
    """
    from kadapter.config import make_config
    from knowledge_data import read_graph, read_published_graph

    said = parse_assignments(set_ or ())
    if isinstance(said.get("columns"), list):
        # Places, counted from 1, are numbers in YAML.
        said["columns"] = [str(column) for column in said["columns"]]
    options = make_config(ReadOptions, said, owner="graph")
    if published is None:
        return read_graph(path, on_error=on_error, **asdict(options))
    if said:
        raise ConfigError(f"--set {next(iter(said))}: a published set says itself how it is read; drop --set")
    return read_published_graph(published, path, on_error=on_error)


def inputs(path: Path, set_: Sequence[str] | None) -> dict[str, str]:
    """Give the files that a graph is read from, for its provenance: role -> path."""
    said: dict[str, Any] = parse_assignments(set_ or ())
    return {"graph": str(path), **{role: str(said[role]) for role in _SIDES if role in said}}
