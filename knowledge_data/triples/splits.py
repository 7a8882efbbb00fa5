"""Splitting triples so that no fact leaks: by pair of entities, by entity, or by relation.

Which split something belongs to is decided by a hash of it and the seed. So a graph of any size can be split while it
is read, and adding facts to a graph moves none of the others.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from knowledge_data.draws import point
from knowledge_data.errors import DataError
from knowledge_data.graphs.graph import Triple
from knowledge_data.split import unordered
from knowledge_data.triples.options import SplitBy

SplitName = Literal["train", "validation", "test"]

SPLITS: tuple[SplitName, ...] = ("train", "validation", "test")

ELSEWHERE = "its pair is in another split, by another relation"


@dataclass(frozen=True)
class Splitter:
    """Says where a triple belongs.

    - `pair`: all facts about two entities are in one split, whichever is the subject.
    - `entity`: a fact is in `test` when one of its entities is a test entity; else in `validation` when one is a
      validation entity. So every test fact is about an entity that is nowhere else.
    - `relation`: the relations of `test` are nowhere else.
    - `phrasing`: as by pair, of what is asked; it is taught as well.

    Attributes:
        by: what is held out.
        seed: of the draw.
        validation, test: shares of the pairs, entities or relations.
        relations: all that there are, when they are split. As they are few, their shares are held exactly, and each
            split has one.

    Raises:
        DataError: a share is not above 0, they leave nothing for training, or there are fewer than three relations.
    """

    by: SplitBy = "pair"
    seed: int = 0
    validation: float = 0.15
    test: float = 0.2
    relations: tuple[str, ...] = ()
    _turns: dict[str, SplitName] = field(init=False, repr=False, default_factory=dict)

    def __post_init__(self) -> None:
        if min(self.validation, self.test) <= 0 or self.validation + self.test >= 1:
            problem = f"validation={self.validation} and test={self.test} leave an empty split"
            raise DataError(problem, "give shares above 0 that add up to less than 1")
        if self.by == "relation":
            self._turns.update(self._relation_turns())

    def _relation_turns(self) -> Iterator[tuple[str, SplitName]]:
        ordered = sorted(set(self.relations), key=lambda relation: (point(self.seed, "split", relation), relation))
        if len(ordered) < 3:
            problem = f"there are {len(ordered)} relations, which cannot be in three splits"
            raise DataError(problem, "give more relations, or split by pair or entity")
        test = max(1, round(self.test * len(ordered)))
        validation = max(1, round(self.validation * len(ordered)))
        test, validation = min(test, len(ordered) - 2), min(validation, len(ordered) - test - 1)
        for number, relation in enumerate(ordered):
            yield relation, "test" if number < test else "validation" if number < test + validation else "train"

    def __call__(self, subject: str, relation: str, object_: str) -> SplitName:
        """Give the split of a triple. By relation, its pair may be elsewhere too: see `split_triples`."""
        if self.by in ("pair", "phrasing"):
            return self.pair(subject, object_)
        if self.by == "relation":
            return self._turns[relation]
        return max(self._of(subject), self._of(object_), key=SPLITS.index)

    def pair(self, one: str, other: str) -> SplitName:
        """Give the split of two entities, whichever is the subject."""
        return self._of(*unordered(one, other))

    def entity(self, identifier: str) -> SplitName:
        """Give the split of one entity."""
        return self._of(identifier)

    def _of(self, *parts: str) -> SplitName:
        drawn = point(self.seed, "split", *parts)
        return "test" if drawn < self.test else "validation" if drawn < self.test + self.validation else "train"


def split_triples(
    triples: Iterable[Triple], splitter: Splitter, dropped: Counter[str] | None = None
) -> dict[SplitName, list[Triple]]:
    """Put each triple into its split; nothing that two splits share is left.

    By relation, a pair that several relations connect would be in several splits: it stays in the most held out of
    them, and its facts in the others are dropped.

    Args:
        triples: of a graph.
        splitter: says where a triple belongs.
        dropped: counts here what is dropped, by reason.

    Raises:
        DataError: a split is empty.
    """
    parts: dict[SplitName, list[Triple]] = {name: [] for name in SPLITS}
    for triple in triples:
        parts[splitter(*triple)].append(triple)
    if splitter.by == "relation":
        parts = _without_shared_pairs(parts, dropped if dropped is not None else Counter())
    for name, part in parts.items():
        if not part:
            problem = f"no triple is in split {name!r} of {sum(map(len, parts.values()))}"
            raise DataError(problem, "give more triples, larger shares, or another seed")
    return parts


def _without_shared_pairs(
    parts: Mapping[SplitName, list[Triple]], dropped: Counter[str]
) -> dict[SplitName, list[Triple]]:
    held = set[tuple[str, str]]()
    kept: dict[SplitName, list[Triple]] = {}
    for name in reversed(SPLITS):
        kept[name] = [triple for triple in parts[name] if _pair(triple) not in held]
        held.update(map(_pair, kept[name]))
        if lost := len(parts[name]) - len(kept[name]):
            dropped[ELSEWHERE] += lost
    return {name: kept[name] for name in SPLITS}


def _pair(triple: Triple) -> tuple[str, str]:
    return unordered(triple.subject, triple.object)


def check_triples(parts: Mapping[SplitName, Iterable[Triple]], by: SplitBy = "pair") -> None:
    """Prove that no pair of entities is in two splits and, by entity or relation, that what is tested is unseen.

    Raises:
        DataError: it is not so; names the splits and what they share.
    """
    facts = {name: list(part) for name, part in parts.items()}
    _check_apart("pair of entities", facts, lambda triple: [_pair(triple)])
    if by == "relation":
        _check_apart("relation", facts, lambda triple: [(triple.relation,)])
    if by == "entity":
        _check_unseen(facts)


def _check_apart(
    what: str, facts: Mapping[SplitName, list[Triple]], keys: Callable[[Triple], Iterable[tuple[str, ...]]]
) -> None:
    seen: dict[tuple[str, ...], SplitName] = {}
    for name, part in facts.items():
        for key in (key for triple in part for key in keys(triple)):
            if seen.setdefault(key, name) != name:
                raise DataError(
                    f"splits {seen[key]!r} and {name!r} share the {what} {', '.join(key)}", "split with split_triples"
                )


def _check_unseen(facts: Mapping[SplitName, list[Triple]]) -> None:
    known = {name: set(_entities(part)) for name, part in facts.items()}
    for held, others in (("test", ("train", "validation")), ("validation", ("train",))):
        elsewhere = set[str]().union(*(known.get(other, set()) for other in others))  # type: ignore[call-overload]
        for triple in facts.get(held, ()):  # type: ignore[call-overload]
            if {triple.subject, triple.object} <= elsewhere:
                problem = f"both entities of {' '.join(triple)}, in split {held!r}, are in {' or '.join(others)} too"
                raise DataError(problem, "split with split_triples")


def _entities(triples: Iterable[Triple]) -> Iterator[str]:
    for triple in triples:
        yield triple.subject
        yield triple.object
