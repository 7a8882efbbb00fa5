"""Triples as JSON lines: an object with three named fields a line, or a list of three texts."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any

from knowledge_data.errors import DataError
from knowledge_data.graphs.columns import NAMES, ROLES, WRONG_COLUMNS, names_in
from knowledge_data.graphs.scan import Found, Scan, bad_text
from knowledge_data.records import Record
from knowledge_data.streams import NO_JSON, NO_RECORD, NO_TEXT, no_json

_names_in = lru_cache(maxsize=128)(names_in)
"""Most records of a file have the same fields."""

BAD_FIELDS = "a field is missing or no text"


def scan_json_lines(scan: Scan) -> Iterator[Found]:
    """What stands in the three fields, or the three places, of each line's value."""
    for number, line in scan.lines():
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as error:
            scan.complain(NO_JSON, no_json(error, scan.at(number)))
            continue
        found = _found(value, scan, number)
        if found is None:
            continue
        if problem := bad_text(*found[1:]):
            scan.complain(NO_TEXT, DataError(problem, "correct the escapes", where=scan.at(number)))
        else:
            yield found


def _found(value: Any, scan: Scan, number: int) -> Found | None:
    where = scan.at(number)
    if isinstance(value, list):
        return _of_list(value, scan, number)
    try:
        record = Record.of(value, where)
    except DataError as error:
        scan.complain(NO_RECORD, error)
        return None
    try:
        subject, relation, object_ = (_text(record, field) for field in fields_of(record, scan.columns))
        return number, subject, relation, object_
    except DataError as error:
        scan.complain(BAD_FIELDS, error)
        return None


def fields_of(record: Record, columns: Sequence[str] | None) -> tuple[str, str, str]:
    """Give the fields of subject, relation and object: those named, or those whose names are known.

    Raises:
        DataError: none are named, and the record has no three with known names.
    """
    if columns is not None:
        subject, relation, object_ = columns
        return subject, relation, object_
    named = _names_in(tuple(record.values))
    if named is None:
        there = ", ".join(map(str, record.values)) or "none"
        known = "; ".join(f"{role}: {', '.join(sorted(NAMES[role]))}" for role in ROLES)
        problem = f"has no fields whose names say subject, relation and object, but {there}"
        raise DataError(problem, f"name them with columns=[…], or call them {known}", where=record.where)
    return named


def _text(record: Record, field: str) -> str:
    value = record.values.get(field)
    if type(value) is str:
        return value
    # Ids are numbers in some sets.
    return str(value) if type(value) is int else record.get(field, str)


def _of_list(value: list[Any], scan: Scan, number: int) -> Found | None:
    if len(value) == 3 and all(isinstance(part, str) for part in value):
        return number, value[0], value[1], value[2]
    problem, fix = "is a list, but not one of three texts", "give subject, relation and object"
    scan.complain(WRONG_COLUMNS, DataError(problem, fix, where=scan.at(number)))
    return None
