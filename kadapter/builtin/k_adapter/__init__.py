"""The k-adapter: K adapter layers beside a frozen backbone (Wang et al. 2021, arXiv 2002.01808, section 3.2)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from kadapter import Adapter, BackboneInfo, HiddenStates
from kadapter.builtin.k_adapter.config import PAPER, KAdapterConfig, resolve
from kadapter.builtin.k_adapter.layers import AdapterLayer, copied_layer, random_layer


class KAdapter(Adapter):
    """K adapter layers; each adds its chosen backbone state to what the layer before gave."""

    name: ClassVar[str] = "k-adapter"
    Config: ClassVar[type] = KAdapterConfig
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {"paper": PAPER}

    def __init__(self, config: KAdapterConfig, backbone: BackboneInfo) -> None:
        config = resolve(config, backbone)
        super().__init__(config, backbone)
        self.reads = tuple(int(state) for state in config.reads)
        self.sequential_positions = config.compat == "microsoft"
        layers = [_layer(config, backbone, state) for state in self.reads]
        self.layers = nn.ModuleList(layers)
        self.borrows = tuple(number for layer in layers for number in layer.transformer.borrows)
        self.gates = nn.Parameter(torch.ones(len(layers) - 1, backbone.width)) if self._gated else None

    @property
    def _gated(self) -> bool:
        return bool(self.config.accumulation == "gated")

    @classmethod
    def random_control(cls, options: Mapping[str, Any]) -> dict[str, Any]:
        """Give the same options with random weights of ordinary size.

        The published start would not do: its projections are so small that only the sum of the states is left.
        """
        return {**options, "init": "random", "projection_std": 0.02}

    def forward(self, states: HiddenStates) -> Tensor:
        """Give the last adapter layer's output, (B, T, W)."""
        output = self.layers[0](states[self.reads[0]], states)
        for index, state in enumerate(self.reads[1:], start=1):
            entering = output if self.gates is None else self.gates[index - 1] * output
            output = self.layers[index](states[state] + entering, states)
        return output


def _layer(config: KAdapterConfig, backbone: BackboneInfo, state: int) -> AdapterLayer:
    return copied_layer(config, backbone, state) if config.init == "backbone" else random_layer(config, backbone)
