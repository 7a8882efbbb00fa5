"""CosmosQA: short stories from blogs, questions that need common sense, four answers each."""

from __future__ import annotations

from pathlib import Path

from knowledge_data.downstream_rows import ChoiceRow
from knowledge_data.files import read_csv
from knowledge_data.reading import Reading, gather
from knowledge_data.records import Record

_ANSWERS = tuple(f"answer{number}" for number in range(4))


def read_cosmosqa(path: str | Path) -> Reading:
    """Read `context`, `question`, `answer0` to `answer3` and `label` of a CSV file; several questions share a context.

    Raises:
        DataError: a record is malformed; names file, line and field.
    """
    return gather(ChoiceRow, map(_row, read_csv(path)))


def _row(record: Record) -> ChoiceRow:
    context, question, *answers = (record.get(name, str) for name in ("context", "question", *_ANSWERS))
    return record.make(ChoiceRow, context, question, tuple(answers), record.number("label", "count from 0"))
