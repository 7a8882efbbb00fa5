"""What a data set holds, as a few digits: the same rows give the same digits, wherever they lie."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from datasets import DatasetDict

DIGITS = 16

_BATCH = 10_000


def content_hash(splits: DatasetDict) -> str:
    """Give 16 hexadecimal digits that change when any row of any split does."""
    digest = hashlib.sha256()
    for name in sorted(splits):
        digest.update(name.encode())
        # Arrow gives columns at once; row by row, a million rows take minutes.
        for batch in splits[name].with_format("arrow").iter(_BATCH):
            digest.update(rows_text(batch.to_pydict()))
    return digest.hexdigest()[:DIGITS]


def rows_text(columns: Mapping[str, Sequence[Any]]) -> bytes:
    """Give the text of rows that is hashed: of each row its sorted fields, as Python writes them."""
    names = sorted(columns)
    rows = zip(*(columns[name] for name in names), strict=True)
    return "".join(repr(list(zip(names, row, strict=True))) for row in rows).encode()


def file_hash(path: Path) -> str:
    """Give the digits of a file's bytes, or of all files in a folder and their names."""
    digest = hashlib.sha256()
    for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
        if file.is_file():
            digest.update(file.name.encode() if path.is_dir() else b"")
            with file.open("rb") as content:
                while block := content.read(1 << 20):
                    digest.update(block)
    return digest.hexdigest()[:DIGITS]
