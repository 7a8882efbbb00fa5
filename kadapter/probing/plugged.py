"""A `KnowledgeModel` as language models to ask: as it is, and without its adapters."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from torch import Tensor

from kadapter.generation import composed
from kadapter.model import KnowledgeModel
from kadapter.probing.language_model import LanguageModel

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Head = Callable[[Tensor], Tensor]
"""Takes last states (B, T, W), gives logits (B, T, V)."""

WITHOUT, WITH = "without", "with"


@dataclass(frozen=True)
class Plugged:
    """A model and the head that its last state goes through; `bare` leaves its adapters out."""

    model: KnowledgeModel
    head: Head
    bare: bool
    start: int | None = None

    @property
    def tokenizer(self) -> PreTrainedTokenizerBase:
        """The backbone's."""
        return self.model.backbone.tokenizer

    @property
    def causal(self) -> bool:
        """Whether the backbone is."""
        return self.model.backbone.info.causal

    def logits(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Give (B, T, V): the head's answer to what the composition gives."""
        device = self.model.device
        with self.model.unplugged() if self.bare else nullcontext():
            # Not by the model itself: its task may have a head, whose answers would be for nothing.
            batch = {"input_ids": input_ids.to(device), "attention_mask": attention_mask.to(device)}
            return self.head(composed(self.model, batch))


def both_of(model: KnowledgeModel, start: bool = False) -> dict[str, LanguageModel]:
    """Give the model without its adapters and, when it has some, with them.

    Args:
        model: in evaluation mode from here on.
        start: whether a causal one sees its start token first, where the tokenizer adds none.

    Raises:
        BackboneError: the backbone has no language-model head.
    """
    model.eval()
    head, first = _head(model), _start(model) if start else None
    models: dict[str, LanguageModel] = {WITHOUT: Plugged(model, head, True, first)}
    return {**models, WITH: Plugged(model, head, False, first)} if model.plugged else models


def _head(model: KnowledgeModel) -> Head:
    """Give the backbone's own head; or the fresh one that the model's task trained in its stead."""
    return partial(model.head, batch={}) if model.head is not None and has_fresh_head(model) else model.backbone.lm_head


def has_fresh_head(model: KnowledgeModel) -> bool:
    """Say whether a model's task has a language-model head of its own, in the backbone's stead."""
    return model.task is not None and getattr(model.task.config, "head", "own") == "fresh"


def _start(model: KnowledgeModel) -> int | None:
    tokenizer = model.backbone.tokenizer
    start = tokenizer.eos_token_id if tokenizer.bos_token_id is None else tokenizer.bos_token_id
    adds = tokenizer("a", return_special_tokens_mask=True)["special_tokens_mask"][0]
    return None if adds or not model.backbone.info.causal else start
