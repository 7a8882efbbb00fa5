"""The bottleneck: W → m → W with a non-linearity between (Houlsby et al. 2019, section 2.1); the caller adds it."""

from __future__ import annotations

import math
from typing import Literal

from torch import Tensor, nn

from kadapter import LowRank
from kadapter_standard.config import Init, StandardConfig


class Bottleneck(nn.Module):
    """Down to m, a non-linearity, up to W again: 2 W m + m + W parameters."""

    def __init__(self, width: int, size: int, config: StandardConfig) -> None:
        # Here and not above: it takes seconds to import, which a list of plugins need not wait for.
        from transformers.activations import ACT2FN

        super().__init__()
        self.norm_before = nn.LayerNorm(width) if config.norm_before else nn.Identity()
        self.down = nn.Linear(width, size)
        self.activation = ACT2FN[config.activation]
        self.up = nn.Linear(size, width)
        self.scale = nn.Parameter(self.up.weight.new_ones(1)) if config.scale == "learned" else float(config.scale)
        self.dropout = nn.Dropout(config.dropout)
        self.norm_after = nn.LayerNorm(width) if config.norm_after else nn.Identity()
        self.norms_before, self.norms_after, self.scales = config.norm_before, config.norm_after, config.scale != 1
        _start(self.down, self.up, config.init)

    def forward(self, hidden: Tensor) -> Tensor:
        """Map (B, T, W) to what is to be added, (B, T, W)."""
        # What changes nothing is not called: a bottleneck is small, and there are two in every layer.
        given = self.up(self.activation(self.down(self.norm_before(hidden) if self.norms_before else hidden)))
        given = given * self.scale if self.scales else given
        given = self.dropout(given) if self.training else given
        return self.norm_after(given) if self.norms_after else given

    def low_rank(self, takes: Literal["hidden", "entering"], activation: str) -> LowRank:
        """Give it as matrices, scaled."""
        up, up_bias = self.up.weight * self.scale, self.up.bias * self.scale
        return LowRank(self.down.weight, self.down.bias, activation, up, up_bias, takes)


def _start(down: nn.Linear, up: nn.Linear, init: Init) -> None:
    for projection in (down, up):
        nn.init.zeros_(projection.bias)
        if init == "houlsby":
            # A tenth of it in the published code; this is what the paper says (section 3.1).
            nn.init.trunc_normal_(projection.weight, std=1e-2, a=-2e-2, b=2e-2)
        elif init == "bert":
            nn.init.normal_(projection.weight, std=0.02)
        else:
            nn.init.kaiming_uniform_(projection.weight, a=math.sqrt(5))
    if init == "zero":
        nn.init.zeros_(up.weight)
