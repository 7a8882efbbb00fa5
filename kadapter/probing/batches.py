"""Many short prompts, asked of a language model in batches of about the same length."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from kadapter.probing.language_model import LanguageModel

TOKENS = 1024
"""Of a batch, padding included: logits over 50,000 words are 200 MB then."""


class Prompt(NamedTuple):
    """Tokens, and at which of them logits are read."""

    ids: tuple[int, ...]
    at: tuple[int, ...]


def log_probabilities(model: LanguageModel, prompts: Sequence[Prompt]) -> Iterator[tuple[int, Tensor]]:
    """Give the number of each prompt and its log-probabilities (len(at), V); the longest prompts come first."""
    padding = model.tokenizer.pad_token_id or 0
    for numbers in grouped([len(prompt.ids) for prompt in prompts], TOKENS):
        ids, mask = padded([prompts[number].ids for number in numbers], padding)
        # Not around what is yielded: whoever takes it would be without gradient too.
        with torch.inference_mode():
            logits = model.logits(ids, mask)
        for row, number in zip(logits, numbers, strict=True):
            yield number, row[list(prompts[number].at)].float().log_softmax(-1).cpu()


def grouped(lengths: Sequence[int], tokens: int) -> Iterator[list[int]]:
    """Give numbers of prompts in batches: longest first, none of more than so many tokens unless it is one prompt."""
    batch = list[int]()
    for number in sorted(range(len(lengths)), key=lambda n: -lengths[n]):
        # The first of a batch is its longest.
        if batch and (len(batch) + 1) * lengths[batch[0]] > tokens:
            yield batch
            batch = []
        batch.append(number)
    if batch:
        yield batch


def padded(rows: Sequence[Sequence[int]], padding: int) -> tuple[Tensor, Tensor]:
    """Give `input_ids` and `attention_mask`, (B, T) each, padded on the right."""
    width = max(map(len, rows))
    ids = torch.tensor([[*row, *[padding] * (width - len(row))] for row in rows])
    mask = torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in rows])
    return ids, mask
