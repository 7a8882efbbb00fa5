"""What a reader gives: rows, and a report of what it kept and what it left out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterable
from dataclasses import dataclass, field, fields
from typing import TypeVar

import pyarrow as pa
from datasets import Dataset
from datasets.table import InMemoryTable

from knowledge_data.row import Row

AnyRow = TypeVar("AnyRow", bound=Row)

DUPLICATE = "duplicate record"


@dataclass(frozen=True)
class Skip:
    """A well-formed record that gives no row, and why."""

    reason: str


@dataclass(frozen=True)
class ReadReport:
    """How many records became rows, and how many were left out for which reason. Reports add up with `+`."""

    kept: int = 0
    skipped: Counter[str] = field(default_factory=Counter)

    def __add__(self, other: ReadReport) -> ReadReport:
        return ReadReport(self.kept + other.kept, self.skipped + other.skipped)

    @property
    def total(self) -> int:
        """How many records were read."""
        return self.kept + self.skipped.total()

    def as_dict(self) -> dict[str, int | dict[str, int]]:
        """Plain values, ready for JSON."""
        return {"kept": self.kept, "skipped": dict(self.skipped)}


@dataclass(frozen=True)
class Reading:
    """Rows of one kind, such as `RelationRow`, and the report of how they were read."""

    rows: Dataset
    report: ReadReport


def gather(kind: type[AnyRow], outcomes: Iterable[AnyRow | Skip], repeats: bool = False) -> Reading:
    """Keep each usable row of this kind, once unless it may repeat; count the others by reason."""
    rows: list[AnyRow] = []
    seen: set[AnyRow] = set()
    skipped: Counter[str] = Counter()
    for outcome in outcomes:
        kept = _usable(outcome, () if repeats else seen)
        if isinstance(kept, Skip):
            skipped[kept.reason] += 1
        else:
            rows.append(kept)
            seen.add(kept)
    return Reading(dataset(kind, rows), ReadReport(len(rows), skipped))


def dataset(kind: type[AnyRow], rows: Iterable[AnyRow]) -> Dataset:
    """The data set of these rows; it has its columns even when there is no row."""
    return Dataset(InMemoryTable(table(kind, rows)))


def table(kind: type[AnyRow], rows: Iterable[AnyRow]) -> pa.Table:
    """The Arrow table of these rows."""
    rows = list(rows)
    values = {column.name: [getattr(row, column.name) for row in rows] for column in fields(kind)}
    # `Dataset.from_dict` looks at every value, and takes eight times as long.
    return pa.Table.from_pydict(values, schema=kind.features().arrow_schema)


def _usable(outcome: AnyRow | Skip, seen: Container[AnyRow]) -> AnyRow | Skip:
    if isinstance(outcome, Skip):
        return outcome
    if outcome.flaw:
        return Skip(outcome.flaw)
    return Skip(DUPLICATE) if outcome in seen else outcome
