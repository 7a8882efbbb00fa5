"""What entities are called, ready to be looked for: which names are of use, and which entities a name means."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from knowledge_data.alignment.words import words
from knowledge_data.errors import DataError
from knowledge_data.graphs.graph import EntityFacts, KnowledgeGraph

Meanings = dict[str, tuple[str, ...]]
"""The words of a name, with single spaces between them -> the entities that it may mean, sorted."""

TOO_SHORT = "name that is too short"
NO_NAME = "entity without a name"


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
    ) -> Names:
        """Gather the labels and aliases of entities.

        Args:
            entities: ids, and what is known of each.
            case: `exact` demands that a name is written as it was given, `any` only that the letters are the same;
                `smart` is `any` for names without a capital letter (`cultivar` may open a sentence), else `exact`.
            ambiguous: `label` lets a name mean the entity whose label it is rather than one whose alias it is, and
                nothing where there are still several; `skip` lets it mean nothing, `all` each of them.
            shortest: how many characters a name must have, without white space.

        Raises:
            DataError: an option is unknown.
        """
        _check("case", case, ("smart", "exact", "any"))
        _check("ambiguous", ambiguous, ("label", "skip", "all"))
        labels, aliases = cls(every_reading=ambiguous == "all"), cls()
        for entity, facts in entities:
            if not facts.label and not facts.aliases:
                labels.skipped[NO_NAME] += 1
            labels._add([facts.label], entity, case, shortest)
            aliases._add(facts.aliases, entity, case, shortest)
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

    def _add(self, names: Iterable[str], entity: str, case: str, shortest: int) -> None:
        for name in filter(None, names):
            found = [word for word, _ in words(name)]
            if sum(map(len, found)) < shortest:
                self.skipped[TOO_SHORT] += 1
                continue
            key = " ".join(found)
            folds = case == "any" or (case == "smart" and key == key.lower())
            _mean(self.folded if folds else self.cased, key.casefold() if folds else key, (entity,))


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
