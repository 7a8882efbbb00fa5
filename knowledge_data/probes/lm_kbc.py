"""LM-KBC 2022 (Singhania et al.): subjects and relations with none, one or many objects, each with its other names."""

from __future__ import annotations

from pathlib import Path

from knowledge_data.probes.gathering import made, read_rows
from knowledge_data.probes.rows import ClozeProbe
from knowledge_data.reading import Reading
from knowledge_data.records import Record
from knowledge_data.streams import stream_records


def read_lm_kbc(path: str | Path, on_error: str = "raise") -> Reading:
    """Read `SubjectEntity`, `Relation` and `ObjectEntities`; rows are `ClozeProbe`, without ids or phrasings.

    Args:
        path: of the file.
        on_error: `raise`, or `skip` what is malformed and count it.

    Raises:
        DataError: a record is malformed; names file, line and field.
    """
    return read_rows(ClozeProbe, lambda complain: made(stream_records(path, complain), _row, complain), on_error)


def _row(record: Record) -> ClozeProbe:
    # Two published records list an object without a name beside a real one.
    objects = [names for names in record.groups("ObjectEntities", str) if names]
    names = tuple(name for of_object in objects for name in of_object)
    numbers = tuple(number for number, of_object in enumerate(objects) for _ in of_object)
    relation, subject = record.get("Relation", str), record.get("SubjectEntity", str)
    return record.make(ClozeProbe, relation, subject, "", names, numbers, (), (), ())
