"""BLiMP (Warstadt et al. 2020): pairs of a good and a bad English sentence for 67 phenomena of grammar."""

from __future__ import annotations

from pathlib import Path

from knowledge_data.members import members
from knowledge_data.probes.rows import MinimalPair
from knowledge_data.reading import Reading, gather
from knowledge_data.records import Record
from knowledge_data.streams import stream_records


def read_blimp(path: str | Path) -> Reading:
    """Read the published zip, a folder of its files, or one of them; rows are `MinimalPair`.

    Raises:
        DataError: a record is malformed; names file, line and field.
    """
    found = members(path, (".jsonl",))
    records = (record for member in found for record in stream_records(member))
    return gather(MinimalPair, map(_row, records), repeats=True)


def _row(record: Record) -> MinimalPair:
    fields = ("sentence_good", "sentence_bad", "UID", "linguistics_term")
    return record.make(MinimalPair, *(record.get(field, str) for field in fields))
