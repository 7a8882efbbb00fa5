"""Whether there is room for a whole graph in memory, said before anything is read."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path

import psutil

PER_BYTE = 35
"""Bytes of memory for a byte of a triple file, as measured with short ids; of a gzipped file five times as many."""


def memory_needed(files: Iterable[Path]) -> int:
    """Guess how many bytes a graph from these files takes in memory."""
    return sum(path.stat().st_size * PER_BYTE * (5 if path.suffix == ".gz" else 1) for path in files)


def check_room(files: Sequence[Path]) -> None:
    """Warn when reading these files as a graph may take more memory than is free."""
    needed, free = memory_needed(files), psutil.virtual_memory().available
    if needed > free:
        warnings.warn(
            f"a graph is held in memory as a whole: {files[0]} may need {needed / 2**30:.0f} GB, and "
            f"{free / 2**30:.0f} GB are free; triples that are only turned into rows are streamed (iter_triples)",
            stacklevel=3,
        )
