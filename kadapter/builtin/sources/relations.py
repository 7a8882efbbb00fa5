"""The readers of `knowledge_data` as sources: file formats of relation sentences, and the facts of GeoNames."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import knowledge_data as kd
from kadapter import Knowledge, KnowledgeSource
from kadapter.builtin.sources.places import place_of

_RELATIONS = {"name": "relation-classification"}


@dataclass(frozen=True)
class RelationFileConfig:
    """Options of sentences from a file.

    Attributes:
        limit: how many rows to take, whole pairs of entities, drawn by the seed before the split. None takes all.
    """

    limit: int | None = None


class RelationFile(KnowledgeSource):
    """Sentences with two marked spans from one file, split so that no pair of entities is in two splits."""

    Config: ClassVar[type] = RelationFileConfig
    licence: ClassVar[str] = "see the data's publisher"

    def load(self, path: Path | None, seed: int) -> Knowledge:
        """Read with the reader of this format; 65 % of the pairs train, 15 % validate, 20 % test."""
        options = asdict(self.config)
        limit = options.pop("limit")
        reading = kd.READERS[self.name](place_of(self, path), **options)
        rows = reading.rows if limit is None else kd.draw(reading.rows, kd.by_pair(reading.rows), seed, limit)
        return Knowledge(kd.split_by_pair(rows, seed), reading.report.skipped, self.licence)


class Trex(RelationFile):
    """T-REx in the form in which K-Adapter was trained on it."""

    name: ClassVar[str] = "trex"
    description: ClassVar[str] = "T-REx-rc JSON or JSONL: token, relation, subj_start … obj_end"
    examples: ClassVar[Sequence[Mapping[str, Any]]] = ({"path": kd.sample_path("trex"), "task": _RELATIONS},)
    licence: ClassVar[str] = "CC BY-SA 4.0"


class FewRel(RelationFile):
    """FewRel's Wikipedia sentences."""

    name: ClassVar[str] = "fewrel"
    description: ClassVar[str] = "FewRel JSON: relation -> sentences with head and tail"
    examples: ClassVar[Sequence[Mapping[str, Any]]] = ({"path": kd.sample_path("fewrel"), "task": _RELATIONS},)
    licence: ClassVar[str] = "MIT; text CC BY-SA (Wikipedia)"


class Tacred(RelationFile):
    """TACRED's news sentences."""

    name: ClassVar[str] = "tacred"
    description: ClassVar[str] = "TACRED JSON, with no_relation"
    examples: ClassVar[Sequence[Mapping[str, Any]]] = ({"path": kd.sample_path("tacred"), "task": _RELATIONS},)
    licence: ClassVar[str] = "LDC2018T24"


class SemEval(RelationFile):
    """SemEval-2010 Task 8, relations between nominals."""

    name: ClassVar[str] = "semeval"
    description: ClassVar[str] = "SemEval-2010 Task 8 text: <e1> and <e2>, direction in the label"
    examples: ClassVar[Sequence[Mapping[str, Any]]] = ({"path": kd.sample_path("semeval"), "task": _RELATIONS},)
    licence: ClassVar[str] = "CC BY 3.0"


class KnowledgeNet(RelationFile):
    """KnowledgeNet's annotated web sentences."""

    name: ClassVar[str] = "knowledgenet"
    description: ClassVar[str] = "folder of KnowledgeNet tables: passages.tsv, facts.tsv, no_fact.tsv"
    examples: ClassVar[Sequence[Mapping[str, Any]]] = ({"path": kd.sample_path("knowledgenet"), "task": _RELATIONS},)
    licence: ClassVar[str] = "CC BY-SA 4.0"


class RelationRows(RelationFile):
    """What `kadapter data align` made of a corpus and a graph."""

    name: ClassVar[str] = "relation-rows"
    description: ClassVar[str] = "folder that `kadapter data align` made, or its rows.jsonl"
    examples: ClassVar[Sequence[Mapping[str, Any]]] = ({"path": kd.sample_path("relation-rows"), "task": _RELATIONS},)

    def load(self, path: Path | None, seed: int) -> Knowledge:
        """Read and split as other files; the licence and the origin are those of the folder's provenance."""
        from knowledge_data.provenance import read_provenance

        known = super().load(path, seed)
        told = read_provenance(place_of(self, path))
        return replace(known, licence=told.get("licence", self.licence), origin=told) if told else known


@dataclass(frozen=True)
class ReDocREDConfig(RelationFileConfig):
    """Options of Re-DocRED, beside `limit`.

    Attributes:
        negatives: how many pairs without a relation (`no_relation`) for each one with a relation.
    """

    negatives: float = 0.0


class ReDocRED(RelationFile):
    """The pairs of Re-DocRED that meet in one sentence."""

    name: ClassVar[str] = "redocred"
    Config: ClassVar[type] = ReDocREDConfig
    description: ClassVar[str] = "Re-DocRED JSON: pairs of entities that meet in one sentence"
    examples: ClassVar[Sequence[Mapping[str, Any]]] = ({"path": kd.sample_path("redocred"), "task": _RELATIONS},)
    licence: ClassVar[str] = "MIT; text CC BY-SA (Wikipedia)"


@dataclass(frozen=True)
class GeoNamesConfig:
    """Options of the facts about countries.

    Attributes:
        phrasings: in how many ways each training pair is said.
        negatives: how many false statements (`no_relation`) for each true one.
        min_population: of the countries to speak of.
    """

    phrasings: int = 4
    negatives: float = 1.0
    min_population: int = 1_000_000


class GeoNames(KnowledgeSource):
    """Facts about countries, said in our own sentences; false statements about as many pairs are `no_relation`."""

    name: ClassVar[str] = "geonames"
    Config: ClassVar[type] = GeoNamesConfig
    description: ClassVar[str] = "capitals, continents, currencies, languages and neighbours of countries"
    needs_path: ClassVar[bool] = False
    examples: ClassVar[Sequence[Mapping[str, Any]]] = (
        {"min_population": 40_000_000, "phrasings": 1, "task": _RELATIONS},
    )

    def load(self, path: Path | None, seed: int) -> Knowledge:
        """Say the facts; besides the three usual splits, `known` asks training pairs in phrasings not trained on."""
        skipped = kd.country_graph().graph["skipped"]
        return Knowledge(kd.geonames_splits(seed, **asdict(self.config)), skipped, "CC BY 4.0 (GeoNames)")


RELATION_SOURCES: list[type[KnowledgeSource]] = [
    Trex, FewRel, Tacred, SemEval, KnowledgeNet, ReDocRED, RelationRows, GeoNames,
]  # fmt: skip
