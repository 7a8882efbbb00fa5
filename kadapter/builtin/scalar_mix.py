"""The scalar mix: a learned weighted mean of all states (Peters et al. 2018, arXiv 1802.05365, equation 1).

It adds nothing but a choice among what the backbone already holds: a control that a knowledge adapter must beat.
"""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from kadapter import Adapter, BackboneInfo, HiddenStates


class ScalarMix(Adapter):
    """One weight for each state, softmax-normalised, and one factor for the sum: S + 1 parameters."""

    name: ClassVar[str] = "scalar-mix"
    continues: bool = True

    def __init__(self, config: Any, backbone: BackboneInfo) -> None:
        super().__init__(config, backbone)
        self.reads = tuple(range(backbone.layers + 1))
        self.weights = nn.Parameter(torch.zeros(len(self.reads)))
        self.factor = nn.Parameter(torch.ones(()))

    def forward(self, states: HiddenStates) -> Tensor:
        """Give the weighted mean of all states, (B, T, W)."""
        # At the learning rates of adapters plain logits would hardly move: a hundred times faster, they choose.
        weights = (100 * self.weights).softmax(0)
        return self.factor * sum(weights[state] * states[state] for state in self.reads)
