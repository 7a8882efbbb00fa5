"""The sweep: what is an adapter worth without its lowest layers, and what does that save?

The main figure of AdapterDrop (Rücklé et al. 2021, arXiv 2010.11918, section 3): score and speed against the number n
of layers that are dropped, for adapters that were trained with all layers (`ordinary`), with n drawn anew for every
batch (`robust`), and with just this n (`specialised`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import Any, Literal, get_args

import torch

from kadapter.comparison import spread
from kadapter.data import Examples, load_knowledge
from kadapter.errors import ConfigError
from kadapter.evaluation import check_splits, load_run, quiet_trainer, recipe_of, score
from kadapter.files import write_json, write_text
from kadapter.model import KnowledgeModel
from kadapter.plots import plot_sweep
from kadapter.recipe import Recipe
from kadapter.registry import Registry, default_registry
from kadapter.storage import load_adapter
from kadapter.tables import markdown, percent
from kadapter.task import build_task
from kadapter.timing import interleaved
from kadapter.training import assemble, finetune, versions

Kind = Literal["ordinary", "robust", "specialised"]
"""How an adapter was trained: with all its layers, with n dropped anew for every batch, with this very n dropped."""

Curve = Mapping[int, Sequence[Path]]
"""n -> the runs, one for each seed, that are scored with n layers dropped."""


def sweep(
    recipe: Recipe,
    folder: Path | str,
    seeds: Sequence[int] = (0, 1, 2),
    kinds: Sequence[Kind] = get_args(Kind),
    split: str = "test",
    registry: Registry | None = None,
) -> dict[str, Any]:
    """Train what the recipe says in each of these ways, score it with n = 0 … L - 1 layers dropped, and time it.

    Writes `sweep.json`, `sweep.md` and `sweep.png`. A run that is finished is not trained again, one that was
    interrupted goes on.

    Args:
        recipe: its new adapter is one whose `layers` can be set, around another one.
        folder: each run lies in `KIND-seed-SEED` inside it, a specialised one in `specialised-N-seed-SEED`.
        seeds: of weights, order, dropout and draws; the split of the data stays the same.
        kinds: how adapters are trained.
        split: to score.
        registry: where names are looked up; by default, what is installed.

    Raises:
        ConfigError: the recipe has no such adapter, there is no such kind or split, or there are no seeds.
    """
    registry, folder = registry or default_registry(), Path(folder)
    _check(recipe, seeds, kinds, split, registry)
    timed, examples = _timed(recipe, registry)
    if "robust" in kinds:
        load_adapter(_robust(recipe).plugs[recipe.name], timed.backbone.info, registry)
    counts = range(timed.backbone.info.layers)
    curves: dict[str, Curve] = {kind: _trained(kind, recipe, seeds, counts, folder, registry) for kind in kinds}
    return _measured(curves, recipe, split, folder, (timed, examples), registry)


def sweep_run(
    run: Path | str,
    folder: Path | str,
    split: str = "test",
    data: str | None = None,
    wrap: str | None = None,
    registry: Registry | None = None,
) -> dict[str, Any]:
    """Score one finished run with n = 0 … L - 1 layers dropped, and time it; writes the files that `sweep` does.

    Args:
        run: a run folder, of a new adapter.
        folder: where the files go.
        split: to score.
        data: where the data lies, if not where it lay in training; it must be the same data.
        wrap: a type of adapter whose `layers` can be set, which is put around that of the run; None where its own can.
        registry: where names are looked up; by default, what is installed.

    Raises:
        StorageError: there is no finished run.
        ConfigError: the run has no new adapter whose `layers` can be set, or no such split.
    """
    registry, run = registry or default_registry(), Path(run)
    recipe = recipe_of(run, data)
    if wrap is not None:
        recipe = recipe.with_options({"adapter": {"type": wrap, "inner": recipe.adapter}})
    _check(recipe, [recipe.training.seed], (), split, registry)
    timed, examples = _timed(recipe, registry)
    curve = {count: [run] for count in range(timed.backbone.info.layers)}
    return _measured({recipe.name: curve}, recipe, split, Path(folder), (timed, examples), registry, wrap)


def _check(recipe: Recipe, seeds: Sequence[int], kinds: Sequence[str], split: str, registry: Registry) -> None:
    """Find what is wrong before anything is trained."""
    if recipe.adapter is None:
        raise ConfigError("the recipe has no new adapter whose layers could be dropped; give it `adapter`")
    kind_of_adapter = registry.adapter_types[str(recipe.adapter.get("type"))]
    if "layers" not in {option.name for option in fields(kind_of_adapter.Config)}:
        raise ConfigError(
            f"adapter type '{kind_of_adapter.name}' drops no layers; put it inside one that does: in a recipe "
            f"`adapter: {{type: …, inner: {{type: {kind_of_adapter.name}}}}}`, for a run --wrap TYPE"
        )
    for kind in kinds:
        if kind not in get_args(Kind):
            raise ConfigError(f"there is no training '{kind}'; there are {', '.join(get_args(Kind))}")
    if not seeds:
        raise ConfigError("a sweep needs a seed or more; ask for --seeds 1 or more")
    check_splits([split], load_knowledge(recipe.source, registry).splits)


def _timed(recipe: Recipe, registry: Registry) -> tuple[KnowledgeModel, Examples]:
    """Give a model as it starts, for the clock, and the examples; what is wrong with the adapter is found here."""
    model, examples = assemble(_fixed(recipe, 0), registry)
    for layers in (model.backbone.info.layers - 1, 0):
        model.set(recipe.name, layers=layers)
    return model, examples


def _fixed(recipe: Recipe, layers: int) -> Recipe:
    """Give the recipe that trains with the same layers dropped in every batch."""
    of_robust = ("robust", "between")
    said = {name: value for name, value in (recipe.adapter or {}).items() if name not in of_robust}
    return recipe.with_options({"adapter": {**said, "layers": layers}})


def _robust(recipe: Recipe) -> Recipe:
    return recipe.with_options({"adapter": {**(recipe.adapter or {}), "robust": True}})


def _trained(
    kind: Kind, recipe: Recipe, seeds: Sequence[int], counts: Sequence[int], folder: Path, registry: Registry
) -> Curve:
    """Train what a curve is drawn of."""
    if kind == "specialised":
        return {n: _runs(f"{kind}-{n}", _fixed(recipe, n), seeds, folder, registry) for n in counts}
    variant = _robust(recipe) if kind == "robust" else _fixed(recipe, 0)
    runs = _runs(kind, variant, seeds, folder, registry)
    return dict.fromkeys(counts, runs)


def _runs(name: str, recipe: Recipe, seeds: Sequence[int], folder: Path, registry: Registry) -> list[Path]:
    variants = {folder / f"{name}-seed-{seed}": recipe.with_options({"training.seed": seed}) for seed in seeds}
    for run, variant in variants.items():
        finetune(variant, run, resume=(run / "recipe.yaml").exists(), registry=registry)
    return list(variants)


def _measured(
    curves: Mapping[str, Curve],
    recipe: Recipe,
    split: str,
    folder: Path,
    timed: tuple[KnowledgeModel, Examples],
    registry: Registry,
    wrap: str | None = None,
) -> dict[str, Any]:
    report = {
        "recipe": recipe.as_dict(),
        "split": split,
        "metric": build_task(recipe.task, registry).metric,
        "curves": {name: _scored(curve, recipe, split, wrap, registry) for name, curve in curves.items()},
        "seconds": _seconds(recipe, *timed),
        "versions": versions(),
    }
    _write(report, folder)
    return report


def _scored(curve: Curve, recipe: Recipe, split: str, wrap: str | None, registry: Registry) -> dict[str, Any]:
    """Give n -> metric -> mean, spread and the value of each seed."""
    runs = {run: [n for n, there in curve.items() if run in there] for there in curve.values() for run in there}
    data = recipe.source.get("path")
    scores = {run: _scores_of(run, counts, split, data, wrap, registry) for run, counts in runs.items()}
    return {
        str(n): {metric: spread([scores[run][n][metric] for run in there]) for metric in scores[there[0]][n]}
        for n, there in curve.items()
    }


def _scores_of(
    run: Path, counts: Sequence[int], split: str, data: str | None, wrap: str | None, registry: Registry
) -> dict[int, dict[str, float]]:
    """Load a run once, and score it with each of these numbers of layers dropped."""
    recipe, model, examples = load_run(run, data, registry)
    if wrap is not None:
        model.unplug(recipe.name)
        model.plug(recipe.name, {"type": wrap, "inner": str(run), "layers": 0}, registry)
    scores = {}
    for n in counts:
        model.set(recipe.name, layers=n)
        scores[n] = score(model, examples, [split], recipe.training)[split]
    return scores


def _seconds(recipe: Recipe, model: KnowledgeModel, examples: Examples) -> dict[str, dict[str, float]]:
    """Give the median seconds of a pass, and of a pass and its backward pass in training, for each n."""
    counts = range(model.backbone.info.layers)
    with quiet_trainer(model, examples, recipe.training) as trainer, trainer.accelerator.autocast():
        batch = next(iter(trainer.batches("train")))
        rows: dict[tuple[str, int], Callable[[], object]] = {}
        for n in counts:
            rows["pass", n] = partial(_pass, model, recipe.name, n, batch)
            rows["step", n] = partial(_step, model, recipe.name, n, batch)
        seconds = interleaved(rows, repetitions=7, warm_up=1)
    return {what: {str(n): seconds[what, n] for n in counts} for what in ("pass", "step")}


def _pass(model: KnowledgeModel, name: str, layers: int, batch: Mapping[str, Any]) -> None:
    model.eval().set(name, layers=layers)
    with torch.no_grad():
        model(**batch)


def _step(model: KnowledgeModel, name: str, layers: int, batch: Mapping[str, Any]) -> None:
    model.train().set(name, layers=layers)
    model(**batch).loss.backward()
    model.zero_grad()


def _write(report: Mapping[str, Any], folder: Path) -> None:
    write_json(folder / "sweep.json", report)
    write_text(folder / "sweep.md", markdown(*cells(report)))
    plot_sweep(report, folder / "sweep.png")


def cells(report: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Give a report as the heads of a table's columns and its rows: scores in percent, speed in times that of n = 0."""
    metric, curves, seconds = report["metric"], report["curves"], report["seconds"]
    heads = ["dropped", *(f"{name}, {report['split']} {metric}" for name in curves), "pass, speed", "step, speed"]
    return heads, [
        [
            n,
            *(percent(curve[n][metric]) if n in curve else "" for curve in curves.values()),
            *(f"{speed:.2f}" for speed in speeds(seconds, n)),
        ]
        for n in seconds["pass"]
    ]


def speeds(seconds: Mapping[str, Mapping[str, float]], dropped: str) -> list[float]:
    """Give how many times as fast as with nothing dropped a pass is, and a step of training."""
    return [times["0"] / times[dropped] for times in seconds.values()]
