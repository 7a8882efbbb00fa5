"""Plots of a run, as PNG."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

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


def plot_sweep(report: Mapping[str, Any], path: Path) -> None:
    """Draw the score of each curve against the layers dropped, and below it the speed of a pass and of a step."""
    figure, [above, below] = _panels(2, 3.2)
    metric, seconds = report["metric"], report["seconds"]
    for name, curve in report["curves"].items():
        means, spreads = ([100 * curve[n][metric][key] for n in curve] for key in ("mean", "spread"))
        above.errorbar(list(map(int, curve)), means, spreads, marker="o", capsize=3, label=name)
    for what, times in seconds.items():
        below.plot(list(map(int, times)), [times["0"] / taken for taken in times.values()], marker="o", label=what)
    above.set(ylabel=f"{report['split']} {metric}, %")
    below.set(xlabel="lowest layers dropped", ylabel="speed, 1 with none dropped", ylim=(0, None))
    for axes in (above, below):
        axes.legend()
    _save(figure, path)


def plot_probe(report: Mapping[str, Any], path: Path) -> None:
    """Draw the first metric of each model, over all and by relation, with intervals; the hollow mark is chance."""
    overall, metric = report["overall"], report["metrics"][0]
    rows = {"by fact": overall["micro"], "by relation": overall["macro"], **report["relations"]}
    figure, axes = _figure(1.2 + 0.22 * len(rows))
    for number, model in enumerate(report["models"]):
        shift = 0.12 * (2 * number - len(report["models"]) + 1)
        said = {place + shift: row[model][metric] for place, row in enumerate(rows.values())}
        means = [100 * interval["mean"] for interval in said.values()]
        axes.errorbar(means, list(said), xerr=_around(list(said.values())), fmt="o", markersize=3, label=model)
    chances = [overall["chance"], overall["chance"], *(row["chance"] for row in report["relations"].values())]
    axes.plot([100 * chance for chance in chances], range(len(rows)), "o", mfc="none", color="grey", label="chance")
    axes.set_yticks(range(len(rows)), [_short(name) for name in rows], fontsize=7, parse_math=False)
    axes.invert_yaxis()
    axes.set(xlabel=f"{metric}, %", xlim=(0, 100), title=report["probe"])
    axes.legend(fontsize=7)
    _save(figure, path)


def _around(intervals: Sequence[Mapping[str, float]]) -> np.ndarray:
    """Give how far intervals reach below and above their means, in percent: (2, N)."""
    far = [(one["mean"] - one.get("low", one["mean"]), one.get("high", one["mean"]) - one["mean"]) for one in intervals]
    # A mean may lie a hair outside of what was drawn.
    return 100 * np.array(far).clip(0).T


def plot_attention(report: Mapping[str, Any], path: Path) -> None:
    """Draw the weights of adapters that mix, dark where they are high, grey where something is not mixed.

    Of a split, a map for each adapter: what is mixed × places. Of a text, one for each of what is mixed in each
    adapter: places × tokens.
    """
    maps = list(_text_maps(report) if "tokens" in report else _split_maps(report))
    tall, wide = (max(len(labels) for labels in sides) for sides in zip(*(sides for _, *sides, _ in maps), strict=True))
    figure, panels = _panels(len(maps), 1.8 + 0.25 * tall, 2 + 0.3 * min(max(wide, 14), _MOST_LABELS))
    for axes, (title, rows, columns, weights) in zip(panels, maps, strict=True):
        _draw_map(axes, weights, rows, columns)
        axes.set_title(title, parse_math=False)
    figure.colorbar(panels[0].images[0], ax=panels, label="weight", aspect=10 * len(maps))
    _save(figure, path)


def plot_graph(report: Mapping[str, Any], path: Path) -> None:
    """Draw how many entities of a graph have at least which degree, and its most frequent relations."""
    counts = list(report["relation_counts"].items())[:_MOST_RELATIONS]
    figure, [degrees, relations] = _panels(2, 1.5 + 0.2 * max(len(counts), 10), 8)
    histogram = {int(degree): count for degree, count in report["degrees"]["histogram"].items() if degree != "0"}
    at_least = list(accumulate(reversed(histogram.values())))[::-1]
    degrees.step(list(histogram), at_least, where="pre", marker=".")
    degrees.set(xlabel="degree", ylabel="entities with at least this degree", xscale="log", yscale="log")
    names = [said["label"] or name for name, said in counts]
    relations.barh(range(len(counts)), [said["triples"] for _, said in counts], color="lightsteelblue")
    relations.set_yticks(range(len(counts)), [_short(name) for name in names], fontsize=8, parse_math=False)
    relations.invert_yaxis()
    relations.set(xlabel="triples", title=f"{len(counts)} of {report['relations']} relations")
    _save(figure, path)


def _short(name: str) -> str:
    # The end of an IRI or of a path says more than its beginning.
    return name if len(name) <= 40 else f"…{name[-39:]}"


_MOST_RELATIONS = 30
"""Bars of a graph's plot."""

_MOST_LABELS = 120
"""Of a map's columns; a longer text has more tokens than can be read there."""

_MOST_FIGURES = 300
"""Of cells that say their weight, in percent."""

_Map = tuple[str, Sequence[str], Sequence[str], Sequence[Sequence[float]]]
"""Title, what the rows are, what the columns are, and a weight for each cell."""


def _split_maps(report: Mapping[str, Any]) -> Iterator[_Map]:
    for adapter, places in report["attention"].items():
        mixed = mixed_in(places)
        weights = [[parts.get(name, math.nan) for parts in places.values()] for name in mixed]
        yield f"{adapter}, {report['split']}", mixed, list(places), weights


def _text_maps(report: Mapping[str, Any]) -> Iterator[_Map]:
    nothing = [math.nan] * len(report["tokens"])
    for adapter, places in report["attention"].items():
        for name in mixed_in(places):
            weights = [parts.get(name, nothing) for parts in places.values()]
            yield f"{adapter}: {name}", list(places), report["tokens"], weights


def mixed_in(places: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Give the names of all that is mixed at some place, in the order of places."""
    return list(dict.fromkeys(name for parts in places.values() for name in parts))


def _draw_map(axes: Axes, weights: Sequence[Sequence[float]], rows: Sequence[str], columns: Sequence[str]) -> None:
    axes.set_facecolor("lightgrey")
    axes.imshow(weights, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    if len(rows) * len(columns) <= _MOST_FIGURES:
        for (row, column), weight in np.ndenumerate(weights):
            shown = "" if math.isnan(weight) else f"{100 * weight:.0f}"
            color = "white" if weight > 0.6 else "black"
            axes.text(column, row, shown, ha="center", va="center", fontsize=7, color=color)
    step = math.ceil(len(columns) / _MOST_LABELS)
    # A token may be a dollar sign.
    axes.set_xticks(range(0, len(columns), step), columns[::step], rotation=90, parse_math=False)
    axes.set_yticks(range(len(rows)), rows, parse_math=False)


def _figure(height: float) -> tuple[Figure, Axes]:
    figure, [axes] = _panels(1, height)
    return figure, axes


def _panels(count: int, height: float, width: float = 6) -> tuple[Figure, list[Axes]]:
    """Give a figure of panels one above the other, each of that height."""
    # The object interface: pyplot would choose a window system, and keep every figure alive.
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, count * height), layout="constrained")
    return figure, list(figure.subplots(count, squeeze=False)[:, 0])


def _save(figure: Figure, path: Path) -> None:
    with written_whole(path) as aside:
        figure.savefig(aside, format="png", dpi=120)
