"""How features are mixed: concat and sum as in K-Adapter (section 3.3 of arXiv 2002.01808), and others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from kadapter import Composition, ConfigError


class Sum(Composition):
    """The backbone's last state plus the features of every adapter."""

    name: ClassVar[str] = "sum"

    def forward(self, hidden: Tensor, features: Mapping[str, Tensor]) -> Tensor:
        """Give `hidden` + the sum of the features, (B, T, W); added in the order of names, so always the same."""
        return sum((features[name] for name in sorted(features)), start=hidden)


class Residual(Composition):
    """The backbone's last state plus Linear(W → W), without bias, of the features of every adapter.

    It starts at zero: until it is trained, adapters change nothing.
    """

    name: ClassVar[str] = "residual"

    def __init__(self, config: Any, width: int) -> None:
        super().__init__(config, width)
        self.projections = nn.ModuleDict()

    def grow(self, name: str) -> None:
        """Make Linear(W → W) for the adapter."""
        projection = nn.Linear(self.width, self.width, bias=False)
        nn.init.zeros_(projection.weight)
        self.projections[name] = projection

    def forward(self, hidden: Tensor, features: Mapping[str, Tensor]) -> Tensor:
        """Give `hidden` + the sum of the projected features, (B, T, W)."""
        return sum((self.projections[name](features[name]) for name in sorted(features)), start=hidden)


class Alone(Composition):
    """The features of the only adapter, as they are: what is meant by an adapter that edits the backbone."""

    name: ClassVar[str] = "alone"
    reads_backbone: ClassVar[bool] = False

    def forward(self, hidden: Tensor, features: Mapping[str, Tensor]) -> Tensor:
        """Give the features, (B, T, W).

        Raises:
            ConfigError: they are those of several adapters.
        """
        if len(features) > 1:
            raise ConfigError(
                f"composition 'alone' gives the features of one adapter, and {', '.join(features)} are plugged; "
                f"choose another one: `composition: {{name: concat}}` in a recipe, `recompose` in Python"
            )
        return next(iter(features.values()), hidden)


class Concat(Composition):
    """Concatenate and project: Linear(2W → W) for each adapter, then, for several, Linear(nW → W).

    The second projection is kept as one block of W columns for each adapter, and one bias. With one adapter or two it
    starts as the mean of the last state and the mean of the features; with n of them, as n / 2 times that.
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


class Gate(Composition):
    """The backbone's last state plus the features of every adapter, each times a weight learned for every token.

    The weight is the sigmoid of Linear(2W → 1) on [hidden, features]; it starts at one half.
    """

    name: ClassVar[str] = "gate"

    def __init__(self, config: Any, width: int) -> None:
        super().__init__(config, width)
        self.gates = nn.ModuleDict()

    def grow(self, name: str) -> None:
        """Make Linear(2W → 1) for the adapter."""
        self.gates[name] = _zero(nn.Linear(2 * self.width, 1))

    def forward(self, hidden: Tensor, features: Mapping[str, Tensor]) -> Tensor:
        """Give `hidden` + the sum of weight times features, (B, T, W)."""
        gated = (
            features[name] * self.gates[name](torch.cat([hidden, features[name]], -1)).sigmoid()
            for name in sorted(features)
        )
        return sum(gated, start=hidden)


@dataclass(frozen=True)
class AttentionConfig:
    """Options of attention over adapters.

    Attributes:
        width: A, in which queries and keys are compared.
    """

    width: int = 64

    def __post_init__(self) -> None:
        if self.width < 1:
            raise ConfigError(f"composition 'attention': width is {self.width}; it must be 1 or more")


class Attention(Composition):
    """For every token a weighted mean of the backbone's last state and the features of all adapters.

    The last state asks (Linear(W → A)), each of them answers with a key of its own (Linear(W → A)), the softmax over
    them weighs. It starts as the plain mean.
    """

    name: ClassVar[str] = "attention"
    Config: ClassVar[type] = AttentionConfig

    def __init__(self, config: AttentionConfig, width: int) -> None:
        super().__init__(config, width)
        self.query = _zero(nn.Linear(width, config.width))
        # Not at random, as little as the rest: the start must not depend on what was built before.
        nn.init.eye_(self.query.weight)
        self.own_key = _zero(nn.Linear(width, config.width))
        self.keys = nn.ModuleDict()

    def grow(self, name: str) -> None:
        """Make the key of the adapter."""
        self.keys[name] = _zero(nn.Linear(self.width, self.config.width))

    def forward(self, hidden: Tensor, features: Mapping[str, Tensor]) -> Tensor:
        """Give the weighted mean, (B, T, W)."""
        if not features:
            return hidden
        names = sorted(features)
        values = torch.stack([hidden, *(features[name] for name in names)], -2)
        keys = torch.stack([self.own_key(hidden), *(self.keys[name](features[name]) for name in names)], -2)
        weights = ((keys @ self.query(hidden)[..., None]) * self.config.width**-0.5).softmax(-2)
        return (weights * values).sum(-2)


def _zero(linear: nn.Linear) -> nn.Linear:
    """Set weights and bias to zero."""
    nn.init.zeros_(linear.weight)
    nn.init.zeros_(linear.bias)
    return linear
