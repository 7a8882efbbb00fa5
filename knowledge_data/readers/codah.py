"""CODAH: beginnings of sentences, written to be hard, and four ways to complete each."""

from __future__ import annotations

from pathlib import Path

from knowledge_data.downstream_rows import ChoiceRow
from knowledge_data.files import read_table
from knowledge_data.reading import Reading, gather
from knowledge_data.records import Record

_COMPLETIONS = tuple(f"completion{number}" for number in range(4))


def read_codah(path: str | Path) -> Reading:
    """Read a tab-separated file without header: category, prompt, four completions, which one is right (from 0).

    Raises:
        DataError: a line is malformed; names file, line and field.
    """
    return gather(ChoiceRow, map(_row, read_table(path, ("category", "prompt", *_COMPLETIONS, "label"))))


def _row(record: Record) -> ChoiceRow:
    completions = tuple(record.get(name, str) for name in _COMPLETIONS)
    return record.make(ChoiceRow, record.get("prompt", str), "", completions, record.number("label", "count from 0"))
