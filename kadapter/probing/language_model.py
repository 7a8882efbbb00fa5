"""What is asked: anything that gives logits over a vocabulary for a batch of tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from torch import Tensor

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


class LanguageModel(Protocol):
    """A masked or a causal language model."""

    @property
    def tokenizer(self) -> PreTrainedTokenizerBase:
        """Its tokenizer, a fast one."""

    @property
    def causal(self) -> bool:
        """Whether the logits at a token are about the next one; else they are about the token itself."""

    @property
    def start(self) -> int | None:
        """A token that texts begin with although the tokenizer adds none by itself; None for none."""

    def logits(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Give (B, T, V) for a batch (B, T) that is padded on the right."""
