"""What a benchmark measured, printed and written: seconds and ratios, versions and machine."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import torch


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
