"""The controls beside an adapter: without them a gain proves little.

Every row is trained with the same data, head, steps and seeds; only what carries the knowledge differs, and the
learning rate, which is the best of a few for each kind of row.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from kadapter.data import load_knowledge
from kadapter.errors import ConfigError
from kadapter.evaluation import Scores, check_splits, evaluate
from kadapter.files import write_json, write_text
from kadapter.recipe import Recipe
from kadapter.registry import Registry, default_registry
from kadapter.training import pretrain, versions

# Each the best of a few by validation accuracy on FewRel with MiniLM (docs/performance.md).
FULL_LEARNING_RATE = 2e-4
HEAD_LEARNING_RATE = 1e-2
COMPOSED_LEARNING_RATE = 3e-3


def _adapter(recipe: Recipe, registry: Registry) -> Recipe:
    """The recipe itself."""
    return recipe


def _backbone(recipe: Recipe, registry: Registry) -> Recipe:
    """A head on the frozen backbone alone."""
    return _frozen(recipe, None, HEAD_LEARNING_RATE)


def _mix(recipe: Recipe, registry: Registry) -> Recipe:
    """A learned weighted mean of all states beside the backbone."""
    return recipe.with_options({"adapter": {"type": "scalar-mix"}, "training.learning_rate": COMPOSED_LEARNING_RATE})


def _random(recipe: Recipe, registry: Registry) -> Recipe:
    """An adapter of the same shape with random weights, frozen."""
    kind = registry.adapter_types[_adapter_of(recipe)["type"]]
    return _frozen(recipe, kind.random_control(_adapter_of(recipe)), COMPOSED_LEARNING_RATE)


def _untrained(recipe: Recipe, registry: Registry) -> Recipe:
    """The adapter as it starts, frozen."""
    return _frozen(recipe, _adapter_of(recipe), COMPOSED_LEARNING_RATE)


def _full(recipe: Recipe, registry: Registry) -> Recipe:
    """The whole backbone, fine-tuned, without an adapter."""
    return recipe.with_options(
        {"adapter": None, "training.trains": "everything", "training.learning_rate": FULL_LEARNING_RATE}
    )


def _frozen(recipe: Recipe, adapter: Mapping[str, Any] | None, learning_rate: float) -> Recipe:
    return recipe.with_options({"adapter": adapter, "training.trains": "head", "training.learning_rate": learning_rate})


ROWS: Mapping[str, Callable[[Recipe, Registry], Recipe]] = {
    "backbone": _backbone,
    "mix": _mix,
    "random": _random,
    "untrained": _untrained,
    "adapter": _adapter,
    "full": _full,
}
"""Name of a row -> what it makes of the adapter's recipe, controls first."""


def _adapter_of(recipe: Recipe) -> Mapping[str, Any]:
    if recipe.adapter is None:
        raise ConfigError("this run has no adapter to compare with controls")
    return recipe.adapter


def compare(
    recipe: Recipe,
    folder: Path | str,
    seeds: Sequence[int] = (0, 1, 2),
    rows: Sequence[str] = tuple(ROWS),
    splits: Sequence[str] = ("test",),
    done: Mapping[tuple[str, int], Path] | None = None,
    registry: Registry | None = None,
) -> dict[str, Any]:
    """Train every row with every seed, score them, and write `comparison.json` and `comparison.md`.

    A run that is finished is not trained again, one that was interrupted goes on.

    Args:
        recipe: of the adapter.
        folder: each run lies in `ROW-seed-SEED` inside it.
        seeds: of weights, order and dropout; the split of the data stays the same.
        rows: keys of `ROWS`.
        splits: to score.
        done: (row, seed) -> folder of a run that exists elsewhere.
        registry: where names are looked up; by default, what is installed.

    Raises:
        ConfigError: there is no such row or split, or there are no seeds.
    """
    registry, folder, done = registry or default_registry(), Path(folder), done or {}
    _check_rows(rows, seeds)
    check_splits(splits, load_knowledge(recipe.source, registry).splits)
    report: dict[str, Any] = {
        "recipe": recipe.as_dict(),
        "seeds": list(seeds),
        "splits": list(splits),
        "rows": {},
    }
    for row in rows:
        runs = [done.get((row, seed)) or _trained(row, recipe, seed, folder, registry) for seed in seeds]
        report["rows"][row] = summary([evaluate(run, splits, recipe.source.get("path"), registry) for run in runs])
    report["versions"] = versions()
    write_json(folder / "comparison.json", report)
    write_text(folder / "comparison.md", as_markdown(report))
    return report


def _check_rows(rows: Sequence[str], seeds: Sequence[int]) -> None:
    if not seeds:
        raise ConfigError("a comparison needs a seed or more; ask for --seeds 1 or more")
    for row in rows:
        if row not in ROWS:
            raise ConfigError(f"there is no row '{row}'; there are {', '.join(ROWS)}")


def _trained(row: str, recipe: Recipe, seed: int, folder: Path, registry: Registry) -> Path:
    run = folder / f"{row}-seed-{seed}"
    variant = ROWS[row](recipe.with_options({"training.seed": seed}), registry)
    return pretrain(variant, run, resume=(run / "recipe.yaml").exists(), registry=registry).folder


def summary(scores: Sequence[Scores]) -> dict[str, Any]:
    """Give split -> metric -> mean, spread (sample standard deviation) and the value of each seed's scores."""
    return {
        split: {metric: _spread([s[split][metric] for s in scores]) for metric in metrics}
        for split, metrics in scores[0].items()
    }


def _spread(values: Sequence[float]) -> dict[str, Any]:
    return {"mean": mean(values), "spread": stdev(values) if len(values) > 1 else 0.0, "values": list(values)}


def as_markdown(report: Mapping[str, Any]) -> str:
    """Give a report as a Markdown table: a row each, a column for each split and metric, in percent."""
    columns, lines = cells(report)
    rule = ["---"] + ["---:"] * (len(columns) - 1)
    return "".join(f"| {' | '.join(line)} |\n" for line in [columns, rule, *lines])


def cells(report: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Give a report as the heads of a table's columns and its rows."""
    first = next(iter(report["rows"].values()))
    pairs = [(split, metric) for split, metrics in first.items() for metric in metrics]
    heads = ["row", *(f"{split} {metric}" for split, metric in pairs)]
    return heads, [
        [row, *(_percent(scores[split][metric]) for split, metric in pairs)] for row, scores in report["rows"].items()
    ]


def _percent(value: Mapping[str, float]) -> str:
    spread = f" ± {100 * value['spread']:.1f}" if value["spread"] else ""
    return f"{100 * value['mean']:.1f}{spread}"
