"""SICK: pairs of plain sentences, and whether the first entails or contradicts the second."""

from __future__ import annotations

from pathlib import Path

from knowledge_data.downstream_rows import LabelledRow
from knowledge_data.files import read_table
from knowledge_data.reading import Reading, gather
from knowledge_data.records import Record

_JUDGMENTS = ("entailment", "neutral", "contradiction")


def read_sick(path: str | Path) -> Reading:
    """Read `sentence_A`, `sentence_B` and `entailment_judgment` of a tab-separated file; the label is lower-cased.

    Raises:
        DataError: a line is malformed or a judgment is none of the three; names file, line and field.
    """
    return gather(LabelledRow, map(_row, read_table(path)))


def _row(record: Record) -> LabelledRow:
    one, other, judgment = (record.get(name, str) for name in ("sentence_A", "sentence_B", "entailment_judgment"))
    if judgment.lower() not in _JUDGMENTS:
        raise record.error("entailment_judgment", f"is {judgment!r}", f"write {', '.join(_JUDGMENTS)}")
    if not other.strip():
        raise record.error("sentence_B", "is empty", "give the text")
    return record.make(LabelledRow, one, other, judgment.lower())
