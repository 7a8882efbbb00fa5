"""Whether there is room for a whole graph in memory, said before anything is read."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path

import psutil

PER_BYTE = 20
"""Bytes of memory for a byte of a triple file, at most; in a gzipped file five times as many."""


def check_room(files: Sequence[Path]) -> None:
    """Warn when reading these files as a graph may take more memory than is free."""
    needed = sum(path.stat().st_size * PER_BYTE * (5 if path.suffix == ".gz" else 1) for path in files)
    free = psutil.virtual_memory().available
    if needed > free:
        warnings.warn(
            f"a graph is held in memory as a whole: {files[0]} may need {needed / 2**30:.0f} GB, and "
            f"{free / 2**30:.0f} GB are free; triples that are only turned into rows are streamed (iter_triples)",
            stacklevel=3,
        )
