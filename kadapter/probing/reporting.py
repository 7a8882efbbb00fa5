"""From answers to a report: figures of each relation and of all, of each model and of their difference."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from kadapter.probing.asking import Result
from kadapter.probing.metrics import chance, differences, figures, macro, micro
from kadapter.tables import markdown

DIFFERENCE = "difference"

Interval = dict[str, float]
"""`mean`, and `low` and `high` where intervals are asked for; fractions."""


def metrics_of(results: Sequence[Result], ranks: Sequence[int]) -> list[str]:
    """Say which figures tell something: p@k of fewer than the choices there are, consistency of several phrasings."""
    answers = [answer for result in results for said in result.answers.values() for answer in said]
    most = max(answer.choices for answer in answers)
    names = [f"p@{k}" for k in ranks if k == 1 or k < most]
    several = any(len(result.sentences) > 1 for result in results)
    return names + ["mrr"] * (most > 2) + ["consistency", "every"] * several


def scores_of(
    results: Sequence[Result], ranks: Sequence[int] = (1, 10), resamples: int = 1000, seed: int = 0
) -> dict[str, Any]:
    """Give `metrics`, `overall` (`micro` and `macro`) and `relations`, each with figures of all models.

    Figures are `{model: {metric: {"mean": …, "low": …, "high": …}}}`. Of two models, `difference` says by how much
    the second is higher, over the same items.
    """
    metrics, groups = metrics_of(results, ranks), _by_relation(results)
    sides = _sides(results)
    tables = {name: _table(group, metrics, sides, ranks) for name, group in groups.items()}

    def told(summary: Mapping[str, np.ndarray]) -> dict[str, dict[str, Interval]]:
        return _told(summary, metrics, sides)

    return {
        "models": list(results[0].answers),
        "metrics": metrics,
        "overall": {
            "facts": len(results),
            "chance": _chance(results),
            "micro": told(micro(np.concatenate(list(tables.values())), resamples, seed)),
            "macro": told(macro(list(tables.values()), resamples, seed)),
        },
        "relations": {
            name: {
                "facts": len(groups[name]),
                "phrasings": max(len(result.sentences) for result in groups[name]),
                "chance": _chance(groups[name]),
                **told(micro(table, resamples, seed)),
            }
            for name, table in tables.items()
        },
    }


def _by_relation(results: Iterable[Result]) -> dict[str, list[Result]]:
    groups = defaultdict[str, list[Result]](list)
    for result in results:
        groups[result.item.relation].append(result)
    return dict(groups)


def _sides(results: Sequence[Result]) -> list[str]:
    names = list(results[0].answers)
    return [*names, DIFFERENCE] if len(names) == 2 else names


def _table(results: Sequence[Result], metrics: Sequence[str], sides: Sequence[str], ranks: Sequence[int]) -> np.ndarray:
    """Give a row for each item, a column for each model and metric: (N, models × metrics)."""
    rows = []
    for result in results:
        found = {name: figures(answers, ranks) for name, answers in result.answers.items()}
        if DIFFERENCE in sides:
            without, with_ = found.values()
            found[DIFFERENCE] = differences(with_, without)
        rows.append([found[side].get(metric, np.nan) for side in sides for metric in metrics])
    return np.array(rows)


def _told(
    summary: Mapping[str, np.ndarray], metrics: Sequence[str], sides: Sequence[str]
) -> dict[str, dict[str, Interval]]:
    """Give model -> metric -> interval; what is not a number is left out."""
    told: dict[str, dict[str, Interval]] = {side: {} for side in sides}
    for number, (side, metric) in enumerate((side, metric) for side in sides for metric in metrics):
        if not np.isnan(summary["mean"][number]):
            told[side][metric] = {edge: round(float(values[number]), 6) for edge, values in summary.items()}
    return told


def _chance(results: Sequence[Result]) -> float:
    first = next(iter(results[0].answers))
    return round(float(np.mean([chance(result.answers[first]) for result in results])), 6)


def lines_of(results: Iterable[Result]) -> Iterator[dict[str, Any]]:
    """Give a line for each phrasing that was asked: what is right, and what each model said."""
    for result in results:
        for number, sentence in enumerate(result.sentences):
            answers = {name: said[number] for name, said in result.answers.items()}
            yield {
                "relation": result.item.relation,
                "sentence": sentence,
                "right": list(result.item.right),
                **{name: {"said": answer.said, "rank": answer.rank} for name, answer in answers.items()},
            }


def cells(report: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Give a report as the heads of a table's columns and its rows, in percent: all first, then the relations.

    The last column is the first metric with its interval: of the difference, where there are two models. `every` is in
    the report alone.
    """
    overall, models = report["overall"], report["models"]
    metrics = [metric for metric in report["metrics"] if metric != "every"]
    arrow = f": {' → '.join(models)}" if len(models) > 1 else ""
    heads = ["relation", "facts", "chance", *(f"{metric}{arrow}" for metric in metrics)]
    heads.append(f"{metrics[0]}, {DIFFERENCE if len(models) == 2 else 'interval'}")
    rows = [("by fact", overall, overall["micro"]), ("by relation", overall, overall["macro"])]
    rows += [(name, said, said) for name, said in report["relations"].items()]
    return heads, [_row(name, said, found, models, metrics) for name, said, found in rows]


def _row(
    name: str, said: Mapping[str, Any], found: Mapping[str, Any], models: Sequence[str], metrics: Sequence[str]
) -> list[str]:
    figures = (
        " → ".join(f"{100 * found[model][metric]['mean']:.1f}" for model in models if metric in found[model])
        for metric in metrics
    )
    compared = DIFFERENCE if len(models) == 2 else models[0]
    last = _with_interval(found[compared][metrics[0]], "+" if compared == DIFFERENCE else "")
    return [name, f"{said['facts']:,}", f"{100 * said['chance']:.1f}", *figures, last]


def _with_interval(interval: Interval, sign: str) -> str:
    mean, *edges = (f"{100 * interval[edge]:{sign}.1f}" for edge in ("mean", "low", "high") if edge in interval)
    return f"{mean} ({' to '.join(edges)})" if edges else mean


def as_markdown(report: Mapping[str, Any]) -> str:
    """Give a report as a Markdown table, in percent."""
    return markdown(*cells(report))
