"""Timing side by side: every round runs each row once, so that what else the machine does meets all of them."""

from __future__ import annotations

import json
import platform
import statistics
import time
from collections.abc import Callable, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

Rows = Mapping[str, Callable[[], object]]


def interleaved(rows: Rows, repetitions: int, warm_up: int = 3) -> dict[str, float]:
    """Give the median seconds of each row."""
    seconds: dict[str, list[float]] = {row: [] for row in rows}
    for turn in range(repetitions + warm_up):
        for row, run in rows.items():
            started = time.perf_counter()
            run()
            if turn >= warm_up:
                seconds[row].append(time.perf_counter() - started)
    return {row: statistics.median(values) for row, values in seconds.items()}


def report(setting: Mapping[str, Any], seconds: Mapping[str, float], baseline: str, output: Path | None) -> None:
    """Print seconds and ratios to the baseline with versions and machine, and write them when there is an `output`."""
    text = json.dumps(
        {
            "setting": dict(setting),
            "rows": {
                row: {"seconds": round(s, 5), "ratio": round(s / seconds[baseline], 3)} for row, s in seconds.items()
            },
            "machine": f"{platform.machine()}, {torch.get_num_threads()} threads",
            "versions": {name: metadata.version(name) for name in ("kadapter", "torch", "transformers")},
        },
        indent=2,
    )
    print(text)
    if output:
        output.write_text(text + "\n")
