"""Logits of what is asked, and of no other token: a vocabulary is wide."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from kadapter import Backbone
from kadapter.builtin.tasks.padding import IGNORED


def laid_out(labels: Tensor) -> tuple[Tensor, Tensor]:
    """Give where in (B, T) labels stand that are not `IGNORED`, and these labels, (B, K) each, -1 and `IGNORED` last.

    K is the most of a row, but at least 1.
    """
    there = labels != IGNORED
    most = max(int(there.sum(1).max()), 1)
    first = (~there).int().argsort(dim=1, stable=True)[:, :most]
    return first.where(there.gather(1, first), -1), labels.gather(1, first)


class AskedHead(nn.Module):
    """Applies the backbone's own language-model head, or a fresh one, to every token or to those that are asked."""

    def __init__(self, backbone: Backbone, fresh: nn.Module | None = None) -> None:
        super().__init__()
        # In a tuple: the backbone and its head are no part of this one.
        self._backbone = (backbone,)
        self.fresh = fresh
        if fresh is None:
            # What is wrong with it is said now.
            _ = backbone.lm_head

    def forward(self, hidden: Tensor, batch: Mapping[str, Tensor]) -> Tensor:
        """Map (B, T, W) to logits (B, T, V), or (B, K, V) where the batch says what is `asked`, (B, K)."""
        if "asked" not in batch:
            return self._logits(hidden)
        asked = batch["asked"]
        rows, columns = (asked >= 0).nonzero(as_tuple=True)
        some = self._logits(hidden[rows, asked[rows, columns]])
        return some.new_zeros(*asked.shape, some.shape[-1]).index_put((rows, columns), some)

    def _logits(self, hidden: Tensor) -> Tensor:
        return self._backbone[0].lm_head(hidden) if self.fresh is None else self.fresh(hidden)


class FreshHead(nn.Module):
    """A language-model head that knows nothing: Linear(W → E), GELU, norm, then the backbone's embeddings and a bias.

    K-Adapter trains such a one on text, with all else frozen, before it asks LAMA's questions.
    """

    def __init__(self, backbone: Backbone) -> None:
        super().__init__()
        self._backbone = (backbone,)
        vocabulary, width = self._embeddings.shape
        self.dense = nn.Linear(backbone.info.width, width)
        self.norm = nn.LayerNorm(width)
        self.bias = nn.Parameter(torch.zeros(vocabulary))

    @property
    def _embeddings(self) -> Tensor:
        weights: Any = self._backbone[0].model.get_input_embeddings().weight
        return weights

    def forward(self, hidden: Tensor) -> Tensor:
        """Map (…, W) to logits (…, V)."""
        ready = self.norm(functional.gelu(self.dense(hidden)))
        return functional.linear(ready, self._embeddings, self.bias)
