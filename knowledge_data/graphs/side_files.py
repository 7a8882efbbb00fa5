"""Side files: what is said of ids, an entry each. Tables, JSON objects, JSON lines."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from knowledge_data.errors import DataError
from knowledge_data.files import read_json
from knowledge_data.graphs.columns import WRONG_COLUMNS
from knowledge_data.graphs.folders import format_of
from knowledge_data.graphs.scan import Scan, bad_text
from knowledge_data.graphs.separated import scan_cells
from knowledge_data.graphs.triples import EMPTY
from knowledge_data.records import Record
from knowledge_data.streams import NO_RECORD, NO_TEXT, stream_records

SIDE_FORMATS: Mapping[str, str] = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".txt": "tsv",
    ".json": "json",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".nt": "nt",
}

FIELDS: Mapping[str, tuple[str, ...]] = {
    "label": ("label", "name", "title"),
    "aliases": ("aliases", "alternatives", "alias"),
    "types": ("types", "type"),
    "description": ("description", "definition"),
}
"""Field of `EntityFacts` -> what it is called in files."""

_IDS = ("id", "entity", "entity_id", "relation", "relation_id", "property", "node", "qid", "uri", "iri")

_PAIRS = (("sub_id", "sub_label"), ("obj_id", "obj_label"))
"""Probes say both in a record: BEAR's do."""

NO_ID = "a field is missing or no text"

_KNOWN = {name for names in FIELDS.values() for name in names}


@dataclass(frozen=True)
class Entry:
    """What a file says of an id.

    Attributes:
        identifier: the id.
        value: a text, a list of texts, or a mapping of named fields.
        where: the entry stands, for messages.
        table: whether the file is one: then a text may hold several.
    """

    identifier: str
    value: Any
    where: str
    table: bool = False

    def record(self) -> Record:
        """Give the value, with access to its fields.

        Raises:
            DataError: it has no named fields.
        """
        return Record.of(self.value, self.where)


def scan_entries(scan: Scan, id_field: str | None = None) -> Iterator[Entry]:
    """Every entry whose id can be one; complains of the others.

    Args:
        scan: the file.
        id_field: the field or column of the id; by default the key, the first cell, or a field whose name is known.
    """
    form = format_of(Path(scan.member.name), SIDE_FORMATS)
    entries = _of_json(scan, id_field) if form in ("json", "jsonl") else _of_table(scan, form, id_field)
    for entry in entries:
        problem = bad_text(entry.identifier, *_texts(entry.value))
        if problem:
            scan.complain(NO_TEXT, DataError(problem, "correct the escapes", where=entry.where))
        elif not entry.identifier.strip():
            fix = "say what the entry is about"
            scan.complain(EMPTY, DataError("has an empty id", fix, where=entry.where))
        else:
            yield replace(entry, identifier=entry.identifier.strip())


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        yield from (part for part in value if isinstance(part, str))
    elif isinstance(value, dict):
        for part in value.values():
            if isinstance(part, (str, list)):
                yield from _texts(part)


def _of_table(scan: Scan, form: str, id_field: str | None) -> Iterator[Entry]:
    names: Sequence[str] | None = None
    place = 0
    for count, (number, cells) in enumerate(scan_cells(scan, form)):
        if count == 0 and (id_field is not None or _are_names(cells)):
            names, place = cells, _id_place(cells, id_field, scan.at(number))
        elif len(cells) < 2 or (names is not None and len(cells) != len(names)):
            problem = f"has {len(cells)} cells but must have {len(names) if names else 'an id and a text'}"
            error = DataError(problem, "separate the cells by tabs, in .csv by commas", where=scan.at(number))
            scan.complain(WRONG_COLUMNS, error)
        else:
            value = cells[1:] if names is None else dict(zip(names, cells, strict=True))
            yield Entry(cells[place], value, scan.at(number), table=True)


def _are_names(cells: Sequence[str]) -> bool:
    return len(cells) > 1 and cells[0].strip().lower() in _IDS and any(cell.strip() in _KNOWN for cell in cells[1:])


def _id_place(cells: Sequence[str], id_field: str | None, where: str) -> int:
    if id_field is None:
        return 0
    if id_field not in cells:
        raise DataError(f"has no column {id_field!r} but {', '.join(cells)}", "choose the id from them", where=where)
    return cells.index(id_field)


def _of_json(scan: Scan, id_field: str | None) -> Iterator[Entry]:
    if format_of(Path(scan.member.name), SIDE_FORMATS) == "json" and not _opens_list(scan):
        yield from _of_object(scan, id_field)
        return
    for record in stream_records(scan.member, scan.complain):
        try:
            yield from _of_record(record, id_field)
        except DataError as error:
            scan.complain(NO_ID, error)


def _opens_list(scan: Scan) -> bool:
    with scan.member.opened() as file:
        return file.read(4096).lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"[")


def _of_object(scan: Scan, id_field: str | None) -> Iterator[Entry]:
    name = scan.member.name
    for key, value in Record.of(read_json(name), name).values.items():
        where = f"{name}: entry {key!r}"
        try:
            yield Entry(key if id_field is None else Record.of(value, where).get(id_field, str), value, where)
        except DataError as error:
            scan.complain(NO_ID if isinstance(value, dict) else NO_RECORD, error)


def _of_record(record: Record, id_field: str | None) -> Iterator[Entry]:
    pairs = [pair for pair in _PAIRS if pair[0] in record.values]
    if id_field is None and pairs:
        for identifier, label in pairs:
            yield Entry(record.get(identifier, str), record.get(label, str), record.where)
        return
    field = id_field or next((name for name in _IDS if name in record.values), "id")
    value = record.values.get(field)
    identifier = str(value) if type(value) is int else record.get(field, str)
    yield Entry(identifier, dict(record.values), record.where)
