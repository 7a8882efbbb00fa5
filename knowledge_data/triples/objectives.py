"""What is asked of a statement: rows of one kind for each objective."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from knowledge_data.downstream_rows import ChoiceRow, LabelledRow, TypingRow
from knowledge_data.draws import key
from knowledge_data.row import Row
from knowledge_data.rows import RelationRow
from knowledge_data.templates import Entity, say
from knowledge_data.triples.cloze import ClozeRow
from knowledge_data.triples.options import ObjectiveName
from knowledge_data.triples.phrasings import Phrasings
from knowledge_data.triples.splits import SplitName

BLANK = "___"
"""Stands where something is to be filled in."""


class Statement(NamedTuple):
    """Something to be said: ids, names, and where it belongs. Plain texts, since millions travel between processes.

    Attributes:
        split: where its rows go.
        relation: which relation is said; empty where no sentence is made, as for descriptions.
        label: what the row says of it: the relation, or `no_relation`; `match` or `other`; the role of a mention.
        subject, subject_name, object, object_name: the entities.
        extra: names of false objects, or the types of a mention.
    """

    split: SplitName
    relation: str
    label: str
    subject: str
    subject_name: str
    object: str
    object_name: str
    extra: tuple[str, ...] = ()


@dataclass(frozen=True)
class Sayer:
    """Turns statements into rows.

    Attributes:
        objective: what is asked.
        phrasings: of each relation.
        count: in how many ways a training statement is said.
        seed: chooses the phrasings, and the place of the right choice.
    """

    objective: ObjectiveName
    phrasings: Mapping[str, Phrasings]
    count: int = 1
    seed: int = 0

    @property
    def kind(self) -> type[Row]:
        """The kind of its rows."""
        return KINDS[self.objective][0]

    def rows(self, statement: Statement) -> Iterator[Row]:
        """Give the rows of a statement.

        Raises:
            DataError: they cannot be made.
        """
        _, make = KINDS[self.objective]
        for template in self._chosen(statement):
            yield make(statement, template, self.seed)

    def _chosen(self, statement: Statement) -> Iterator[str]:
        if not statement.relation:
            yield ""
            return
        said, training = self.phrasings[statement.relation], statement.split == "train"
        templates = said.test if statement.split == "test" else said.train
        first = key(self.seed, "phrasing", statement.subject, statement.relation, statement.object)
        for number in range(min(self.count if training else 1, len(templates))):
            yield templates[(first + number) % len(templates)]


def _relation(statement: Statement, template: str, seed: int) -> RelationRow:
    subject = Entity(statement.subject, statement.subject_name)
    return say(template, subject, Entity(statement.object, statement.object_name), statement.label)


def _cloze(statement: Statement, template: str, seed: int) -> ClozeRow:
    row = _relation(statement, template, seed)
    return ClozeRow(row.text, *row.object, statement.relation, row.subject_id, row.object_id, template)


def _choice(statement: Statement, template: str, seed: int) -> ChoiceRow:
    subject = Entity(statement.subject, statement.subject_name)
    text = say(template, subject, Entity(statement.object, BLANK), statement.relation).text
    right = key(seed, "choice", statement.subject, statement.relation, statement.object) % (len(statement.extra) + 1)
    choices = (*statement.extra[:right], statement.object_name, *statement.extra[right:])
    return ChoiceRow(text, "", choices, right)


def _typing(statement: Statement, template: str, seed: int) -> TypingRow:
    row = _relation(statement, template, seed)
    span = row.subject if statement.label == "subject" else row.object
    return TypingRow(row.text, *span, statement.extra)


def _description(statement: Statement, template: str, seed: int) -> LabelledRow:
    return LabelledRow(statement.subject_name, statement.object_name, statement.label)


KINDS: dict[ObjectiveName, tuple[type[Row], Callable[[Statement, str, int], Row]]] = {
    "relation": (RelationRow, _relation),
    "cloze": (ClozeRow, _cloze),
    "choice": (ChoiceRow, _choice),
    "typing": (TypingRow, _typing),
    "description": (LabelledRow, _description),
}
"""Objective -> the kind of its rows, and how one is made in the words of a template."""
