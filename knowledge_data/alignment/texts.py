"""The texts of a corpus, one by one: lines of plain text, or a field of JSON records."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from knowledge_data.errors import DataError
from knowledge_data.files import Line
from knowledge_data.members import Member, members
from knowledge_data.streams import Complain, fail, stream_lines, stream_records

_JSON = (".json", ".jsonl")

NO_FIELD = "record without the text"


def stream_texts(path: str | Path, field: str = "text", complain: Complain = fail) -> Iterator[Line]:
    """Give each text with where it stands; only one is in memory at a time.

    A `.json` or `.jsonl` file holds records, of which `field` is the text; any other file holds a text a line, blank
    ones passed over. A folder or a zip holds `.txt`, `.json` and `.jsonl` files. Each may be gzipped.

    Raises:
        DataError: nothing can be read there; or what `complain` raises of what is of no use.
    """
    for member in members(path, (".txt", *_JSON)):
        if member.name.removesuffix(".gz").endswith(_JSON):
            yield from _fields(member, field, complain)
        else:
            yield from (line for line in stream_lines(member, complain) if line[1])


def _fields(member: Member, field: str, complain: Complain) -> Iterator[Line]:
    for record in stream_records(member, complain):
        try:
            yield record.where, record.get(field, str)
        except DataError as error:
            complain(NO_FIELD, error)
