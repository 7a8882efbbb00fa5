"""The rows of probes: cloze questions about facts, and pairs of a good and a bad sentence."""

from __future__ import annotations

import reprlib
from dataclasses import dataclass

from knowledge_data.errors import DataError
from knowledge_data.row import Row, check_all_filled, check_filled

SUBJECT, OBJECT = "[X]", "[Y]"

SAME_SENTENCE = "good and bad sentence are the same"


@dataclass(frozen=True)
class ClozeProbe(Row):
    """One fact to ask for, in one or several phrasings.

    Attributes:
        relation: what relates subject and object, as the probe calls it.
        subject: the name of the subject; empty when phrasings are whole sentences about nothing in particular.
        subject_id: its id, where the probe gives one; else empty.
        objects: names of the right objects, those of the first object first; none when there is no right answer.
        object_numbers: for each name, which object it names, counted from 0: an object may have several names.
        object_ids: for each name the id of its object; none where the probe gives no ids.
        candidates: the names to choose from; none when any word may be said.
        phrasings: sentences with `[Y]` where the object stands, once, and `[X]` where the subject does, at most once;
            none when the probe gives none.

    Raises:
        DataError: the relation or a name is empty, a phrasing has not one `[Y]` or has several `[X]`, names and their
            numbers or ids do not fit, or no right object is among the candidates.
    """

    relation: str
    subject: str
    subject_id: str
    objects: tuple[str, ...]
    object_numbers: tuple[int, ...]
    object_ids: tuple[str, ...]
    candidates: tuple[str, ...]
    phrasings: tuple[str, ...]

    def __post_init__(self) -> None:
        check_filled("name it", relation=self.relation)
        for name in ("objects", "candidates"):
            if getattr(self, name):
                check_all_filled("give each a name", name, getattr(self, name))
        self._check_numbers()
        for number, phrasing in enumerate(self.phrasings):
            if phrasing.count(OBJECT) != 1 or phrasing.count(SUBJECT) > 1:
                problem = f"is {reprlib.repr(phrasing)}"
                raise DataError(problem, "write [Y] once, and [X] once or not", field=f"phrasings[{number}]")
        if self.candidates and self.objects and set(self.objects).isdisjoint(self.candidates):
            problem = f"are {reprlib.repr(self.objects)}, none of which is among the candidates"
            raise DataError(problem, "add the right one to the candidates", field="objects")
        super().__post_init__()

    def _check_numbers(self) -> None:
        for name, wanted in (("object_numbers", len(self.objects)), ("object_ids", len(self.objects))):
            there = len(getattr(self, name))
            if there != wanted and not (name == "object_ids" and not there):
                raise DataError(f"has {there} entries for {wanted} objects", "give one for each", field=name)
        steps = zip((0, *self.object_numbers), self.object_numbers, strict=False)
        if self.object_numbers[:1] not in ((), (0,)) or any(not 0 <= now - before <= 1 for before, now in steps):
            problem = f"is {reprlib.repr(self.object_numbers)}"
            raise DataError(problem, "count the objects from 0, names of one together", field="object_numbers")

    @classmethod
    def of_one(
        cls,
        relation: str,
        subject: str,
        object_: str,
        phrasings: tuple[str, ...],
        ids: tuple[str, str] = ("", ""),
        candidates: tuple[str, ...] = (),
    ) -> ClozeProbe:
        """The row of a fact with one object that has one name."""
        object_ids = (ids[1],) if ids[1] else ()
        return cls(relation, subject, ids[0], (object_,), (0,), object_ids, candidates, phrasings)


@dataclass(frozen=True)
class MinimalPair(Row):
    """Two sentences that differ in one point of grammar.

    Attributes:
        good: the one that speakers accept.
        bad: the one that they do not.
        phenomenon: what they differ in, such as `anaphor_number_agreement`.
        group: the kind of phenomenon, such as `binding`.

    Raises:
        DataError: one is empty.
    """

    good: str
    bad: str
    phenomenon: str
    group: str

    def __post_init__(self) -> None:
        check_filled("give it a text", good=self.good, bad=self.bad, phenomenon=self.phenomenon, group=self.group)
        super().__post_init__()

    @property
    def flaw(self) -> str:
        """Both sentences are the same, as in a few pairs of BLiMP: there is nothing to tell apart."""
        return SAME_SENTENCE if self.good == self.bad else ""
