"""Long contexts in windows that overlap: as tokens, and as tensors with a row for each question."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from kadapter.builtin.tasks.pairs import room_beside, token_columns
from kadapter.builtin.tasks.words import length_limit

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

ELSEWHERE = -1
"""Both offsets of a token that is not of the context."""

Offsets = list[tuple[int, int]]
"""For each token of a window the characters of the context that it stands for, half-open."""


class Windows(NamedTuple):
    """A question with every window of its context.

    Attributes:
        tokens: column -> a list for each window, special tokens included.
        offsets: for each window.
    """

    tokens: dict[str, list[list[int]]]
    offsets: list[Offsets]


def encode_windows(
    question: str, context: str, tokenizer: PreTrainedTokenizerBase, max_length: int, stride: int
) -> Windows | None:
    """Tokenize a question with its context, in as many windows as it takes.

    Two windows share `stride` tokens of the context, or half of what fits when that is fewer. None when the question
    leaves no room for the context, or the context has no tokens.
    """
    room = room_beside(question, tokenizer, max_length)
    if room < 1:
        return None
    encoding = tokenizer(
        question,
        context,
        truncation="only_second",
        max_length=length_limit(tokenizer, max_length),
        stride=min(stride, room // 2),
        return_overflowing_tokens=True,
        return_offsets_mapping=True,
    )
    sequences = [encoding.sequence_ids(number) for number in range(len(encoding["input_ids"]))]
    offsets = [_offsets(*window) for window in zip(encoding["offset_mapping"], sequences, strict=True)]
    if not all(map(_of_context, offsets)):
        return None
    return Windows({name: encoding[name] for name in token_columns(tokenizer)}, offsets)


def _offsets(spans: Sequence[tuple[int, int]], sequences: Sequence[int | None]) -> Offsets:
    """Keep the spans of the second sequence, the context."""
    pairs = zip(spans, sequences, strict=True)
    # Special tokens span nothing; tokenizers before 0.23 do not always say of which text the last window's tokens are.
    return [span if of != 0 and span[0] < span[1] else (ELSEWHERE, ELSEWHERE) for span, of in pairs]


def places(answer: tuple[int, int], windows: Sequence[Offsets]) -> list[list[int] | None]:
    """Give the first and the last token of an answer (characters, half-open) in each window that has all of it."""
    start, end = answer
    found: list[list[int] | None] = []
    for number, offsets in enumerate(windows):
        context = _of_context(offsets)
        begins = number == 0 or context[0][0] <= start
        ends = number == len(windows) - 1 or context[-1][1] >= end
        inside = [place for place, span in enumerate(offsets) if span[0] < end and span[1] > start]
        found.append([inside[0], inside[-1]] if begins and ends and inside else None)
    return found


def _of_context(offsets: Offsets) -> Offsets:
    return [span for span in offsets if span[0] != ELSEWHERE]


def by_question(values: Tensor, owners: Tensor, fill: float) -> Tensor:
    """Lay the values of all windows, (sum of N, …), out by their questions: (B, most N, …), the rest is `fill`."""
    counts = owners.bincount()
    laid = values.new_full((len(counts), int(counts.max()), *values.shape[1:]), fill)
    laid[owners, ranks(owners)] = values
    return laid


def ranks(owners: Tensor) -> Tensor:
    """Number the windows of each question from 0: (sum of N)."""
    counts = owners.bincount()
    return torch.arange(len(owners), device=owners.device) - (counts.cumsum(0) - counts)[owners]
