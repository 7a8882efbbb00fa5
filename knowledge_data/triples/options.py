"""What can be chosen when a graph is turned into rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from knowledge_data.errors import DataError

ObjectiveName = Literal["relation", "cloze", "choice", "description", "typing"]

SplitBy = Literal["pair", "entity", "relation", "phrasing"]
"""What is held out."""

_ENTITY_OBJECTIVES = ("description", "typing")
"""Those whose answer is a fact about an entity, so that a tested entity must be new."""


@dataclass(frozen=True)
class GraphOptions:
    """Options of rows from a graph.

    Attributes:
        templates: YAML file with the phrasings of each relation; null says relations by the labels of `relations`.
        objective: what is asked: which `relation` holds, the hidden object as a `cloze`, or as a `choice`, which
            `description` fits an entity, or its types (`typing`).
        split: what is held out: `pair`, `entity` or `relation`; or `phrasing`, for clozes alone: every fact is taught,
            some are asked again, in the phrasings for a test. Null is `entity` for descriptions and types, else `pair`.
        validation, test: shares of the pairs, entities or relations.
        phrasings: in how many ways each training triple is said; validation and test say it once.
        negatives: how many false rows for each true one, for relations (`no_relation`) and descriptions.
        corruption: what replaces an entity in a false pair or among choices: one that stands there in other facts of
            the relation and shares a type, if types are known (`typed`), or any entity (`uniform`).
        choices: how many a question has.
        labels, aliases, types, descriptions: side files about entities. Without labels, ids are names.
        relations: side file with the labels of relations.
        format: of the graph; null goes by the file's name.
        columns: names of the columns of subject, relation and object, where the file calls them otherwise.
        on_error: `raise`, or `skip` lines that are no triple and relations without a template, and count them.
        limit: how many triples to take, whole pairs, drawn by the seed; null takes all.
        licence: of the graph.

    Raises:
        DataError: a value is out of range, or a split cannot go with the objective.
    """

    templates: str | None = None
    objective: ObjectiveName = "relation"
    split: SplitBy | None = None
    validation: float = 0.15
    test: float = 0.2
    phrasings: int = 1
    negatives: float = 1.0
    corruption: Literal["typed", "uniform"] = "typed"
    choices: int = 4
    labels: str | None = None
    aliases: str | None = None
    types: str | None = None
    descriptions: str | None = None
    relations: str | None = None
    format: str | None = None
    columns: tuple[str, ...] | None = None
    on_error: Literal["raise", "skip"] = "raise"
    limit: int | None = None
    licence: str = ""

    def __post_init__(self) -> None:
        _check("phrasings", self.phrasings, self.phrasings >= 1, "1 or more")
        _check("negatives", self.negatives, 0 <= self.negatives < 100, "0 or more, and under 100")
        _check("choices", self.choices, self.choices >= 2, "2 or more")
        _check("limit", self.limit, self.limit is None or self.limit >= 1, "1 or more, or null")
        recalled = self.split == "phrasing" and self.objective != "cloze"
        _check("split", self.split, not recalled, "pair, entity or relation, or the objective cloze")
        if self.objective in _ENTITY_OBJECTIVES:
            fix = "leave split out, or say entity: what is asked is about an entity, which must be new in a test"
            _check("split", self.split, self.split in (None, "entity"), f"entity for {self.objective}", fix)
            needed = "types" if self.objective == "typing" else "descriptions"
            problem = f"objective {self.objective!r} needs to know the {needed} of entities"
            if getattr(self, needed) is None:
                raise DataError(problem, f"give the side file: {needed}")

    @property
    def split_by(self) -> SplitBy:
        """What is held out."""
        if self.split is not None:
            return self.split
        return "entity" if self.objective in _ENTITY_OBJECTIVES else "pair"

    @property
    def in_memory(self) -> list[str]:
        """The choices that need the whole graph in memory; without them it is read as a stream."""
        reasons = {
            f"objective={self.objective}": self.objective in ("choice", "description"),
            f"negatives={self.negatives}": self.objective == "relation" and self.negatives > 0,
            "split=relation": self.split_by == "relation",
            f"limit={self.limit}": self.limit is not None,
        }
        return [choice for choice, holds in reasons.items() if holds]


def _check(name: str, value: object, holds: bool, must_be: str, fix: str = "") -> None:
    if not holds:
        raise DataError(f"{name} is {value!r}; it must be {must_be}", fix)
