"""Plots of a run, as PNG."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kadapter.files import written_whole

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def plot_losses(history: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Draw training and validation loss against the step, from what Trainer logged."""
    figure, axes = _figure(4)
    for key, label in (("loss", "training"), ("eval_loss", "validation")):
        points = [(entry["step"], entry[key]) for entry in history if key in entry]
        if points:
            axes.plot(*zip(*points, strict=True), marker="o" if key == "eval_loss" else "", label=label)
    axes.set(xlabel="step", ylabel="loss", ylim=(0, None))
    axes.legend()
    _save(figure, path)


def plot_ledger(report: Mapping[str, Any], path: Path) -> None:
    """Draw the mean of each row's main metric on the first split, its spread, and a dot for every seed."""
    split, metric = report["splits"][0], report["metric"]
    scores = {name: row["scores"][split][metric] for name, row in reversed(report["rows"].items())}
    figure, axes = _figure(1 + 0.4 * len(scores))
    means, spreads = ([100 * score[key] for score in scores.values()] for key in ("mean", "spread"))
    axes.barh(list(scores), means, xerr=spreads, color="lightsteelblue", capsize=3)
    for name, score in scores.items():
        axes.plot([100 * value for value in score["values"]], [name] * len(score["values"]), "k.", markersize=4)
    lowest, highest = (100 * bound(value for s in scores.values() for value in s["values"]) for bound in (min, max))
    # From well below the worst: differences are what is looked for.
    axes.set(xlabel=f"{split} {metric}, %", xlim=(max(0, lowest - (highest - lowest) - 1), None))
    _save(figure, path)


def _figure(height: float) -> tuple[Figure, Axes]:
    # The object interface: pyplot would choose a window system, and keep every figure alive.
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, height), layout="constrained")
    return figure, figure.subplots()


def _save(figure: Figure, path: Path) -> None:
    with written_whole(path) as aside:
        figure.savefig(aside, format="png", dpi=120)
