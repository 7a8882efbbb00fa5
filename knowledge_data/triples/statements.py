"""What is to be said of a graph: true and false statements, each in its split, entities called by their names."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from itertools import groupby

from knowledge_data.draws import key
from knowledge_data.errors import DataError
from knowledge_data.graphs.graph import Triple
from knowledge_data.reading import DUPLICATE
from knowledge_data.rows import NO_RELATION
from knowledge_data.split import unordered
from knowledge_data.triples.falsehoods import Falsehoods
from knowledge_data.triples.inputs import Inputs
from knowledge_data.triples.objectives import BLANK, Statement
from knowledge_data.triples.options import GraphOptions
from knowledge_data.triples.splits import SPLITS, SplitName, Splitter, check_triples, split_triples

NO_LABEL = "entity without a label"
NO_TYPE = "entity without a type"
NO_DESCRIPTION = "entity without a description"
NO_TEMPLATE = "relation without a template"
NO_FALSE = "no false pair left to deny"
NO_CHOICES = "too few false objects to choose from"

MATCH, OTHER = "match", "other"
"""Labels of a description: it is that of the entity, or of another one."""


class Statements:
    """Gives the statements of a graph, one after the other.

    They come as a stream, of any length, unless `options.in_memory` says otherwise.
    """

    def __init__(
        self, inputs: Inputs, options: GraphOptions, seed: int, relations: Collection[str], skipped: Counter[str]
    ) -> None:
        """Take what is read, the options, the relations that can be said, and where to count what is left out."""
        self._inputs, self._options, self._seed = inputs, options, seed
        self._relations, self._skipped = relations, skipped

    def __iter__(self) -> Iterator[Statement]:
        """Give them.

        Raises:
            DataError: the graph cannot be read, a split is empty, or a relation cannot be said.
        """
        sayable = filter(self._sayable, self._inputs.triples())
        if not self._options.in_memory:
            self._split = self._splitter(())
            return self._streamed(sayable)
        facts = self._distinct(sayable)
        self._split = self._splitter(facts)
        kinds: dict[str, Callable[[Sequence[Triple]], Iterator[Statement]]] = {
            "description": self._descriptions,
            "choice": self._choices,
        }
        return kinds.get(self._options.objective, self._told)(facts)

    def _splitter(self, facts: Iterable[Triple]) -> Splitter:
        options, relations = self._options, {fact.relation for fact in facts}
        return Splitter(options.split_by, self._seed, options.validation, options.test, tuple(sorted(relations)))

    def _sayable(self, triple: Triple) -> bool:
        """Whether there are words for a triple; if not, count why."""
        if self._options.objective == "description":
            return True
        if triple.relation not in self._relations:
            self._refuse(triple)
            return False
        if self._inputs.name(triple.subject) and self._inputs.name(triple.object):
            return True
        self._skipped[NO_LABEL] += 1
        return False

    def _refuse(self, triple: Triple) -> None:
        if self._options.on_error == "raise":
            where = self._options.templates or self._options.relations or ""
            problem = f"relation {triple.relation!r} of the triple {' | '.join(triple)} has no template"
            fix = f"there are templates for {_some(self._relations)}; add it, or leave such triples out: on_error skip"
            raise DataError(problem, fix, where=where)
        self._skipped[NO_TEMPLATE] += 1

    def _streamed(self, triples: Iterable[Triple]) -> Iterator[Statement]:
        typing = self._options.objective == "typing"
        for triple in triples:
            split = self._split(*triple)
            if typing:
                yield from self._mentions(split, triple)
            else:
                yield from self._stated(split, triple, triple.relation)

    def _stated(self, split: SplitName, triple: Triple, label: str) -> Iterator[Statement]:
        """State a triple in its split, and in training too where only phrasings are held out."""
        if self._split.by == "phrasing" and split != "train":
            yield self._said("train", triple, label)
        yield self._said(split, triple, label)

    def _told(self, facts: Sequence[Triple]) -> Iterator[Statement]:
        """State the facts and, for relations, deny others."""
        drawn = self._drawn(facts)
        false = dict.fromkeys(self._false(facts, drawn)) if self._options.objective == "relation" else {}
        for split, triples in self._parts([*drawn, *false]).items():
            for triple in triples:
                if self._options.objective == "typing":
                    yield from self._mentions(split, triple)
                else:
                    yield from self._stated(split, triple, NO_RELATION if triple in false else triple.relation)

    def _false(self, facts: Sequence[Triple], drawn: Sequence[Triple]) -> Iterator[Triple]:
        falsehoods = self._falsehoods(facts)
        yield from falsehoods.pairs(drawn, self._options.negatives)
        if falsehoods.given_up:
            self._skipped[NO_FALSE] += falsehoods.given_up

    def _choices(self, facts: Sequence[Triple]) -> Iterator[Statement]:
        falsehoods, names = self._falsehoods(facts), self._inputs.names(facts)
        for split, triples in self._parts(self._drawn(facts)).items():
            for triple in triples:
                others = falsehoods.objects(triple, self._options.choices - 1, names)
                if len(others) < self._options.choices - 1:
                    self._skipped[NO_CHOICES] += 1
                else:
                    yield self._said(split, triple, triple.relation, tuple(names[other] for other in others))

    def _mentions(self, split: SplitName, triple: Triple) -> Iterator[Statement]:
        """State a triple for each of its entities that is of its split: no entity is typed in two splits."""
        for role, entity in (("subject", triple.subject), ("object", triple.object)):
            if self._split.entity(entity) == split:
                if types := self._inputs.entity(entity).types:
                    yield self._said(split, triple, role, tuple(sorted(set(types))))
                else:
                    self._skipped[NO_TYPE] += 1

    def _descriptions(self, facts: Sequence[Triple]) -> Iterator[Statement]:
        """Match each entity with its description, and with those of others of its split."""
        entities = sorted({entity for fact in self._drawn(facts) for entity in (fact.subject, fact.object)})
        told = {entity: self._description(entity) for entity in entities if self._is_described(entity)}
        for split in SPLITS:
            here = [entity for entity in told if self._split.entity(entity) == split]
            if not here:
                raise DataError(f"no entity with a description is in split {split!r}", "give more, or another seed")
            for entity in here:
                for other in (entity, *self._undescribed(entity, here, told)):
                    label = MATCH if other == entity else OTHER
                    yield Statement(split, "", label, entity, self._inputs.name(entity), other, told[other])

    def _is_described(self, entity: str) -> bool:
        lacks = NO_LABEL if not self._inputs.name(entity) else NO_DESCRIPTION
        if self._inputs.name(entity) and self._inputs.entity(entity).description.strip():
            return True
        self._skipped[lacks] += 1
        return False

    def _description(self, entity: str) -> str:
        """Give the description with the entity's names hidden, since they would give it away."""
        known = self._inputs.entity(entity)
        names = sorted({self._inputs.name(entity), *known.aliases} - {""}, key=len, reverse=True)
        pattern = "|".join(map(re.escape, names))
        return re.sub(rf"(?<!\w)(?:{pattern})(?!\w)", BLANK, known.description, flags=re.IGNORECASE)

    def _undescribed(self, entity: str, here: Sequence[str], told: dict[str, str]) -> Iterator[str]:
        for number in range(round(self._options.negatives)):
            others = (here[key(self._seed, entity, str(number), str(n)) % len(here)] for n in range(30))
            found = next((other for other in others if told[other] != told[entity]), None)
            if found is not None:
                yield found

    def _parts(self, triples: Iterable[Triple]) -> dict[SplitName, list[Triple]]:
        parts = split_triples(triples, self._split, self._skipped)
        check_triples(parts, self._split.by)
        return parts

    def _distinct(self, triples: Iterable[Triple]) -> list[Triple]:
        every = list(triples)
        facts = sorted(set(every))
        if repeated := len(every) - len(facts):
            self._skipped[DUPLICATE] += repeated
        return facts

    def _drawn(self, facts: Sequence[Triple]) -> Sequence[Triple]:
        """Draw about `limit` facts, all those of a pair or none."""
        limit = self._options.limit
        if limit is None or limit >= len(facts):
            return facts
        drawn = list[Triple]()
        for _, same in groupby(sorted(facts, key=self._turn), key=self._turn):
            if len(drawn) < limit:
                drawn.extend(same)
        return sorted(drawn)

    def _turn(self, fact: Triple) -> tuple[int, tuple[str, str]]:
        pair = unordered(fact.subject, fact.object)
        return key(self._seed, "limit", *pair), pair

    def _falsehoods(self, facts: Sequence[Triple]) -> Falsehoods:
        types = self._inputs.types(facts) if self._options.types else None
        return Falsehoods(facts, self._seed, self._options.corruption, types)

    def _said(self, split: SplitName, triple: Triple, label: str, extra: tuple[str, ...] = ()) -> Statement:
        subject, object_ = self._inputs.name(triple.subject), self._inputs.name(triple.object)
        return Statement(split, triple.relation, label, triple.subject, subject, triple.object, object_, extra)


def _some(names: Collection[str]) -> str:
    shown = sorted(names)[:5]
    return ", ".join(shown) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
