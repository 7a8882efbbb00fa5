"""PIQA: everyday goals, and two ways to reach each of which one works."""

from __future__ import annotations

from pathlib import Path

from knowledge_data.downstream_rows import ChoiceRow
from knowledge_data.errors import DataError
from knowledge_data.files import Line, read_lines, read_records
from knowledge_data.reading import Reading, gather
from knowledge_data.records import Record


def read_piqa(path: str | Path) -> Reading:
    """Read `goal`, `sol1` and `sol2` of `NAME.jsonl`, and from `NAME-labels.lst` beside it which one works, 0 or 1.

    Raises:
        DataError: a record or a label is malformed, or there are more or fewer labels than records; names file,
            line and field.
    """
    records = read_records(path)
    labels = _labels(Path(path), len(records))
    return gather(ChoiceRow, map(_row, records, labels))


def _labels(path: Path, records: int) -> list[Line]:
    name = path.name.removesuffix(".gz").rpartition(".")[0]
    labels_path = path.with_name(f"{name}-labels.lst")
    lines = [(where, line) for where, line in read_lines(labels_path) if line]
    if len(lines) != records:
        problem = f"holds {len(lines)} labels for the {records} records of {path.name}"
        raise DataError(problem, "give one label a line for each", where=str(labels_path))
    return lines


def _row(record: Record, label: Line) -> ChoiceRow:
    where, right = label
    if right not in ("0", "1"):
        raise DataError(f"is {right!r}", "write 0 for sol1 or 1 for sol2", where=where, field="label")
    goal, *solutions = (record.get(name, str) for name in ("goal", "sol1", "sol2"))
    return record.make(ChoiceRow, goal, "", tuple(solutions), int(right))
