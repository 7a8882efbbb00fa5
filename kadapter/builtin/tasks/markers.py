"""Markers around spans of a text, and the features where they stand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor, nn

from kadapter.builtin.tasks.words import length_limit

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


class Span(NamedTuple):
    """A span of a text (characters, half-open) and the marker to put on both sides of it."""

    start: int
    end: int
    marker: str


class EncodedMarkers(NamedTuple):
    """A text with markers as tokens.

    Attributes:
        input_ids: the tokens, special ones included.
        markers: for each span the place of the first marker; -1 for all when a marker was cut off.
    """

    input_ids: list[int]
    markers: list[int]


def encode_marked(
    text: str, spans: Sequence[Span], tokenizer: PreTrainedTokenizerBase, max_length: int
) -> EncodedMarkers:
    """Tokenize a text with markers around spans that do not overlap."""
    marked, begins, end = _marked(text, spans)
    limit = length_limit(tokenizer, max_length)
    encoding = tokenizer(marked, truncation=True, max_length=limit)
    *places, last = [encoding.char_to_token(at) for at in (*begins, end - 1)]
    whole = None not in (*places, last)
    return EncodedMarkers(encoding["input_ids"], places if whole else [-1] * len(spans))


def _marked(text: str, spans: Sequence[Span]) -> tuple[str, list[int], int]:
    """Put the markers into the text; say where those of each span begin and where the last one ends."""
    marked, done, begins = "", 0, [0] * len(spans)
    for number in sorted(range(len(spans)), key=lambda number: spans[number][:2]):
        start, end, marker = spans[number]
        marked += text[done:start]
        begins[number] = len(marked)
        marked += f"{marker} {text[start:end]} {marker}"
        done = end
    return marked + text[done:], begins, len(marked)


class MarkerHead(nn.Module):
    """Linear(N·W → labels) over the features at the first marker of each of N spans."""

    def __init__(self, width: int, spans: int, labels: int, dropout: float) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(spans * width, labels)

    def forward(self, hidden: Tensor, batch: Mapping[str, Tensor]) -> Tensor:
        """Map (B, T, W) and `markers` (B, N) to logits (B, labels)."""
        rows = torch.arange(len(hidden), device=hidden.device)[:, None]
        return self.linear(self.dropout(hidden[rows, batch["markers"]].flatten(1)))
