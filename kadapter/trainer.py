"""transformers' Trainer, told what a KnowledgeModel is: what to save, how to batch, what the loss is."""

from __future__ import annotations

import math
import os
import statistics
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from safetensors import SafetensorError
from torch import Tensor, nn
from torch.utils.data import Sampler
from transformers import (
    EvalPrediction,
    PrinterCallback,
    Trainer,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)
from transformers.integrations.integration_utils import get_available_reporting_integrations
from transformers.trainer_pt_utils import get_length_grouped_indices
from transformers.trainer_utils import PredictionOutput

from kadapter.data import Examples
from kadapter.errors import ConfigError, StorageError
from kadapter.features import FrozenStates
from kadapter.model import KnowledgeModel
from kadapter.progress import TrainingBar
from kadapter.recipe import Training

if TYPE_CHECKING:
    from datasets import Dataset


class LengthGrouped(Sampler[int]):
    """Gives batches of about equal length in an order that depends on seed and epoch alone.

    So a run that was killed in the middle of an epoch goes on with the very batches that were still to come.
    """

    def __init__(self, lengths: Sequence[int], batch_size: int, seed: int) -> None:
        self.lengths, self.batch_size, self.seed = list(lengths), batch_size, seed
        self.epoch = 0

    def __len__(self) -> int:
        return len(self.lengths)

    def set_epoch(self, epoch: int) -> None:
        """Choose the order of that epoch."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[int]:
        generator = torch.Generator().manual_seed(1_000_003 * self.seed + self.epoch)
        return iter(get_length_grouped_indices(self.lengths, self.batch_size, generator=generator))


class _BestBeside(TrainerCallback):
    """Looks for the best checkpoint beside the one to go on from, wherever the run has been moved meanwhile."""

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        if state.best_global_step:
            state.best_model_checkpoint = str(Path(str(args.output_dir)) / f"checkpoint-{state.best_global_step}")


class StepClock(TrainerCallback):
    """Times the steps, without the evaluations and checkpoints between them."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self._began = 0.0

    def on_step_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Start the clock."""
        self._began = time.perf_counter()

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Stop it."""
        self.seconds.append(time.perf_counter() - self._began)

    @property
    def median(self) -> float:
        """Seconds of the median step; 0 when there was none."""
        return statistics.median(self.seconds) if self.seconds else 0.0


class KnowledgeTrainer(Trainer):
    """Trains what requires a gradient; checkpoints hold everything but the frozen backbone."""

    def __init__(
        self, model: KnowledgeModel, examples: Examples, arguments: TrainingArguments, title: str = "training"
    ) -> None:
        task, tokenizer = examples.task, model.backbone.tokenizer
        self.knowledge_model, self.examples = model, examples
        self.bar, self.clock = TrainingBar(title), StepClock()
        self.frozen = FrozenStates(model.backbone, "bfloat16" if arguments.bf16 else "float32")
        self._orders: dict[str, list[int]] = {}
        super().__init__(
            model=model,
            args=arguments,
            train_dataset=examples.splits["train"],
            eval_dataset=self._ordered("validation"),
            data_collator=partial(task.collate, tokenizer=tokenizer),
            compute_metrics=self._scored_on("validation"),
            callbacks=[_BestBeside(), self.bar, self.clock],
        )
        self.remove_callback(PrinterCallback)

    def _get_train_sampler(self, train_dataset: Any = None) -> Sampler[int]:
        lengths = [_length(tokens) for tokens in self.examples.splits["train"]["input_ids"]]
        # Grouped for all processes: together they take the batches that one process with larger ones would.
        return LengthGrouped(lengths, self.args.train_batch_size * self.args.world_size, self.args.seed)

    def compute_loss(
        self,
        model: nn.Module,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: Tensor | int | None = None,
    ) -> Any:
        """Give the task's loss; of the outputs, evaluation gathers only what the task's metrics need."""
        with self._reading():
            output = model(**inputs)
        if not return_outputs:
            return output.loss
        predictions = self.examples.task.predictions(output.logits, inputs)
        return output.loss, {"loss": output.loss, "predictions": predictions}

    @contextmanager
    def _reading(self) -> Iterator[None]:
        """Let the model take the states of a frozen backbone from where a run has them."""
        self.knowledge_model.clean = self.frozen if self.knowledge_model.backbone.frozen else None
        try:
            yield
        finally:
            self.knowledge_model.clean = None

    def _ordered(self, split: str) -> Dataset:
        """Give a split by length, so that its batches have little padding."""
        return self.examples.splits[split].select(self._order(split))

    def _order(self, split: str) -> list[int]:
        if split not in self._orders:
            self._orders[split] = _by_length(self.examples.splits[split]["input_ids"])
        return self._orders[split]

    def score(self, split: str) -> dict[str, float]:
        """Give the task's metrics on a split of the examples."""
        prediction = self.predict(self._ordered(split))
        return self._scored_on(split)(prediction)

    def batches(self, split: str) -> Iterable[dict[str, Tensor]]:
        """Give a split of the examples as the batches in which it is scored."""
        return self.get_test_dataloader(self._ordered(split))

    def _scored_on(self, split: str) -> Callable[[EvalPrediction | PredictionOutput], dict[str, float]]:
        task, examples, places = self.examples.task, self.examples.splits[split], np.argsort(self._order(split))
        return lambda given: task.metrics(
            np.asarray(given.predictions)[places], np.asarray(given.label_ids)[places], examples
        )

    def train(self, *arguments: Any, **options: Any) -> Any:
        """Train as Trainer does; however that ends, the terminal is left in order."""
        try:
            return super().train(*arguments, **options)
        finally:
            self.bar.stop()

    def _save_checkpoint(self, *arguments: Any, **options: Any) -> None:
        try:
            super()._save_checkpoint(*arguments, **options)
        # Disks that are full are told of by safetensors and torch each in its own way.
        except (OSError, SafetensorError, RuntimeError) as error:
            raise StorageError(
                f"cannot write a checkpoint to {self.args.output_dir}: {error}; make room, and go on with --resume"
            ) from error

    def _save(self, output_dir: str | None = None, state_dict: dict[str, Tensor] | None = None) -> None:
        tensors = state_dict if state_dict is not None else self.knowledge_model.state_dict()
        frozen = "backbone." if self.knowledge_model.backbone.frozen else ()
        super()._save(output_dir, {name: tensor for name, tensor in tensors.items() if not name.startswith(frozen)})

    def _issue_warnings_after_load(self, load_result: Any) -> None:
        # What a checkpoint lacks is what was frozen; only a name that the model lacks would be news.
        if load_result.unexpected_keys:
            super()._issue_warnings_after_load(load_result)


