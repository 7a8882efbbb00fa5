"""What readers of probes have in common: what to do about a record that is malformed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from knowledge_data.errors import DataError
from knowledge_data.reading import AnyRow, Reading, ReadReport, Skip, gather
from knowledge_data.records import Record
from knowledge_data.streams import Complain, complaints, stream_records

BAD_RECORD = "malformed record"
BAD_RELATION = "malformed relation"

T = TypeVar("T")


def read_rows(
    kind: type[AnyRow], outcomes: Callable[[Complain], Iterable[AnyRow | Skip]], on_error: str, repeats: bool = False
) -> Reading:
    """Gather what `outcomes` gives; it is told what to complain to.

    Raises:
        DataError: `on_error` is neither `raise` nor `skip`; or what is malformed, when that is to be raised.
    """
    malformed: Counter[str] = Counter()
    reading = gather(kind, outcomes(complaints(on_error, malformed)), repeats)
    return replace(reading, report=reading.report + ReadReport(0, malformed))


def relation_records(file: Path, complain: Complain) -> Iterator[Record]:
    """The records of a relation's file; complains of one that holds none."""
    empty = True
    for record in stream_records(file, complain):
        empty = False
        yield record
    if empty:
        complain(BAD_RELATION, DataError("holds no record", "give it as it was published", where=str(file)))


def made(records: Iterable[Record], make: Callable[[Record], T], complain: Complain) -> Iterator[T]:
    """What each record becomes; complains of those that are malformed."""
    for record in records:
        try:
            outcome = make(record)
        except DataError as error:
            complain(BAD_RECORD, error)
        else:
            yield outcome
