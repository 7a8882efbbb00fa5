"""BLiMP (Warstadt et al. 2020): pairs of a good and a bad English sentence for 67 phenomena of grammar."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from knowledge_data.members import Member, members
from knowledge_data.probes.gathering import made, read_rows
from knowledge_data.probes.rows import MinimalPair
from knowledge_data.reading import Reading
from knowledge_data.records import Record
from knowledge_data.streams import Complain, stream_records


def read_blimp(path: str | Path, on_error: str = "raise") -> Reading:
    """Read the published zip, a folder of its files, or one of them; rows are `MinimalPair`.

    Args:
        path: of any of these.
        on_error: `raise`, or `skip` what is malformed and count it.

    Raises:
        DataError: a record is malformed; names file, line and field.
    """
    found = members(path, (".jsonl",))
    return read_rows(MinimalPair, lambda complain: _rows(found, complain), on_error, repeats=True)


def _rows(found: list[Member], complain: Complain) -> Iterator[MinimalPair]:
    for member in found:
        yield from made(stream_records(member, complain), _row, complain)


def _row(record: Record) -> MinimalPair:
    fields = ("sentence_good", "sentence_bad", "UID", "linguistics_term")
    return record.make(MinimalPair, *(record.get(field, str) for field in fields))
