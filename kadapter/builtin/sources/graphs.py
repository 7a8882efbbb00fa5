"""Graphs as sources: triples and templates, said as they are read; or a data set that was built of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import knowledge_data as kd
from kadapter import ConfigError, Knowledge, KnowledgeSource
from kadapter.builtin.sources.places import place_of

if TYPE_CHECKING:
    from datasets import Dataset

_UNSAID = "see the data's publisher"
_HARBOUR = kd.sample_path("harbour")
_SAID = {"templates": str(_HARBOUR / "templates.yaml"), "labels": str(_HARBOUR / "labels.tsv")}
_RELATIONS = {"name": "relation-classification"}


class Graph(KnowledgeSource):
    """Anybody's graph, said in anybody's templates; its options are those of `knowledge_data.GraphOptions`."""

    name: ClassVar[str] = "graph"
    Config: ClassVar[type] = kd.GraphOptions
    description: ClassVar[str] = "triples (file or folder) and a YAML file of templates: relation -> phrasings"
    examples: ClassVar[Sequence[Mapping[str, Any]]] = (
        {"path": _HARBOUR / "triples.tsv", **_SAID, "task": _RELATIONS},
        {"path": _HARBOUR / "triples.tsv", **_SAID, "objective": "choice", "task": {"name": "multiple-choice"}},
    )

    def load(self, path: Path | None, seed: int) -> Knowledge:
        """Say the graph, true and false, in three splits; what is held out is an option."""
        place, options = place_of(self, path), self.config
        made = kd.graph_rows(place, options, seed)
        origin = {
            "source": str(place),
            "inputs": kd.hash_inputs(place, options),
            "kept": {name: rows.num_rows for name, rows in made.splits.items()},
            "dropped": dict(made.report.skipped),
            "seed": seed,
        }
        recalled = options.split_by == "phrasing"
        return Knowledge(made.splits, made.report.skipped, options.licence or _UNSAID, "", origin, recalled)


def _build(folder: Path) -> Path:
    """Build a data set of the sample graph."""
    kd.build(
        _HARBOUR / "triples.tsv",
        folder / "built",
        kd.GraphOptions(templates=_SAID["templates"], labels=_SAID["labels"]),
    )
    return folder / "built"


@dataclass(frozen=True)
class BuiltConfig:
    """Options of a data set that was built.

    Attributes:
        limit: how many rows of each split to take, the first ones; null takes all.
    """

    limit: int | None = None

    def __post_init__(self) -> None:
        if self.limit is not None and self.limit < 1:
            raise ConfigError(f"source 'built': limit is {self.limit}; it must be 1 or more, or null")


class BuiltFolder(KnowledgeSource):
    """What `kadapter data build` made: rows stay in their files, splits and provenance come along."""

    name: ClassVar[str] = "built"
    Config: ClassVar[type] = BuiltConfig
    description: ClassVar[str] = "folder that `kadapter data build` made"
    examples: ClassVar[Sequence[Mapping[str, Any]]] = ({"path": _build, "task": _RELATIONS},)

    def load(self, path: Path | None, seed: int) -> Knowledge:
        """Open it. The splits are as they were built, whatever the seed."""
        from datasets import DatasetDict

        built = kd.read_built(place_of(self, path))
        said, limit = built.provenance, self.config.limit
        splits = DatasetDict({name: _first(rows, limit) for name, rows in built.splits.items()})
        origin = {name: value for name, value in said.items() if name not in ("files", "key")}
        digits = said["content_hash"] if limit is None else ""
        return Knowledge(splits, said["dropped"], _licence(said), digits, origin)


def _first(rows: Dataset, limit: int | None) -> Dataset:
    return rows if limit is None else rows.select(range(min(limit, rows.num_rows)))


def _licence(provenance: Mapping[str, Any]) -> str:
    said = str(provenance["licence"])
    return _UNSAID if said == "not said" else said


GRAPH_SOURCES: list[type[KnowledgeSource]] = [Graph, BuiltFolder]
