"""What a benchmark measured: seconds and ratios, versions and machine; drawn; measured in a process of its own."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from collections.abc import Callable, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]


def ratios(seconds: Mapping[str, float], baseline: str) -> dict[str, dict[str, float]]:
    """Give seconds and ratios to the baseline of each row."""
    return {row: {"seconds": round(s, 5), "ratio": round(s / seconds[baseline], 3)} for row, s in seconds.items()}


def whole(measure: Callable[[], Mapping[str, Any]]) -> dict[str, Any]:
    """Measure, and say with what and on what: on a busy machine, only ratios within one run say something."""
    load = os.getloadavg()[0]
    return {
        **measure(),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "load_before": round(load, 1),
        "versions": {name: metadata.version(name) for name in ("kadapter", "torch", "transformers", "datasets")},
    }


def bars(report: Mapping[str, Any], path: Path) -> None:
    """Draw one figure of every row: the one that the report names as `drawn`, else the ratio to its baseline."""
    # Here and not above: a process in which something else is measured needs no plots.
    from matplotlib.figure import Figure

    drawn = report.get("drawn", "ratio")
    values = {row: figures[drawn] for row, figures in reversed(report["rows"].items())}
    figure = Figure(figsize=(7, 1 + 0.3 * len(values)), layout="constrained")
    axes = figure.subplots()
    axes.bar_label(axes.barh(list(values), list(values.values()), color="lightsteelblue"), fmt="{:,.4g}", padding=3)
    axes.set(xlabel=drawn.replace("_", " "))
    axes.margins(x=0.15)
    figure.savefig(path, dpi=120)


def write(
    report: Mapping[str, Any], folder: Path, name: str, draw: Callable[[Any, Path], None] = bars, table: str = ""
) -> None:
    """Write a report as JSON and as a plot, and its table as Markdown, if it has one."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.json").write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    if table:
        (folder / f"{name}.md").write_text(table, encoding="utf-8")
    draw(report, folder / f"{name}.png")


def in_process(module: str, options: Mapping[str, Any], apart: bool = True) -> dict[str, Any]:
    """Give what `module.measured(**options)` does, from a process of its own unless not `apart`."""
    if not apart:
        return sys.modules[module].measured(**options)
    command = [sys.executable, "-m", "benchmarks.reporting", module, json.dumps(options)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, cwd=ROOT)
    return json.loads(done.stdout.splitlines()[-1])


if __name__ == "__main__":
    from importlib import import_module

    print(json.dumps(import_module(sys.argv[1]).measured(**json.loads(sys.argv[2]))))
