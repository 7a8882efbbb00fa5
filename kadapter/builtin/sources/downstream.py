"""Data sets of downstream tasks as sources: one file, or a folder with the splits as they were published."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import knowledge_data as kd
from kadapter import Knowledge, KnowledgeSource
from kadapter.builtin.sources.places import place_of

if TYPE_CHECKING:
    from datasets import Dataset

    from knowledge_data.split import Group


class Format(NamedTuple):
    """How data of one form is read and split.

    What reads and groups is named, and imported when it is used: it brings `datasets` and `networkx` along.

    Attributes:
        reader: of a file, in `knowledge_data.DOWNSTREAM_READERS`.
        grouping: function of `knowledge_data` that names for each row what it must stay together with.
        suffixes: how the names of data files in a folder end.
    """

    reader: str
    grouping: str
    suffixes: tuple[str, ...]

    def groups(self, rows: Dataset) -> list[Group]:
        """Give the group of each row."""
        return getattr(kd, self.grouping)(rows)


_CONLL = (".txt", ".conll", ".tsv", ".bio", ".annotated")
_TAGGED = Format("tagged", "by_words", _CONLL)
_TYPING = Format("typing", "by_text", _CONLL)


def _sample(reader: str, task: str) -> Sequence[Mapping[str, Any]]:
    return ({"path": kd.sample_path(reader), "task": {"name": task}},)


@dataclass(frozen=True)
class DownstreamConfig:
    """Options of downstream data.

    Attributes:
        limit: how many rows to take of a file, or of each split of a folder; the seed draws them before anything
            is split. None takes all.
    """

    limit: int | None = None


class DownstreamFiles(KnowledgeSource):
    """Rows from one file, split by groups; or from a folder, by what the names of its files say.

    Attributes:
        format: how they are read and split.
        licence: of the data.
    """

    Config: ClassVar[type] = DownstreamConfig
    format: ClassVar[Format]
    licence: ClassVar[str] = "see the data's publisher"

    def load(self, path: Path | None, seed: int) -> Knowledge:
        """Read, draw `limit` rows, and make three splits as `knowledge_data.published_splits` does."""
        read = kd.DOWNSTREAM_READERS[self.format.reader]
        parts, report = kd.read_published(place_of(self, path), read, self.format.suffixes)
        drawn = {name: self._draw(rows, seed) for name, rows in parts.items()}
        return Knowledge(kd.published_splits(drawn, self.format.groups, seed), report.skipped, self.licence)

    def _draw(self, rows: Dataset, seed: int) -> Dataset:
        limit: int | None = self.config.limit
        return rows if limit is None else kd.draw(rows, self.format.groups(rows), seed, limit)


class TaggedWords(DownstreamFiles):
    """Anybody's sentences with BIO tags; no sentence is in two of the splits made here."""

    name: ClassVar[str] = "tagged-words"
    description: ClassVar[str] = "file or folder of CoNLL-style text: a word, a tab or space, a BIO tag"
    examples: ClassVar[Sequence[Mapping[str, Any]]] = _sample("tagged", "token-classification")
    format: ClassVar[Format] = _TAGGED


class TaggedTyping(DownstreamFiles):
    """The mentions in anybody's sentences with BIO tags, one by one; no sentence is in two of the splits made here."""

    name: ClassVar[str] = "tagged-typing"
    description: ClassVar[str] = "the mentions of tagged-words with their types, one by one"
    examples: ClassVar[Sequence[Mapping[str, Any]]] = _sample("typing", "entity-typing")
    format: ClassVar[Format] = _TYPING


class CrossNER(TaggedWords):
    """CrossNER's sentences of one domain."""

    name: ClassVar[str] = "crossner"
    description: ClassVar[str] = "folder of a CrossNER domain: train.txt, dev.txt, test.txt; or one file"
    licence: ClassVar[str] = "MIT; text CC BY-SA (Wikipedia)"


