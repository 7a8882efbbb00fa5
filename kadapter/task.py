"""What a model is asked to do with its features: from rows to tokens, from features to a loss and metrics."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from kadapter.config import make_config
from kadapter.errors import ConfigError
from kadapter.registry import Registry, default_registry

if TYPE_CHECKING:
    from datasets import Dataset, DatasetDict
    from transformers import PreTrainedTokenizerBase

    from kadapter.backbone import Backbone


@dataclass(frozen=True)
class Encoded:
    """Rows as tokens.

    Attributes:
        examples: has a column `input_ids`: the tokens, or a list of token lists that belong together.
        skipped: how many rows were left out, by reason.
        lost: how much of the rows that were kept cannot be learned or scored (words cut off, say), by reason.
    """

    examples: Dataset
    skipped: Counter[str]
    lost: Counter[str] = field(default_factory=Counter)


class Task(ABC):
    """A task. A kind of task is a subclass, which a plugin returns from `register_tasks`.

    Attributes:
        name: what recipes and the command line call it.
        Config: a frozen dataclass; what the data decides (the labels, say) is a field that `fit` fills.
        metric: the metric that chooses the best checkpoint; higher is better.
        columns: the columns it needs in the rows.
        fields: what the head reads of a batch, beside the hidden states.
        may_read: what it reads besides, where a batch has it.
        not_fractions: the metrics that are not between 0 and 1.
        composition: how several adapters, or one that only reads, are mixed for it when nobody says.
        examples: for the contracts: options, and a few `rows` with every case that matters.
    """

    name: ClassVar[str]
    Config: ClassVar[type]
    metric: ClassVar[str]
    columns: ClassVar[tuple[str, ...]]
    fields: ClassVar[frozenset[str]] = frozenset()
    may_read: ClassVar[frozenset[str]] = frozenset()
    not_fractions: ClassVar[frozenset[str]] = frozenset()
    composition: ClassVar[str] = "concat"
    examples: ClassVar[Sequence[Mapping[str, Any]]] = ()

    def __init__(self, config: Any) -> None:
        self.config = config

    @classmethod
    @abstractmethod
    def fit(cls, config: Any, splits: DatasetDict) -> Any:
        """Give `config` with everything filled in that the data decides."""

    @abstractmethod
    def encode(self, rows: Dataset, tokenizer: PreTrainedTokenizerBase) -> Encoded:
        """Turn rows into examples; rows that cannot be used are counted, never silently wrong."""

    @abstractmethod
    def collate(self, examples: Sequence[Mapping[str, Any]], tokenizer: PreTrainedTokenizerBase) -> dict[str, Tensor]:
        """Pad examples to one batch: `input_ids` (B, T), `attention_mask` (B, T), `labels` and the task's own.

        When the tokens of an example are a list of N token lists, these are N rows of `input_ids`.
        """

    @abstractmethod
    def head(self, width: int) -> nn.Module:
        """Give a fresh head: `head(hidden (B, T, W), batch) -> logits`."""

    def head_for(self, backbone: Backbone) -> nn.Module:
        """Give the head over a backbone; by default a fresh one of its width.

        A task that asks the backbone's own language-model head gives something that calls `backbone.lm_head`.

        Raises:
            BackboneError: the task cannot be done over that backbone.
        """
        return self.head(backbone.info.width)

    @property
    def holds(self) -> bool:
        """Whether training looks at what the head makes of the bare backbone too, for `hold_loss`."""
        return False

    def hold_loss(self, logits: Tensor, bare: Tensor, batch: Mapping[str, Tensor]) -> Tensor:
        """Give what is added to the loss when the task `holds`; `bare` are the bare backbone's logits."""
        return logits.new_zeros(())

    @abstractmethod
    def loss(self, logits: Tensor, batch: Mapping[str, Tensor]) -> Tensor:
        """Give the mean loss of a batch, a scalar."""

    def predictions(self, logits: Tensor, batch: Mapping[str, Tensor]) -> Tensor:
        """Give what `metrics` needs of the logits; by default the logits themselves.

        Only the second dimension may differ from batch to batch: the batches of a split are put together, padded
        there with -100.
        """
        return logits

    def part(self, sizes: Sequence[int], padding_side: str) -> tuple[slice | list[int], ...]:
        """Say where the logits of one example, of these sizes, stand among its logits in a padded batch."""
        return tuple(slice(-size, None) if padding_side == "left" else slice(size) for size in sizes)

    def best_logits(self, logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Give the best there are for `labels`, in the shape of `logits`: what a perfect model would say.

        By default, for labels that are numbers of classes; below 0 stands for "not asked".
        """
        return np.eye(logits.shape[-1])[labels.clip(0)]

    @abstractmethod
    def metrics(self, predictions: np.ndarray, labels: np.ndarray, examples: Dataset) -> dict[str, float]:
        """Score the predictions of a whole split against its labels; fractions, 0 to 1, but for `not_fractions`.

        `examples` are those of the split in the same order, for what does not fit into an array.
        """


def answer(
    task: Task | None, head: nn.Module | None, composed: Tensor, bare: Tensor | None, batch: Mapping[str, Tensor]
) -> tuple[Tensor | None, Tensor | None]:
    """Give loss and logits: None where there is no task, or the batch lacks what they need.

    Args:
        task: what is asked.
        head: its head.
        composed: (B, T, W).
        bare: the backbone's last state, (B, T, W), where a task that `holds` is trained.
        batch: what the head reads, and `labels`.
    """
    if task is None or head is None or not batch.keys() >= task.fields:
        return None, None
    logits = head(composed, batch)
    if "labels" not in batch:
        return None, logits
    loss = task.loss(logits, batch)
    if task.holds and bare is not None:
        with torch.no_grad():
            unmoved = head(bare, batch)
        loss = loss + task.hold_loss(logits, unmoved, batch)
    return loss, logits


def build_task(options: Mapping[str, Any], registry: Registry | None = None) -> Task:
    """Build a task from `{"name": ..., option: value, ...}`.

    Raises:
        ConfigError: it has no name, or the options are not those of its kind.
        UnknownNameError: its kind is not installed.
    """
    options, registry = dict(options), registry or default_registry()
    if "name" not in options:
        raise ConfigError(f"a task needs a name; there is {', '.join(registry.tasks)}")
    kind = registry.tasks[str(options.pop("name"))]
    return kind(make_config(kind.Config, options, owner=f"task '{kind.name}'"))
