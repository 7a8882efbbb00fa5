"""FewRel: Wikipedia sentences by Wikidata relation."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from knowledge_data.errors import DataError
from knowledge_data.files import read_json
from knowledge_data.reading import Reading, gather
from knowledge_data.records import Record
from knowledge_data.row import Span
from knowledge_data.rows import RelationRow, join_tokens


def read_fewrel(path: str | Path) -> Reading:
    """Read `{"P177": [{"tokens": [...], "h": [name, id, [[positions]]], "t": ...}]}`, first mentions only.

    Raises:
        DataError: a record is malformed; names file, relation, record and field.
    """
    return gather(RelationRow, (_row(relation, record) for relation, record in _records(path)))


def _records(path: str | Path) -> Iterator[tuple[str, Record]]:
    relations = Record.of(read_json(path), str(path))
    if not any(relations.values.values()):
        raise DataError("holds no record", "give a file with records", where=str(path))
    for relation in relations.values:
        for number, item in enumerate(relations.items(relation, dict), start=1):
            yield relation, Record(item, f"{path}: {relation} record {number}")


def _row(relation: str, record: Record) -> RelationRow:
    tokens = record.items("tokens", str)
    head, tail = (_entity(record, role) for role in ("h", "t"))
    text, (subject, object_) = join_tokens(tokens, _span(head, len(tokens)), _span(tail, len(tokens)))
    return record.row(text, subject, object_, relation, (head.get("id", str), tail.get("id", str)))


def _entity(record: Record, role: str) -> Record:
    parts = record.get(role, list)
    if len(parts) != 3:
        raise record.error(role, f"has {len(parts)} parts", "give [name, id, positions]")
    return record.inside(dict(zip(("name", "id", "positions"), parts, strict=True)), role)


def _span(entity: Record, size: int) -> Span:
    mentions = entity.groups("positions", int)
    if not mentions or not mentions[0]:
        raise entity.error("positions", "names no token", "give the positions of each mention")
    whole = f"the sentence has {size} tokens"
    mention = [entity.check_index(f"positions[0][{i}]", at, size, whole) for i, at in enumerate(mentions[0])]
    if mention != list(range(mention[0], mention[-1] + 1)):
        raise entity.error("positions[0]", f"is {mention}, not consecutive", "mark an unbroken run of tokens")
    return mention[0], mention[-1]
