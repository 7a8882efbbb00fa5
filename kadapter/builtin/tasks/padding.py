"""From examples to one batch, whichever side the tokenizer pads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

IGNORED = -100
"""Stands in labels where nothing is asked; `cross_entropy` leaves it out."""


def pad_tokens(examples: Sequence[Mapping[str, Any]], tokenizer: PreTrainedTokenizerBase) -> dict[str, Tensor]:
    """Pad to the longest: `input_ids`, `attention_mask` (B, T), and `token_type_ids` where the examples have them."""
    names = [name for name in ("input_ids", "token_type_ids") if name in examples[0]]
    return dict(tokenizer.pad([{name: e[name] for name in names} for e in examples], return_tensors="pt"))


def pad_values(values: Sequence[Sequence[Any]], attention_mask: Tensor, fill: int = IGNORED) -> Tensor:
    """Lay the values of each example's tokens over its tokens: (B, T), or (B, T, N) when a value is a list of N.

    Padding gets `fill`.
    """
    joined = torch.cat([torch.as_tensor(example) for example in values])
    padded = torch.full((*attention_mask.shape, *joined.shape[1:]), fill, dtype=joined.dtype)
    padded[attention_mask.bool()] = joined
    return padded


def padding_before(attention_mask: Tensor) -> Tensor:
    """Count the padding to the left of each example, (B, 1): so far its positions have moved in the batch."""
    return attention_mask.argmax(1, keepdim=True)
