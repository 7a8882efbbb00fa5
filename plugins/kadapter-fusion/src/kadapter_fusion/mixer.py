"""Attention over the members, at one place: who asks, who answers, what is mixed (arXiv 2005.00247, section 3.2.2)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from kadapter_fusion.config import FusionConfig


class Mixer(nn.Module):
    """Query, key and value of one place: 3 W² + 2 W parameters when all are there."""

    def __init__(self, width: int, config: FusionConfig) -> None:
        super().__init__()
        self.query = _projection(width) if config.query else None
        self.key = _projection(width) if config.key else None
        self.value = nn.Parameter(_almost_identity(width)) if config.value else None
        self.dropout = config.dropout
        self.residual_first = config.residual == "before"

    def forward(self, asking: Tensor, given: Tensor, stream: Tensor, temperature: Tensor) -> tuple[Tensor, Tensor]:
        """Mix what the members give, for every token.

        Args:
            asking: (B, T, W), what the query is made of.
            given: (N, B, T, W), what the members give.
            stream: (B, T, W), what the mix is added to.
            temperature: a scalar.

        Returns:
            The stream with the mix, (B, T, W), and the weights of the members, (B, T, N).
        """
        query = asking if self.query is None else self.query(asking)
        keys = given if self.key is None else self.key(given)
        scores = torch.einsum("btw,nbtw->btn", query, keys)
        scores = functional.dropout(scores, self.dropout, self.training)
        weights = (scores / temperature).softmax(-1)
        mixed = torch.einsum("btn,nbtw->btw", weights, given)
        if self.residual_first:
            return self._valued(stream + mixed), weights
        return stream + self._valued(mixed), weights

    def _valued(self, mixed: Tensor) -> Tensor:
        # Weights sum to one and there is no bias: once after the mix is the same as N times before it.
        return mixed if self.value is None else functional.linear(mixed, self.value)

    def penalty(self) -> Tensor | None:
        """Give the squared distance of the value matrix from the identity."""
        if self.value is None:
            return None
        return (self.value - torch.eye(len(self.value), device=self.value.device)).square().sum()


def _projection(width: int) -> nn.Linear:
    projection = nn.Linear(width, width)
    nn.init.normal_(projection.weight, std=0.02)
    nn.init.zeros_(projection.bias)
    return projection


def _almost_identity(width: int) -> Tensor:
    """Give ones on the diagonal and next to nothing beside it."""
    return torch.eye(width) + 1e-6 * torch.randn(width, width).fill_diagonal_(0)
