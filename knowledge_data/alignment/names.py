"""What entities are called, ready to be looked for: which names are of use, and which entities a name means."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from knowledge_data.alignment.words import words
from knowledge_data.errors import DataError
from knowledge_data.graphs.graph import EntityFacts, KnowledgeGraph

Meanings = dict[str, tuple[str, ...]]
"""The words of a name, with single spaces between them -> the entities that it may mean, sorted."""

TOO_SHORT = "name that is too short"
COMMON = "name that is a common word"
NO_NAME = "entity without a name"

COMMON_WORDS = frozenset(
    re.findall(
        r"\S+",
        "a about after all also am an and any are as at be been before but by can could did do does for from had has "
        "have he her here him his how i if in into is it its may me might more most must my no nor not of off on one "
        "or our out over own she should so some such than that the their them then there these they this those to "
        "too under up us was we were what when where which while who whom whose why will with would you your",
    )
)
"""English words that are hardly ever names, though codes and titles are spelled so: `in` of India, `It` of a film."""


@dataclass(frozen=True)
class Names:
    """The names of entities. White space between words does not matter: `D.C.` is found in `D.C .`, too.

    Attributes:
        cased: names that must be written as they are.
        folded: names that may be written in any case, case-folded.
        every_reading: whether a name of several entities is taken for each of them, instead of for none.
        skipped: names and entities that are of no use, by reason.
    """

    cased: Meanings = field(default_factory=dict)
    folded: Meanings = field(default_factory=dict)
    every_reading: bool = False
    skipped: Counter[str] = field(default_factory=Counter)

    @classmethod
    def of(
        cls,
        entities: Iterable[tuple[str, EntityFacts]],
        case: str = "smart",
        ambiguous: str = "label",
        shortest: int = 2,
        common: Collection[str] = COMMON_WORDS,
    ) -> Names:
        """Gather the labels and aliases of entities.

        Args:
            entities: ids, and what is known of each.
            case: `exact` demands that a name is written as it was given, `any` only that the letters are the same;
                `smart` is `any` for names without a capital letter (`cultivar` may open a sentence), else `exact`.
            ambiguous: `label` lets a name mean the entity whose label it is rather than one whose alias it is, and
                nothing where there are still several; `skip` lets it mean nothing, `all` each of them.
            shortest: how many characters a name must have, without white space.
            common: words in lower case that are no names; in capitals (`US`) they stay names, unless any case will do.

        Raises:
            DataError: an option is unknown.
        """
        _check("case", case, ("smart", "exact", "any"))
        _check("ambiguous", ambiguous, ("label", "skip", "all"))
        rule = _Rule(case, shortest, frozenset(common))
        labels, aliases = cls(every_reading=ambiguous == "all"), cls()
        for entity, facts in entities:
            if not facts.label and not facts.aliases:
                labels.skipped[NO_NAME] += 1
            labels._add([facts.label], entity, rule)
            aliases._add(facts.aliases, entity, rule)
        for of_labels, of_aliases in ((labels.cased, aliases.cased), (labels.folded, aliases.folded)):
            _join(of_labels, of_aliases, labels_win=ambiguous == "label")
        labels.skipped.update(aliases.skipped)
        return labels

    @property
    def ambiguous(self) -> int:
        """How many names mean several entities."""
        return sum(len(entities) > 1 for names in (self.cased, self.folded) for entities in names.values())

    def __len__(self) -> int:
        return len(self.cased) + len(self.folded)

    def _add(self, names: Iterable[str], entity: str, rule: _Rule) -> None:
        for name in filter(None, names):
            key = " ".join(word for word, _ in words(name))
            if reason := rule.against(key):
                self.skipped[reason] += 1
            elif rule.folds(key):
                _mean(self.folded, key.casefold(), (entity,))
            else:
                _mean(self.cased, key, (entity,))


class _Rule(NamedTuple):
    """Which names are of use, and how they may be written."""

    case: str
    shortest: int
    common: frozenset[str]

    def against(self, key: str) -> str:
        """Why a name is of no use; empty when it is."""
        if len(key) - key.count(" ") < self.shortest:
            return TOO_SHORT
        in_capitals = self.case != "any" and len(key) > 1 and key.isupper()
        return COMMON if key.casefold() in self.common and not in_capitals else ""

    def folds(self, key: str) -> bool:
        """Whether a name may be written in any case."""
        return self.case == "any" or (self.case == "smart" and key == key.lower())


def entities_of(graph: KnowledgeGraph) -> Iterator[tuple[str, EntityFacts]]:
    """Give each entity with what is known of it; where no entity of the graph has a label, ids are labels."""
    labelled = any("label" in known for _, known in graph.network.nodes(data=True))
    for entity in graph.network:
        yield entity, graph.entity(entity) if labelled else EntityFacts(label=entity)


def _mean(names: Meanings, key: str, entities: tuple[str, ...]) -> None:
    known = names.get(key)
    names[key] = entities if known is None else tuple(sorted({*known, *entities}))


def _join(labels: Meanings, aliases: Meanings, labels_win: bool) -> None:
    for key, entities in aliases.items():
        if not labels_win or key not in labels:
            _mean(labels, key, entities)


def _check(name: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise DataError(f"{name}={value!r} is unknown", f"choose one of: {', '.join(known)}")
