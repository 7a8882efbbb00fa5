"""Timing side by side: every round runs each row once, so that what else the machine does meets all of them."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Hashable, Mapping
from typing import TypeVar

Row = TypeVar("Row", bound=Hashable)


def interleaved(rows: Mapping[Row, Callable[[], object]], repetitions: int, warm_up: int = 3) -> dict[Row, float]:
    """Give the median seconds of each row."""
    seconds: dict[Row, list[float]] = {row: [] for row in rows}
    for turn in range(repetitions + warm_up):
        for row, run in rows.items():
            started = time.perf_counter()
            run()
            if turn >= warm_up:
                seconds[row].append(time.perf_counter() - started)
    return {row: statistics.median(values) for row, values in seconds.items()}
