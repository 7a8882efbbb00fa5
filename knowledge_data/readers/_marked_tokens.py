"""Sentences as tokens with inclusive subject and object positions: what T-REx-rc and TACRED share."""

from __future__ import annotations

from pathlib import Path

from knowledge_data.files import read_records
from knowledge_data.reading import Reading, gather
from knowledge_data.records import Record
from knowledge_data.row import Span
from knowledge_data.rows import RelationRow, join_tokens


def read_marked_tokens(path: str | Path, id_fields: tuple[str, str] = ("", "")) -> Reading:
    """Read `token`, `relation`, `subj_start`, `subj_end`, `obj_start`, `obj_end`; ends are inclusive.

    `id_fields` names the optional fields that hold the ids of subject and object.

    Raises:
        DataError: a record is not so; names file, record and field.
    """
    return gather(RelationRow, (_row(record, id_fields) for record in read_records(path)))


def _row(record: Record, id_fields: tuple[str, str]) -> RelationRow:
    tokens = record.items("token", str)
    spans = [_span(record, role, len(tokens)) for role in ("subj", "obj")]
    text, (subject, object_) = join_tokens(tokens, *spans)
    subject_id, object_id = (record.optional(field, str, "") for field in id_fields)
    return record.row(text, subject, object_, record.get("relation", str), (subject_id, object_id))


def _span(record: Record, role: str, size: int) -> Span:
    whole = f"the sentence has {size} tokens"
    first, last = (record.index(f"{role}_{side}", size, whole) for side in ("start", "end"))
    if last < first:
        raise record.error(f"{role}_end", f"is {last} but the span starts at {first}", "the end is inclusive")
    return first, last
