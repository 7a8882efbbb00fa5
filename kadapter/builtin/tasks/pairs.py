"""Pairs of texts as tokens: what a pair of them has, and batches of examples that consist of several."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any

from torch import Tensor

from kadapter.builtin.tasks.padding import pad_tokens
from kadapter.builtin.tasks.words import length_limit

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


def token_columns(tokenizer: PreTrainedTokenizerBase) -> list[str]:
    """Name the columns of tokens: `input_ids`, and `token_type_ids` when the tokenizer gives them."""
    return [name for name in ("input_ids", "token_type_ids") if name in tokenizer.model_input_names]


def room_beside(text: str, tokenizer: PreTrainedTokenizerBase, max_length: int) -> int:
    """Count the tokens that a text leaves to the other one of its pair."""
    taken = len(tokenizer(text, add_special_tokens=False)["input_ids"])
    return length_limit(tokenizer, max_length) - taken - tokenizer.num_special_tokens_to_add(pair=True)


def pad_parts(examples: Sequence[Mapping[str, Any]], tokenizer: PreTrainedTokenizerBase) -> dict[str, Tensor]:
    """Pad examples of N token lists each as `pad_tokens` does, one row for each list."""
    names = [name for name in token_columns(tokenizer) if name in examples[0]]
    flat = {name: list(chain.from_iterable(example[name] for example in examples)) for name in names}
    return pad_tokens([dict(zip(flat, values, strict=True)) for values in zip(*flat.values(), strict=True)], tokenizer)