def _by_length(tokens: Iterable[Sequence[Any]]) -> list[int]:
    """Give the numbers of examples, short ones first."""
    lengths = [_length(own) for own in tokens]
    return sorted(range(len(lengths)), key=lengths.__getitem__)


def _length(tokens: Sequence[Any]) -> int:
    """Count the tokens of an example, or of its longest part when it is a list of token lists."""
    return max(map(len, tokens)) if tokens and isinstance(tokens[0], list) else len(tokens)


def training_arguments(training: Training, folder: Path, examples: int, metric: str) -> TrainingArguments:
    """Say a recipe's training in Trainer's terms: one checkpoint an epoch, the best one by `metric` is kept."""
    # Accelerate goes by this where it is set, and transformers 4 leaves it behind after a run in bfloat16.
    os.environ["ACCELERATE_MIXED_PRECISION"] = "bf16" if training.precision == "bfloat16" else "no"
    arguments = TrainingArguments(
        output_dir=str(folder),
        num_train_epochs=training.epochs,
        per_device_train_batch_size=training.batch_size,
        per_device_eval_batch_size=2 * training.batch_size,
        learning_rate=training.learning_rate,
        weight_decay=training.weight_decay,
        max_grad_norm=training.clip,
        seed=training.seed,
        bf16=training.precision == "bfloat16",
        use_cpu=not (torch.cuda.is_available() or torch.backends.mps.is_available()),
        eval_strategy="epoch",
        save_strategy="epoch",
        save_total_limit=2,
        load_best_model_at_end=True,
        metric_for_best_model=metric,
        greater_is_better=True,
        report_to=list(training.report_to),
        remove_unused_columns=False,
        disable_tqdm=True,
        label_names=["labels"],
    )
    # One device for each process: what would be cut into parts for several (DataParallel) is not always a row each.
    arguments._n_gpu = min(arguments.n_gpu, 1)
    steps = math.ceil(examples / (training.batch_size * arguments.world_size))
    arguments.warmup_steps = round(training.warmup * steps * training.epochs)
    arguments.logging_steps = max(1, steps // 20)
    return arguments


def check_reporting(integrations: Sequence[str]) -> None:
    """Make sure that transformers can report to these.

    Raises:
        ConfigError: one is unknown or not installed.
    """
    there = get_available_reporting_integrations()
    missing = [name for name in integrations if name not in there]
    if missing:
        raise ConfigError(
            f"training: report_to asks for {', '.join(missing)}; transformers finds {', '.join(there) or 'nothing'} "
            f"installed: install it, or report to that"
        )
