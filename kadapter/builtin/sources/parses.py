"""Parsed sentences as sources: treebanks of Universal Dependencies, and raw text with an installed parser."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import knowledge_data as kd
from kadapter import ConfigError, Knowledge, KnowledgeSource
from kadapter.builtin.sources.places import place_of

if TYPE_CHECKING:
    from datasets import Dataset


@dataclass(frozen=True)
class ConlluConfig:
    """Options of a treebank.

    Attributes:
        also: name of a further split -> file or folder of another treebank, to be scored beside `test`.
    """

    also: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        taken = sorted({"train", "validation", "test"} & set(self.also))
        if taken:
            raise ConfigError(f"source 'conllu': also gives {', '.join(taken)} a second time; choose another name")
        for name, place in self.also.items():
            if not isinstance(place, str):
                raise ConfigError(f"source 'conllu': also.{name} is {place!r}; it must be the path of a treebank")


class Conllu(KnowledgeSource):
    """Treebanks in the CoNLL-U format, with the splits that their publisher chose."""

    name: ClassVar[str] = "conllu"
    Config: ClassVar[type] = ConlluConfig
    description: ClassVar[str] = "CoNLL-U: a treebank's file, or its folder with train, dev and test files"
    examples: ClassVar[Sequence[Mapping[str, Any]]] = (
        {"path": kd.sample_path("conllu"), "task": {"name": "dependency-heads"}},
    )
    licence: ClassVar[str] = "see the treebank's publisher"

    def load(self, path: Path | None, seed: int) -> Knowledge:
        """Read one file, which is split by sentence, or a folder with the publisher's splits."""
        parts, report = kd.read_published(place_of(self, path), kd.read_conllu, (".conllu",))
        splits = kd.published_splits(parts, kd.by_words, seed)
        for name, place in self.config.also.items():
            splits[name] = _whole(Path(place))
        return Knowledge(splits, report.skipped, self.licence)


def _whole(place: Path) -> Dataset:
    """Read a treebank's file, or all those of its folder."""
    from datasets import concatenate_datasets

    files = [place]
    if place.is_dir():
        files = sorted(path for path in place.iterdir() if path.name.removesuffix(".gz").endswith(".conllu"))
    if not files:
        raise kd.DataError("holds no treebank", "give a folder with files named *.conllu", where=str(place))
    return concatenate_datasets([kd.read_conllu(file).rows for file in files])


@dataclass(frozen=True)
class ParsedTextConfig:
    """Options of parsed text.

    Attributes:
        pipeline: name or folder of an installed spaCy pipeline with a parser.
    """

    pipeline: str = "en_core_web_sm"


def _passages(folder: Path) -> Path:
    """Write a text that the pipeline of the default options can parse, if it is installed."""
    place = folder / "text.txt"
    place.write_text("\n".join(f"Boat {number} left the harbour." for number in range(20)), encoding="utf-8")
    kd.read_parsed_text(place, ParsedTextConfig().pipeline)
    return place


class ParsedText(KnowledgeSource):
    """Raw text that a parser gives its heads: any amount of it, as good as the parser."""

    name: ClassVar[str] = "parsed-text"
    Config: ClassVar[type] = ParsedTextConfig
    description: ClassVar[str] = "raw text, a passage a line, parsed by an installed spaCy pipeline"
    examples: ClassVar[Sequence[Mapping[str, Any]]] = ({"path": _passages, "task": {"name": "dependency-heads"}},)
    licence: ClassVar[str] = "see the text's publisher"

    def load(self, path: Path | None, seed: int) -> Knowledge:
        """Read one file, which is split by sentence, or a folder with train, dev and test files."""
        read = partial(kd.read_parsed_text, pipeline=self.config.pipeline)
        parts, report = kd.read_published(place_of(self, path), read, (".txt",))
        return Knowledge(kd.published_splits(parts, kd.by_words, seed), report.skipped, self.licence)


PARSE_SOURCES: list[type[KnowledgeSource]] = [Conllu, ParsedText]
