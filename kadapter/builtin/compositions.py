"""The compositions of K-Adapter: concat (section 3.3 of arXiv 2002.01808) and sum (`add` in the published code)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from kadapter import Composition


class Sum(Composition):
    """The backbone's last state plus the features of every adapter."""

    name: ClassVar[str] = "sum"

    def forward(self, hidden: Tensor, features: Mapping[str, Tensor]) -> Tensor:
        """Give `hidden` + the sum of the features, (B, T, W); added in the order of names, so always the same."""
        return sum((features[name] for name in sorted(features)), start=hidden)


class Concat(Composition):
    """Concatenate and project: Linear(2W → W) for each adapter, then, for several, Linear(nW → W).

    The second projection is kept as one block of W columns for each adapter, and one bias.
    """

    name: ClassVar[str] = "concat"

    def __init__(self, config: Any, width: int) -> None:
        super().__init__(config, width)
        self.pairs = nn.ModuleDict()
        self.blocks = nn.ParameterDict()

    def grow(self, name: str) -> None:
        """Make Linear(2W → W) for the adapter; from the second one on, its block of the joint projection too."""
        self.pairs[name] = _mean_of_halves(self.width)
        if len(self.pairs) > 1:
            for missing in sorted(self.pairs.keys() - self.blocks.keys()):
                # The same for each, however many there are: the order of plugging must not matter.
                self.blocks[missing] = nn.Parameter(torch.eye(self.width) / 2)
            if "bias" not in self._parameters:
                self.bias = nn.Parameter(torch.zeros(self.width))

    def forward(self, hidden: Tensor, features: Mapping[str, Tensor]) -> Tensor:
        """Project [hidden, feature] of each adapter, then all of them together: (B, T, W)."""
        if not features:
            return hidden
        paired = {name: self.pairs[name](torch.cat([hidden, features[name]], -1)) for name in sorted(features)}
        if len(paired) == 1:
            return next(iter(paired.values()))
        return sum((pair @ self.blocks[name].T for name, pair in paired.items()), start=self.bias)


def _mean_of_halves(width: int) -> nn.Linear:
    """Give Linear(2W → W) that starts as the mean of its two halves."""
    linear = nn.Linear(2 * width, width)
    with torch.no_grad():
        linear.weight.copy_(torch.eye(width).repeat(1, 2) / 2)
        linear.bias.zero_()
    return linear
