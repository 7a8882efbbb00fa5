"""Pretrain a knowledge adapter: from a recipe to a run folder."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from transformers import set_seed

from kadapter.backbone import Backbone, load_backbone
from kadapter.composition import build_composition
from kadapter.data import Examples, prepare
from kadapter.errors import StorageError
from kadapter.files import check_free, read_json, write_json
from kadapter.model import KnowledgeModel
from kadapter.plots import plot_losses
from kadapter.recipe import Recipe
from kadapter.registry import Registry, default_registry
from kadapter.storage import save_adapter
from kadapter.task import Task
from kadapter.trainer import KnowledgeTrainer, check_reporting, training_arguments


@dataclass(frozen=True)
class Run:
    """A finished run.

    Attributes:
        folder: where everything of it lies.
        result: what `result.json` says: recipe, provenance, validation metrics, parameters, seconds, versions.
    """

    folder: Path
    result: Mapping[str, Any]


def pretrain(recipe: Recipe, output: Path | str, resume: bool = False, registry: Registry | None = None) -> Run:
    """Train an adapter, its composition and its head as `recipe` says, the backbone frozen, into a run folder.

    The folder holds the best checkpoint by the task's metric on the validation split, as an adapter
    (`load_adapter`) and as a whole model (`KnowledgeModel.from_pretrained`); `result.json`; `loss.png`.

    Args:
        recipe: the whole run.
        output: a new or empty folder; with `resume`, that of a run that was interrupted.
        resume: go on from the last whole checkpoint, to the same weights as without the interruption.
        registry: where names are looked up; by default, what is installed.

    Raises:
        KadapterError: one of its children says what is wrong with the recipe, the backbone or the folder.
        knowledge_data.DataError: the data is not what it should be.
    """
    registry, output = registry or default_registry(), Path(output)
    recipe = Recipe.from_dict(recipe.as_dict())
    _check_output(recipe, output, resume)
    if (output / "result.json").exists():
        return Run(output, read_json(output / "result.json", "finished run"))
    check_reporting(recipe.training.report_to)
    backbone = load_backbone(recipe.backbone, registry)
    examples = prepare(recipe.source, recipe.task, backbone.tokenizer, registry)
    model = build_model(recipe, backbone, examples.task, registry)
    _start(recipe, backbone, examples, output)
    trainer, seconds = _train(recipe, model, examples, output)
    result = _result(recipe, model, examples, trainer, seconds)
    _finish(recipe, model, trainer, output, result, registry)
    return Run(output, result)


def build_model(recipe: Recipe, backbone: Backbone, task: Task, registry: Registry) -> KnowledgeModel:
    """Build the model that `recipe` trains, fresh weights drawn from its seed, and freeze what it does not train."""
    set_seed(recipe.training.seed)
    composition = build_composition(recipe.composition, backbone.info.width, registry)
    model = KnowledgeModel(backbone, composition, task)
    if recipe.training.trains == "everything":
        backbone.thaw()
    if recipe.adapter is not None:
        adapter = model.plug(recipe.name, recipe.adapter, registry)
        adapter.requires_grad_(recipe.training.trains != "head")
    return model


def _check_output(recipe: Recipe, output: Path, resume: bool) -> None:
    """Make sure that the folder of a new run is free, or that the run to go on with is the same."""
    if not resume:
        check_free(output)
    elif not (output / "recipe.yaml").exists():
        raise StorageError(f"there is no run to resume in {output}; start one without --resume")
    elif other := recipe.differences(Recipe.load(output / "recipe.yaml")):
        raise StorageError(
            f"the run in {output} has another recipe: {'; '.join(other)}; resume it with the same options"
        )


def _start(recipe: Recipe, backbone: Backbone, examples: Examples, output: Path) -> None:
    """Write down what the run starts from; to go on with other data or another backbone would spoil it."""
    origin = {"content_hash": examples.provenance["content_hash"], "fingerprint": backbone.loaded.fingerprint}
    note = output / "origin.json"
    if note.exists() and read_json(note, "origin of the run") != origin:
        raise StorageError(f"data or backbone have changed since the run in {output} was started; start a new one")
    if not note.exists():
        write_json(note, origin)
        recipe.save(output / "recipe.yaml")


def _train(recipe: Recipe, model: KnowledgeModel, examples: Examples, output: Path) -> tuple[KnowledgeTrainer, float]:
    checkpoints = output / "checkpoints"
    arguments = training_arguments(recipe.training, checkpoints, len(examples.splits["train"]), examples.task.metric)
    trainer = KnowledgeTrainer(model, examples, arguments, title=output.name)
    started = time.perf_counter()
    trainer.train(resume_from_checkpoint=_last_whole(checkpoints))
    return trainer, time.perf_counter() - started


def _last_whole(checkpoints: Path) -> str | None:
    """Find the newest checkpoint that was written to its end, and remove the halves of a kill."""
    found = sorted(checkpoints.glob("checkpoint-*"), key=lambda folder: int(folder.name.split("-")[1]))
    for folder in reversed(found):
        if _is_whole(folder):
            return str(folder)
        shutil.rmtree(folder)
    return None


def _is_whole(checkpoint: Path) -> bool:
    # Trainer writes its state last; a kill may still cut that file short.
    try:
        return "global_step" in json.loads((checkpoint / "trainer_state.json").read_text())
    except (OSError, ValueError):
        return False


def _result(
    recipe: Recipe, model: KnowledgeModel, examples: Examples, trainer: KnowledgeTrainer, seconds: float
) -> dict[str, Any]:
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    return {
        "recipe": recipe.as_dict(),
        "data": dict(examples.provenance),
        "validation": trainer.score("validation"),
        "trained_parameters": trained,
        "backbone_parameters": sum(p.numel() for p in model.backbone.parameters()),
        "seconds": round(seconds, 1),
        "steps": trainer.state.global_step,
        "versions": versions(),
    }


def versions() -> dict[str, str]:
    """Give the versions that a figure depends on."""
    return {name: metadata.version(name) for name in ("kadapter", "torch", "transformers")}


def _finish(
    recipe: Recipe,
    model: KnowledgeModel,
    trainer: KnowledgeTrainer,
    output: Path,
    result: dict[str, Any],
    registry: Registry,
) -> None:
    """Write everything; `result.json` comes last, so that it means that the run is whole."""
    model.eval()
    for name in model.plugged:
        save_adapter(output, model.adapters[name], name, result, registry=registry)  # type: ignore[arg-type]
    model.save_around(output, places=dict.fromkeys(model.plugged, "."))
    plot_losses(trainer.state.log_history, output / "loss.png")
    write_json(output / "result.json", result)
    shutil.rmtree(output / "checkpoints", ignore_errors=True)
