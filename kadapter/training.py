"""Train what a recipe says: pretrain a knowledge adapter, or fine-tune a task over adapters. A run folder comes out."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from transformers import set_seed

from kadapter.adapter import Adapter
from kadapter.backbone import Backbone
from kadapter.data import Examples, prepare
from kadapter.errors import ConfigError, StorageError
from kadapter.files import check_free, read_json, write_json
from kadapter.memory import PeakMemory
from kadapter.model import KnowledgeModel
from kadapter.plots import plot_losses
from kadapter.processes import check_whole, how_many, is_first
from kadapter.recipe import Recipe
from kadapter.registry import Registry, default_registry
from kadapter.storage import save_adapter
from kadapter.storing import states_kept
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
    """Train a new adapter, its composition and its head as `recipe` says, the backbone frozen, into a run folder.

    The folder holds the best checkpoint by the task's metric on the validation split, as an adapter
    (`load_adapter`) and as a whole model (`KnowledgeModel.from_pretrained`); `result.json`; `loss.png`.

    Args:
        recipe: the whole run.
        output: a new or empty folder; with `resume`, that of a run that was interrupted.
        resume: go on from the last whole checkpoint, to the same weights as without the interruption.
        registry: where names are looked up; by default, what is installed.

    Raises:
        ConfigError: the recipe has no new adapter.
        KadapterError: one of its children says what is wrong with the recipe, the backbone or the folder.
        knowledge_data.DataError: the data is not what it should be.
    """
    if recipe.adapter is None:
        raise ConfigError("the recipe has no new adapter to pretrain: give it `adapter: {type: …}`, or fine-tune it")
    return finetune(recipe, output, resume, registry)


def finetune(recipe: Recipe, output: Path | str, resume: bool = False, registry: Registry | None = None) -> Run:
    """Train a task over the adapters that `recipe` plugs, and of them, the backbone and their composition what it says.

    The folder holds the best checkpoint by the task's metric on the validation split as a whole model
    (`KnowledgeModel.from_pretrained`): every plugged adapter in it, trained or not, and the backbone if it was
    tuned; `result.json`; `loss.png`.

    Args:
        recipe: the whole run; `training.trains` says what is not frozen.
        output: a new or empty folder; with `resume`, that of a run that was interrupted.
        resume: go on from the last whole checkpoint, to the same weights as without the interruption.
        registry: where names are looked up; by default, what is installed.

    Raises:
        KadapterError: one of its children says what is wrong with the recipe, the backbone or the folder.
        knowledge_data.DataError: the data is not what it should be.
    """
    registry, output = registry or default_registry(), Path(output)
    recipe = Recipe.from_dict(recipe.as_dict())
    check_whole()
    if is_first():
        _check_output(recipe, output, resume)
    if (output / "result.json").exists():
        return Run(output, read_json(output / "result.json", "finished run"))
    model, examples = assemble(recipe, registry)
    if is_first():
        _start(recipe, model.backbone, examples, output)
    with _alone(output) if is_first() else nullcontext():
        return _run_to_its_end(recipe, model, examples, output, registry)


def _run_to_its_end(recipe: Recipe, model: KnowledgeModel, examples: Examples, output: Path, registry: Registry) -> Run:
    trainer = _trainer(recipe, model, examples, output)
    with states_kept(trainer, recipe.training) as of_store:
        result = _result(recipe, model, examples, trainer, {**_train(trainer, output), **of_store})
    if is_first():
        _finish(recipe, model, trainer, output, result, registry)
    trainer.accelerator.wait_for_everyone()
    return Run(output, result)


@contextmanager
def _alone(output: Path) -> Iterator[None]:
    """Keep others from the run in a folder, whose checkpoints are removed when it is finished.

    Raises:
        StorageError: another process trains it, or has finished it since this one looked.
    """
    lock = FileLock(output / ".lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise StorageError(f"another process trains the run in {output}; wait until it has ended") from None
    try:
        if (output / "result.json").exists():
            raise StorageError(f"another process has finished the run in {output}; there is nothing left to do")
        yield
    finally:
        lock.release()
        if (output / "result.json").exists():
            (output / ".lock").unlink(missing_ok=True)


def assemble(recipe: Recipe, registry: Registry) -> tuple[KnowledgeModel, Examples]:
    """Give the model of a run before its first step, and its examples: what is wrong with a recipe is found here.

    Raises:
        KadapterError: one of its children says what is wrong with the recipe or the backbone.
        knowledge_data.DataError: the data is not what it should be.
    """
    check_reporting(recipe.training.report_to)
    base = KnowledgeModel.from_pretrained(recipe.backbone, registry=registry)
    examples = prepare(recipe.source, recipe.task, base.backbone.tokenizer, registry)
    return build_model(recipe, base, examples.task, registry), examples


def build_model(recipe: Recipe, base: KnowledgeModel, task: Task, registry: Registry) -> KnowledgeModel:
    """Put the model that `recipe` trains together on `base`, and freeze what it does not train.

    Fresh weights are drawn from the recipe's seed.

    Raises:
        ConfigError: nothing is left to train, or a name is plugged already.
        KadapterError: one of its children says what is wrong with an adapter.
    """
    set_seed(recipe.training.seed)
    goes_on = bool(base.plugged) and not recipe.composition
    model = KnowledgeModel(base.backbone, base.composition if goes_on else None, task)
    # Not by `plug`: what is frozen beside a tuned backbone is still an adapter of the clean one.
    model.adapters.update(dict(base.adapters.items()))
    for name, adapter in recipe.plugs.items():
        model.plug(name, adapter, registry)
    if not goes_on:
        model.recompose(recipe.composition or model.usual_composition(task.composition), registry)
    _freeze(model, recipe)
    model.backbone.checkpointing = recipe.training.gradient_checkpointing
    return model


def _freeze(model: KnowledgeModel, recipe: Recipe) -> None:
    parts = recipe.training.trains or ("head", "composition")
    trained = model.plugged if "adapters" in parts else () if recipe.training.trains else recipe.new
    model.composition.requires_grad_("composition" in parts)
    model.get_submodule("head").requires_grad_("head" in parts)
    if model.task is not None and model.task.holds and "backbone" in parts:
        raise ConfigError("task: hold needs a frozen backbone to hold to; leave backbone out of training.trains")
    model.backbone.thaw() if "backbone" in parts else model.backbone.freeze()
    for name in model.plugged:
        adapter: Any = model.adapters[name]
        adapter.requires_grad_(name in trained)
        if name in trained:
            # Beside a tuned backbone it becomes an adapter of that.
            adapter.backbone = model.backbone.info
    if not any(parameter.requires_grad for parameter in model.parameters()):
        raise ConfigError(f"training: trains is {', '.join(parts)}, but there is nothing of it; name head as well")


def _check_output(recipe: Recipe, output: Path, resume: bool) -> None:
    """Make sure that the folder of a new run is free, or that the run to go on with is the same."""
    if not resume:
        check_free(output)
    elif not (output / "recipe.yaml").exists():
        raise StorageError(f"there is no run to resume in {output}; start one without --resume")
    elif other := [
        # Data may have moved: that it is the same is seen by its content. A store changes no number.
        difference
        for difference in recipe.differences(Recipe.load(output / "recipe.yaml"))
        if not difference.startswith(("source.path ", "training.store"))
    ]:
        raise StorageError(
            f"the run in {output} has another recipe: {'; '.join(other)}; resume it with the same options"
        )


def _start(recipe: Recipe, backbone: Backbone, examples: Examples, output: Path) -> None:
    """Write down what the run starts from; to go on with other data or another backbone would spoil it."""
    origin = {
        "content_hash": examples.provenance["content_hash"],
        "fingerprint": backbone.loaded.fingerprint,
        "processes": how_many(),
    }
    note = output / "origin.json"
    if note.exists():
        _check_origin(origin, {"processes": 1, **read_json(note, "origin of the run")}, output)
    else:
        # The recipe first: where it is, a run goes on, so that a kill between the two does not block the folder.
        recipe.save(output / "recipe.yaml")
        write_json(note, origin)


def _check_origin(now: Mapping[str, Any], then: Mapping[str, Any], output: Path) -> None:
    if now["processes"] != then["processes"]:
        raise StorageError(
            f"the run in {output} was started in {then['processes']} processes, and goes on only in as many: "
            f"torchrun --nproc-per-node {then['processes']} -m kadapter …; now there is {now['processes']}"
        )
    if now != then:
        raise StorageError(f"data or backbone have changed since the run in {output} was started; start a new one")


def _trainer(recipe: Recipe, model: KnowledgeModel, examples: Examples, output: Path) -> KnowledgeTrainer:
    train, metric = examples.splits["train"], examples.task.metric
    arguments = training_arguments(recipe.training, output / "checkpoints", len(train), metric)
    return KnowledgeTrainer(model, examples, arguments, title=output.name)


def _train(trainer: KnowledgeTrainer, output: Path) -> dict[str, float]:
    """Train, and give what it cost."""
    started = time.perf_counter()
    with PeakMemory() as memory:
        trainer.train(resume_from_checkpoint=_last_whole(output / "checkpoints"))
    return {
        "seconds": round(time.perf_counter() - started, 1),
        "step_seconds": round(trainer.clock.median, 4),
        "peak_memory_mb": round(memory.peak / 1e6),
    }


def _last_whole(checkpoints: Path) -> str | None:
    """Find the newest checkpoint that was written to its end, and remove the halves of a kill."""
    found = sorted(checkpoints.glob("checkpoint-*"), key=lambda folder: int(folder.name.split("-")[1]))
    for folder in reversed(found):
        if _is_whole(folder):
            return str(folder)
        if is_first():
            shutil.rmtree(folder)
    return None


def _is_whole(checkpoint: Path) -> bool:
    # Trainer writes its state last; a kill may still cut that file short.
    try:
        return "global_step" in json.loads((checkpoint / "trainer_state.json").read_text())
    except (OSError, ValueError):
        return False


def _result(
    recipe: Recipe,
    model: KnowledgeModel,
    examples: Examples,
    trainer: KnowledgeTrainer,
    costs: Mapping[str, float],
) -> dict[str, Any]:
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    return {
        "recipe": recipe.as_dict(),
        "data": dict(examples.provenance),
        "validation": trainer.score("validation"),
        "trained_parameters": trained,
        "backbone_parameters": sum(p.numel() for p in model.backbone.parameters()),
        **costs,
        "steps": trainer.state.global_step,
        "processes": how_many(),
        "versions": versions(),
        **({"from_hub": fetched} if (fetched := _from_hub(model)) else {}),
    }


def _from_hub(model: KnowledgeModel) -> dict[str, Any]:
    """Say of which commits the adapters are that came from the Hub: a recipe may name a branch, which moves."""
    told = {name: adapter.trained_on.get("hub") for name, adapter in model.by_name().items()}
    return {name: where for name, where in told.items() if where}


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
    model.mark()
    places = {name: "." if name == recipe.name and recipe.adapter else f"adapters/{name}" for name in model.plugged}
    for name, place in places.items():
        adapter: Any = model.adapters[name]
        trained = any(parameter.requires_grad for parameter in adapter.parameters())
        trained_on = _after(adapter, result) if trained or name in recipe.new else None
        save_adapter(output / place, adapter, name, trained_on, registry=registry)
    model.save_around(output, places)
    plot_losses(trainer.state.log_history, output / "loss.png")
    write_json(output / "result.json", result)
    shutil.rmtree(output / "checkpoints", ignore_errors=True)


def _after(adapter: Adapter, result: Mapping[str, Any]) -> dict[str, Any]:
    """Say how an adapter was trained, and on what it goes on from: its knowledge is of both."""
    return {**result, **({"before": [dict(adapter.trained_on)]} if adapter.trained_on else {})}
