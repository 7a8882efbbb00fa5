"""Plots of a run, as PNG."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kadapter.files import written_whole


def plot_losses(history: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Draw training and validation loss against the step, from what Trainer logged."""
    # The object interface: pyplot would choose a window system, and keep every figure alive.
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.subplots()
    for key, label in (("loss", "training"), ("eval_loss", "validation")):
        points = [(entry["step"], entry[key]) for entry in history if key in entry]
        if points:
            axes.plot(*zip(*points, strict=True), marker="o" if key == "eval_loss" else "", label=label)
    axes.set(xlabel="step", ylabel="loss", ylim=(0, None))
    axes.legend()
    with written_whole(path) as aside:
        figure.savefig(aside, format="png", dpi=120)
