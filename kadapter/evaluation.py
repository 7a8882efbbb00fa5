"""Score a finished run on splits of its data."""

from __future__ import annotations

import tempfile
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from kadapter.data import Examples, prepare
from kadapter.errors import ConfigError, StorageError
from kadapter.files import read_json
from kadapter.model import KnowledgeModel
from kadapter.recipe import Recipe, Training
from kadapter.registry import Registry, default_registry
from kadapter.trainer import KnowledgeTrainer, training_arguments

Scores = dict[str, dict[str, float]]
"""Split -> metric -> value."""


def evaluate(
    run: Path | str,
    splits: Sequence[str] = ("test",),
    data: str | None = None,
    registry: Registry | None = None,
) -> Scores:
    """Load a finished run in its own words and score it.

    Args:
        run: a run folder.
        splits: of the run's source.
        data: where the data lies, if not where it lay in training; it must be the same data.
        registry: where names are looked up; by default, what is installed.

    Raises:
        StorageError: there is no finished run.
        ConfigError: the data changed since training, or has no such split.
    """
    recipe, model, examples = load_run(Path(run), data, registry)
    return score(model, examples, splits, recipe.training)


def load_run(
    run: Path, data: str | None = None, registry: Registry | None = None
) -> tuple[Recipe, KnowledgeModel, Examples]:
    """Give recipe, model and examples of a finished run. Raises as `evaluate` does."""
    registry = registry or default_registry()
    recipe = recipe_of(run, data)
    model = KnowledgeModel.from_pretrained(run, registry=registry)
    task = {"name": model.task.name, **asdict(model.task.config)}  # type: ignore[union-attr]
    examples = prepare(recipe.source, task, model.backbone.tokenizer, registry, _result_of(run)["data"]["content_hash"])
    return recipe, model, examples


def recipe_of(run: Path, data: str | None = None) -> Recipe:
    """Give the recipe of a finished run, its data perhaps moved.

    Raises:
        StorageError: there is no finished run.
    """
    recipe = Recipe.from_dict(_result_of(run)["recipe"])
    return recipe.with_options({"source.path": data}) if data is not None else recipe


def recipe_to_repeat(run: Path, data: str | None = None) -> Recipe:
    """Give the recipe by which one process repeats a finished run: its batch is that of all that trained it together.

    Raises:
        StorageError: there is no finished run.
    """
    recipe, processes = recipe_of(run, data), _result_of(run).get("processes", 1)
    return recipe.with_options({"training.batch_size": processes * recipe.training.batch_size})


def _result_of(run: Path) -> dict[str, Any]:
    purpose = f"no finished run in {run} (`kadapter pretrain … --output {run}` makes one)"
    result = read_json(run / "result.json", purpose)
    if not result.keys() >= {"recipe", "data"}:
        raise StorageError(f"{purpose}: result.json there is not one of a run")
    return result


def score(model: KnowledgeModel, examples: Examples, splits: Sequence[str], training: Training | None = None) -> Scores:
    """Score a model that has a task on splits of its examples.

    Raises:
        ConfigError: there is no such split.
    """
    check_splits(splits, examples.splits)
    with quiet_trainer(model, examples, training) as trainer:
        return {name: trainer.score(name) for name in splits}


@contextmanager
def quiet_trainer(
    model: KnowledgeModel, examples: Examples, training: Training | None = None
) -> Iterator[KnowledgeTrainer]:
    """Give a trainer that reports to nobody and leaves nothing behind, for its batches and scores."""
    quiet = replace(training or Training(), report_to=())
    with tempfile.TemporaryDirectory() as folder:
        arguments = training_arguments(quiet, Path(folder), 1, examples.task.metric)
        yield KnowledgeTrainer(model, examples, arguments)


def check_splits(wanted: Sequence[str], there: Collection[str]) -> None:
    """Raise ConfigError when a split is wanted that is not there."""
    for name in wanted:
        if name not in there:
            raise ConfigError(f"there is no split '{name}'; there are {', '.join(there)}")
