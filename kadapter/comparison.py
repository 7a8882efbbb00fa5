"""The ledger: what does each kind of knowledge add, beside the controls without which a gain proves little?

Every row is trained with the same data, head, steps and seeds, and the best epoch by the validation split is kept;
only what carries the knowledge differs, and the learning rate, which suits each kind of row.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean, median, stdev
from typing import Any

from kadapter.data import load_knowledge
from kadapter.errors import ConfigError
from kadapter.evaluation import Scores, check_splits, evaluate
from kadapter.files import read_json, write_json, write_text
from kadapter.plots import plot_ledger
from kadapter.recipe import Recipe
from kadapter.registry import Registry, default_registry
from kadapter.storage import options_of
from kadapter.tables import COSTS, as_markdown
from kadapter.task import build_task
from kadapter.training import finetune, versions

# Each the best of a few by validation accuracy on FewRel with MiniLM (docs/results.md).
FULL_LEARNING_RATE = 2e-4
HEAD_LEARNING_RATE = 1e-2
COMPOSED_LEARNING_RATE = 3e-3

CONTROLS = ("backbone", "mix", "random", "untrained")
"""The rows without which a gain proves little."""


def rows_of(recipe: Recipe, registry: Registry | None = None) -> dict[str, Recipe]:
    """Give the rows of the ledger of a recipe: name -> recipe. Controls first, then the knowledge, then `full`.

    - `backbone`: a head on the frozen backbone alone;
    - `mix`: beside a learned weighted mean of all its states;
    - `random`: beside an adapter of the first one's shape with random weights, which stay;
    - `untrained`: beside the first adapter as it starts, which stays;
    - `adapter`: the recipe itself, when it makes a new adapter; else each of its adapters alone, by name, and all
      of them together;
    - `full`: the whole backbone, fine-tuned, without an adapter.

    Raises:
        ConfigError: the recipe plugs no adapter, or one that is called like a control, or its backbone is not bare.
    """
    registry = registry or default_registry()
    _check_bare(recipe.backbone)
    options = _first_options(recipe, registry)
    random = registry.adapter_types[str(options["type"])].random_control(options)
    # Where the recipe trains a new adapter, its rate is that adapter's, and too low for a head alone.
    rate = COMPOSED_LEARNING_RATE if recipe.new else recipe.training.learning_rate
    regime = [part for part in recipe.training.trains or () if part != "adapters"] or ["head", "composition"]
    controls = {
        "backbone": _with(recipe, None, ["head", "composition"], HEAD_LEARNING_RATE),
        "mix": _with(recipe, {"type": "scalar-mix"}, [*regime, "adapters"], rate),
        "random": _with(recipe, random, regime, rate),
        "untrained": _with(recipe, options, regime, rate),
    }
    full, subjects = {"full": _with(recipe, None, ["head", "backbone"], FULL_LEARNING_RATE)}, _subjects(recipe)
    for name in subjects.keys() & {**controls, **full}:
        raise ConfigError(f"an adapter is called '{name}' as one of the controls is; rename it in `adapters`")
    return {**controls, **subjects, **full}


def _check_bare(backbone: str) -> None:
    # What a saved model has plugged would be in every row, the bare backbone's too.
    if (Path(backbone) / "model.json").is_file():
        raise ConfigError(
            f"the backbone of a ledger must be bare, and {backbone} is a saved model; give its own backbone, and the "
            f"folders of its adapters in `adapters`"
        )


def _with(recipe: Recipe, adapter: Mapping[str, Any] | None, trains: Sequence[str], learning_rate: float) -> Recipe:
    options = {"adapter": adapter, "training.trains": list(trains), "training.learning_rate": learning_rate}
    return recipe.with_options({"adapters": {}, **options})


def subject_of(recipe: Recipe) -> str:
    """Say which row of the ledger is the recipe itself."""
    return "adapter" if recipe.adapter is not None else "+".join(recipe.adapters)


def _subjects(recipe: Recipe) -> dict[str, Recipe]:
    names = recipe.adapters if recipe.adapter is None else ()
    alone = {name: recipe.with_options({"adapters": {name: recipe.adapters[name]}}) for name in names}
    return {**alone, subject_of(recipe): recipe}


def _first_options(recipe: Recipe, registry: Registry) -> Mapping[str, Any]:
    """Give the options of the first adapter that the recipe plugs, new, saved or installed."""
    if not recipe.plugs:
        raise ConfigError("the recipe plugs no adapter to compare with controls; give it `adapter` or `adapters`")
    first = recipe.adapter if recipe.adapter is not None else next(iter(recipe.plugs.values()))
    return options_of(first, registry)


def compare(
    recipe: Recipe,
    folder: Path | str,
    seeds: Sequence[int] = (0, 1, 2),
    rows: Sequence[str] | None = None,
    splits: Sequence[str] = ("test",),
    done: Mapping[tuple[str, int], Path] | None = None,
    rates: Mapping[str, float] | None = None,
    registry: Registry | None = None,
) -> dict[str, Any]:
    """Train every row with every seed, score them, and write `ledger.json`, `ledger.md` and `ledger.png`.

    A run that is finished is not trained again, one that was interrupted goes on.

    Args:
        recipe: with a new adapter, or with adapters that are made.
        folder: each run lies in `ROW-seed-SEED` inside it.
        seeds: of weights, order and dropout; the split of the data stays the same.
        rows: names of `rows_of`; None is all.
        splits: to score.
        done: (row, seed) -> folder of a run that exists elsewhere.
        rates: row -> learning rate, where the one of `rows_of` does not suit.
        registry: where names are looked up; by default, what is installed.

    Raises:
        ConfigError: there is no such row or split, there are no seeds, or the recipe plugs no adapter.
    """
    registry, folder, done = registry or default_registry(), Path(folder), done or {}
    chosen = _chosen(rows_of(recipe, registry), rows, rates or {}, seeds)
    check_splits(splits, load_knowledge(recipe.source, registry).splits)
    report: dict[str, Any] = {
        "recipe": recipe.as_dict(),
        "seeds": list(seeds),
        "splits": list(splits),
        "metric": build_task(recipe.task, registry).metric,
        "rows": {},
        "versions": versions(),
    }
    for row, variant in chosen.items():
        runs = [done.get((row, seed)) or _trained(row, variant, seed, folder, registry) for seed in seeds]
        scores = summary([evaluate(run, splits, recipe.source.get("path"), registry) for run in runs])
        report["rows"][row] = {"learning_rate": variant.training.learning_rate, "scores": scores, **_costs(runs)}
    _write(report, folder)
    return report


def _chosen(
    there: Mapping[str, Recipe], rows: Sequence[str] | None, rates: Mapping[str, float], seeds: Sequence[int]
) -> dict[str, Recipe]:
    """Give the rows that are asked for, at the rates that are asked for."""
    if not seeds:
        raise ConfigError("a ledger needs a seed or more; ask for --seeds 1 or more")
    for row in (*(rows or ()), *rates):
        if row not in there:
            raise ConfigError(f"there is no row '{row}'; there are {', '.join(there)}")
    own = {row: {"training.learning_rate": rate} for row, rate in rates.items()}
    return {row: said.with_options(own.get(row, {})) for row, said in there.items() if rows is None or row in rows}


def _trained(row: str, recipe: Recipe, seed: int, folder: Path, registry: Registry) -> Path:
    run = folder / f"{row}-seed-{seed}"
    variant = recipe.with_options({"training.seed": seed})
    return finetune(variant, run, resume=(run / "recipe.yaml").exists(), registry=registry).folder


def _costs(runs: Sequence[Path]) -> dict[str, Any]:
    """Give the median of what each run says of its cost."""
    results = [read_json(run / "result.json", "finished run") for run in runs]
    facts = ("backbone_parameters", *COSTS)
    return {fact: median(r[fact] for r in results) for fact in facts if all(fact in r for r in results)}


def summary(scores: Sequence[Scores]) -> dict[str, Any]:
    """Give split -> metric -> mean, spread (sample standard deviation) and the value of each seed's scores."""
    return {
        split: {metric: spread([s[split][metric] for s in scores]) for metric in metrics}
        for split, metrics in scores[0].items()
    }


def spread(values: Sequence[float]) -> dict[str, Any]:
    """Give mean, spread (sample standard deviation) and the values, one for each seed."""
    return {"mean": mean(values), "spread": stdev(values) if len(values) > 1 else 0.0, "values": list(values)}


def _write(report: Mapping[str, Any], folder: Path) -> None:
    write_json(folder / "ledger.json", report)
    write_text(folder / "ledger.md", as_markdown(report))
    plot_ledger(report, folder / "ledger.png")
