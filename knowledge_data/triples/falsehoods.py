"""False facts of the same kind as the true ones: who knows the graph can tell, who knows only words cannot."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

from knowledge_data.draws import key
from knowledge_data.graphs.graph import Triple
from knowledge_data.split import unordered

Side = Literal["subject", "object"]

_ATTEMPTS = 30
"""Draws before a fact is given up: where nearly all pairs are facts, few false ones are left."""


class Falsehoods:
    """Draws false facts, by the seed and the fact that is falsified, whatever the order.

    A pair that any fact connects, either way, is never drawn. Entities are drawn as often as they stand there in true
    facts, so that a common one gives nothing away.

    Attributes:
        given_up: how many false facts were asked for and not found.
    """

    def __init__(
        self,
        facts: Sequence[Triple],
        seed: int,
        corruption: Literal["typed", "uniform"],
        types: Mapping[str, tuple[str, ...]] | None = None,
    ) -> None:
        """Learn what is true; `facts` are all that the graph holds, sorted; `types` is what is known of entities."""
        self._seed, self._types = seed, types or {}
        self._known = {unordered(fact.subject, fact.object) for fact in facts}
        self._typed = corruption == "typed"
        self.given_up = 0
        self._there: defaultdict[tuple[str, Side], list[str]] = defaultdict(list)
        for fact in facts:
            for side, entity in (("subject", fact.subject), ("object", fact.object)):
                self._there[self._place(fact.relation, side)].append(entity)  # type: ignore[arg-type]

    def pairs(self, facts: Sequence[Triple], ratio: float) -> Iterator[Triple]:
        """Give about `ratio` false facts for each of these, each once; fewer where none are left."""
        said = set[Triple]()
        for fact in facts:
            for number in range(self._wanted(fact, ratio)):
                side: Side = "object" if self._draw(fact, number, "side") % 2 else "subject"
                for entity in self._others(fact, side, number):
                    false = fact._replace(**{side: entity})
                    if false not in said:
                        said.add(false)
                        yield false
                        break
                else:
                    self.given_up += 1

    def objects(self, fact: Triple, count: int, unlike: Mapping[str, str]) -> list[str]:
        """Give up to `count` false objects for a fact, with different names; `unlike` names entities."""
        found: dict[str, str] = {}
        for number in range(count):
            for entity in self._others(fact, "object", number):
                name = unlike[entity]
                if name and name != unlike[fact.object] and name not in found:
                    found[name] = entity
                    break
        return list(found.values())

    def _wanted(self, fact: Triple, ratio: float) -> int:
        """Round `ratio` up or down, by chance, so that it holds on the whole."""
        whole = int(ratio)
        return whole + (self._draw(fact, 0, "ratio") % 10_000 < round(10_000 * (ratio - whole)))

    def _others(self, fact: Triple, side: Side, number: int) -> Iterator[str]:
        """Give drawn entities which make a false fact when they replace one of this fact."""
        there = self._there[self._place(fact.relation, side)]
        replaced, stays = (fact.object, fact.subject) if side == "object" else (fact.subject, fact.object)
        for attempt in range(_ATTEMPTS):
            entity = there[self._draw(fact, number, str(attempt)) % len(there)]
            if entity != stays and unordered(entity, stays) not in self._known and self._is_like(entity, replaced):
                yield entity

    def _is_like(self, entity: str, other: str) -> bool:
        if not self._typed:
            return True
        mine, theirs = self._types.get(entity, ()), self._types.get(other, ())
        return not mine or not theirs or not set(mine).isdisjoint(theirs)

    def _place(self, relation: str, side: Side) -> tuple[str, Side]:
        return (relation, side) if self._typed else ("", "object")

    def _draw(self, fact: Triple, number: int, purpose: str) -> int:
        return key(self._seed, purpose, str(number), *fact)