class CrossNERTyping(TaggedTyping):
    """CrossNER's mentions of one domain, for entity typing."""

    name: ClassVar[str] = "crossner-typing"
    description: ClassVar[str] = "the mentions of crossner with their types, one by one"
    licence: ClassVar[str] = CrossNER.licence


class WNUT17(TaggedWords):
    """WNUT-17's posts with new and rare names."""

    name: ClassVar[str] = "wnut17"
    description: ClassVar[str] = "folder of WNUT-17: wnut17train.conll, emerging.dev.conll; or one file"
    licence: ClassVar[str] = "CC BY 4.0"


class CosmosQA(DownstreamFiles):
    """CosmosQA's questions; all about one story stay together."""

    name: ClassVar[str] = "cosmosqa"
    description: ClassVar[str] = "CosmosQA CSV: context, question, answer0 … answer3, label"
    examples: ClassVar[Sequence[Mapping[str, Any]]] = _sample("cosmosqa", "multiple-choice")
    format: ClassVar[Format] = Format("cosmosqa", "by_context", (".csv",))
    licence: ClassVar[str] = "CC BY 4.0"


class PIQA(DownstreamFiles):
    """PIQA's goals, each with two ways to reach it."""

    name: ClassVar[str] = "piqa"
    description: ClassVar[str] = "PIQA JSONL: goal, sol1, sol2; labels in NAME-labels.lst beside it"
    examples: ClassVar[Sequence[Mapping[str, Any]]] = _sample("piqa", "multiple-choice")
    format: ClassVar[Format] = Format("piqa", "by_context", (".jsonl",))
    licence: ClassVar[str] = "Academic Free License 3.0"


class CODAH(DownstreamFiles):
    """CODAH's sentences to complete."""

    name: ClassVar[str] = "codah"
    description: ClassVar[str] = "CODAH TSV: category, prompt, four completions, index of the right one"
    examples: ClassVar[Sequence[Mapping[str, Any]]] = _sample("codah", "multiple-choice")
    format: ClassVar[Format] = Format("codah", "by_context", (".tsv",))
    licence: ClassVar[str] = "ODC-BY"


class SICK(DownstreamFiles):
    """SICK's pairs of sentences; pairs that share sentences, directly or through others, stay together."""

    name: ClassVar[str] = "sick"
    description: ClassVar[str] = "SICK TSV: sentence_A, sentence_B, entailment_judgment"
    examples: ClassVar[Sequence[Mapping[str, Any]]] = _sample("sick", "sequence-classification")
    format: ClassVar[Format] = Format("sick", "by_sentences", (".txt", ".tsv"))
    licence: ClassVar[str] = "CC BY-NC-SA 3.0"


class SQuAD(DownstreamFiles):
    """SQuAD's questions, and others in its form; all about one paragraph stay together."""

    name: ClassVar[str] = "squad"
    description: ClassVar[str] = "SQuAD JSON 1.1 or 2.0: data, paragraphs, qas; or a folder with train and dev"
    examples: ClassVar[Sequence[Mapping[str, Any]]] = _sample("squad", "question-answering")
    format: ClassVar[Format] = Format("squad", "by_context", (".json",))
    licence: ClassVar[str] = "CC BY-SA 4.0"


class Text(DownstreamFiles):
    """Anybody's text; no passage is in two of the splits made here."""

    name: ClassVar[str] = "text"
    description: ClassVar[str] = "plain text, a passage a line, or JSON records with a field text: file or folder"
    examples: ClassVar[Sequence[Mapping[str, Any]]] = _sample("text", "masked-lm")
    format: ClassVar[Format] = Format("text", "by_text", (".txt", ".json", ".jsonl"))


DOWNSTREAM_SOURCES: list[type[KnowledgeSource]] = [
    TaggedWords, TaggedTyping, CrossNER, CrossNERTyping, WNUT17, CosmosQA, PIQA, CODAH, SICK, SQuAD, Text,
]  # fmt: skip
