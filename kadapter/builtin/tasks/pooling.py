"""One feature for a whole text, whichever side the tokenizer pads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor, nn

Pool = Literal["mean", "first", "last"]
"""Of the real tokens: the mean of all, the first one (an encoder's start token), the last one (suits decoders)."""


def pooled(hidden: Tensor, attention_mask: Tensor, pool: Pool) -> Tensor:
    """Map (B, T, W) and the mask of real tokens (B, T) to (B, W)."""
    mask = attention_mask.to(hidden.dtype)
    if pool == "mean":
        return torch.einsum("btw,bt->bw", hidden, mask) / mask.sum(1, keepdim=True)
    first = attention_mask.argmax(1)
    place = first if pool == "first" else first + attention_mask.sum(1) - 1
    return hidden[torch.arange(len(hidden), device=hidden.device), place]


class PooledHead(nn.Module):
    """Linear(W → outputs) over the pooled features of a text."""

    def __init__(self, width: int, outputs: int, pool: Pool, dropout: float, bias: bool = True) -> None:
        super().__init__()
        self.pool = pool
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(width, outputs, bias=bias)

    def forward(self, hidden: Tensor, batch: Mapping[str, Tensor]) -> Tensor:
        """Map (B, T, W) and `attention_mask` (B, T) to (B, outputs)."""
        return self.linear(self.dropout(pooled(hidden, batch["attention_mask"], self.pool)))
