"""One piece of a data set that is being built: its rows in Arrow files, and a note that they are whole."""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import pyarrow as pa

from knowledge_data.errors import DataError
from knowledge_data.hashing import DIGITS, rows_text
from knowledge_data.reading import table
from knowledge_data.triples.objectives import Sayer, Statement
from knowledge_data.triples.rows import said

_BATCH = 1_000
"""Rows that Arrow keeps together, so that one is found without the others being read."""


@dataclass(frozen=True)
class Piece:
    """What a piece holds.

    Attributes:
        number: which one it is, from 0.
        rows: of each split.
        skipped: what gave no row, by reason.
        hashes: of the rows of each split.
        sizes: of each file, in bytes.
    """

    number: int
    rows: dict[str, int]
    skipped: dict[str, int]
    hashes: dict[str, str]
    sizes: dict[str, int]


def write_piece(numbered: tuple[int, Sequence[Statement]], folder: Path, sayer: Sayer) -> Piece:
    """Say these statements and write their rows, a file for each split that has any; then the note.

    Raises:
        DataError: a statement cannot be said, or nothing can be written.
    """
    number, statements = numbered
    skipped = Counter[str]()
    rows, hashes, sizes = Counter[str](), {}, {}
    for split, of_split in said(statements, sayer, skipped).items():
        if of_split:
            made = table(sayer.kind, of_split)
            file = f"{split}/{piece_name(number)}.arrow"
            sizes[file] = _write(made, folder / file)
            rows[split] = made.num_rows
            hashes[split] = hashlib.sha256(rows_text(made.to_pydict())).hexdigest()[:DIGITS]
    piece = Piece(number, dict(rows), dict(skipped), hashes, sizes)
    _write_note(piece, folder)
    return piece


def whole_piece(number: int, folder: Path) -> Piece | None:
    """Give what the note says of a piece, if there is one and its files are as it says."""
    try:
        piece = Piece(**json.loads(_note(number, folder).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None
    there = all((folder / file).is_file() for file in piece.sizes)
    return piece if there and all((folder / f).stat().st_size == size for f, size in piece.sizes.items()) else None


def piece_name(number: int) -> str:
    """Give the name of a piece's files, without ending; in the order of numbers."""
    return f"data-{number:06}"


def _write(made: pa.Table, path: Path) -> int:
    aside = path.with_suffix(".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with pa.OSFile(str(aside), "wb") as sink, pa.ipc.new_stream(sink, made.schema) as stream:
            stream.write_table(made, max_chunksize=_BATCH)
        os.replace(aside, path)
        return path.stat().st_size
    except OSError as error:
        problem = f"cannot be written ({error.strerror or error})"
        raise DataError(problem, "make room, or choose another place", where=str(path)) from error


def _write_note(piece: Piece, folder: Path) -> None:
    note = _note(piece.number, folder)
    aside = note.with_suffix(".part")
    aside.write_text(json.dumps(asdict(piece)), encoding="utf-8")
    os.replace(aside, note)


def _note(number: int, folder: Path) -> Path:
    return folder / f"{piece_name(number)}.json"
