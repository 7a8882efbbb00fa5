"""What a reader gives: rows, and a report of what it kept and what it left out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterable
from dataclasses import dataclass, field

from datasets import Dataset

from knowledge_data.rows import RELATION_FEATURES, RelationRow

OVERLAP = "subject and object overlap"
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
    """Rows in the schema `RELATION_FEATURES`, and the report of how they were read."""

    rows: Dataset
    report: ReadReport


def gather(outcomes: Iterable[RelationRow | Skip]) -> Reading:
    """Keep each usable row once; count the others by reason."""
    rows: dict[RelationRow, None] = {}
    skipped: Counter[str] = Counter()
    for outcome in outcomes:
        kept = _usable(outcome, rows)
        if isinstance(kept, Skip):
            skipped[kept.reason] += 1
        else:
            rows[kept] = None
    data = Dataset.from_list([vars(row) for row in rows], features=RELATION_FEATURES)
    return Reading(data, ReadReport(len(rows), skipped))


def _usable(outcome: RelationRow | Skip, seen: Container[RelationRow]) -> RelationRow | Skip:
    if isinstance(outcome, Skip):
        return outcome
    if outcome.overlaps:
        return Skip(OVERLAP)
    return Skip(DUPLICATE) if outcome in seen else outcome
