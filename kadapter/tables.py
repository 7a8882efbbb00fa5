"""Figures as tables: a ledger's, a sweep's and a card's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

COSTS = {"trained_parameters": "trained parameters", "step_seconds": "s / step", "peak_memory_mb": "memory, MB"}
"""What a run writes down of its cost -> how a table calls it."""


def as_markdown(report: Mapping[str, Any]) -> str:
    """Give a report as a Markdown table: a row each, a column for each split and metric in percent, and the costs."""
    return markdown(*cells(report))


def markdown(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Give a table as Markdown, all columns but the first flush right."""
    rule = ["---"] + ["---:"] * (len(columns) - 1)
    return "".join(f"| {' | '.join(line)} |\n" for line in [columns, rule, *rows])


def cells(report: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Give a report as the heads of a table's columns and its rows."""
    first = next(iter(report["rows"].values()))
    pairs = [(split, metric) for split, metrics in first["scores"].items() for metric in metrics]
    costs = [cost for cost in COSTS if all(cost in row for row in report["rows"].values())]
    heads = ["row", *(f"{split} {metric}" for split, metric in pairs), *(COSTS[cost] for cost in costs)]
    return heads, [
        [name, *(percent(row["scores"][split][metric]) for split, metric in pairs), *(_cost(row, c) for c in costs)]
        for name, row in report["rows"].items()
    ]


def percent(value: Mapping[str, float]) -> str:
    """Give mean and spread in percent; as they are where the mean is no fraction, as of a perplexity."""
    scale = 100 if value["mean"] <= 1 else 1
    spread = f" ± {scale * value['spread']:.1f}" if value["spread"] else ""
    return f"{scale * value['mean']:.1f}{spread}"


def _cost(row: Mapping[str, Any], cost: str) -> str:
    """Give a cost; of the trained parameters also their share, in percent of the backbone's."""
    if cost != "trained_parameters" or "backbone_parameters" not in row:
        return _number(row[cost])
    return f"{_number(row[cost])} ({100 * row[cost] / row['backbone_parameters']:.3g} %)"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.2f}"
