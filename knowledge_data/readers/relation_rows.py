"""Our own form of relation sentences: the fields of `RelationRow` as JSON lines, or the Arrow files of `datasets`."""

from __future__ import annotations

from pathlib import Path

from datasets import Dataset, load_from_disk

from knowledge_data.errors import DataError
from knowledge_data.files import read_records
from knowledge_data.reading import Reading, ReadReport, gather
from knowledge_data.records import Record
from knowledge_data.rows import RELATION_FEATURES, RelationRow
from knowledge_data.writing import ROWS

_ROLES = ("subject", "object")


def read_relation_rows(path: str | Path) -> Reading:
    """Read what `kadapter data align` writes: its folder, or the `rows.jsonl` in it.

    Rows in Arrow stay in their files.

    Raises:
        DataError: a record is malformed, names file, line and field; or the folder holds something else.
    """
    path = Path(path)
    if not path.is_dir():
        return gather(RelationRow, map(_row, read_records(path)))
    if (path / "state.json").is_file():
        return _of_arrow(path)
    return gather(RelationRow, map(_row, read_records(path / ROWS)))


def _row(record: Record) -> RelationRow:
    subject, object_ = ((record.get(f"{role}_start", int), record.get(f"{role}_end", int)) for role in _ROLES)
    ids = record.get("subject_id", str), record.get("object_id", str)
    phrasing = record.optional("phrasing", str, "")
    text, relation = record.get("text", str), record.get("relation", str)
    return record.make(RelationRow.of_spans, text, subject, object_, relation, ids, phrasing)


def _of_arrow(path: Path) -> Reading:
    try:
        rows = load_from_disk(str(path))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"cannot be read ({error})", "make it again", where=str(path)) from error
    if not isinstance(rows, Dataset) or rows.features != RELATION_FEATURES:
        raise DataError("holds other data than relation sentences", "give what align wrote", where=str(path))
    return Reading(rows, ReadReport(rows.num_rows))
