"""Writing rows as they come, in constant memory: JSON lines, or Arrow as `datasets` saves it."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
from datasets import Dataset

from knowledge_data.errors import DataError
from knowledge_data.reading import AnyRow, table

ROWS = "rows.jsonl"

_BATCH = 1_000


class Written(NamedTuple):
    """How many rows were written, and a hash of what they hold, the same in every form."""

    rows: int
    content_hash: str


def check_form(form: str) -> None:
    """Make sure that rows can be written in this form.

    Raises:
        DataError: it is unknown.
    """
    if form not in ("jsonl", "arrow"):
        raise DataError(f"form={form!r} is unknown", "choose jsonl or arrow")


def write_rows(kind: type[AnyRow], rows: Iterable[AnyRow], folder: Path, form: str = "jsonl") -> Written:
    """Write rows of one kind to a folder: `rows.jsonl`, or what `datasets.load_from_disk` reads.

    Raises:
        DataError: the form is unknown.
    """
    check_form(form)
    lines = _Lines()
    if form == "jsonl":
        with (folder / ROWS).open("wb") as file:
            for row in rows:
                file.write(lines.add(row))
    else:
        _write_arrow(kind, (row for row in rows if lines.add(row)), folder)
    return Written(lines.number, lines.digest.hexdigest()[:16])


class _Lines:
    """Makes a JSON line of each row, and remembers how many there were and what they said."""

    def __init__(self) -> None:
        self.number, self.digest = 0, hashlib.sha256()

    def add(self, row: AnyRow) -> bytes:
        line = (json.dumps(vars(row), ensure_ascii=False) + "\n").encode()
        self.number += 1
        self.digest.update(line)
        return line


def _write_arrow(kind: type[AnyRow], rows: Iterator[AnyRow], folder: Path) -> None:
    # `datasets` will not write to the folder that it reads from.
    aside = folder / "aside" / "rows.arrow"
    aside.parent.mkdir()
    with pa.OSFile(str(aside), "wb") as sink, pa.ipc.new_stream(sink, kind.features().arrow_schema) as stream:
        while batch := list(islice(rows, _BATCH)):
            stream.write_table(table(kind, batch))
    # The file is mapped into memory and copied piece by piece.
    Dataset.from_file(str(aside)).save_to_disk(folder)
    shutil.rmtree(aside.parent)
