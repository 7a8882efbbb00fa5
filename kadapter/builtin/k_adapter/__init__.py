"""The k-adapter: K adapter layers beside a frozen backbone (Wang et al. 2021, arXiv 2002.01808, section 3.2)."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from kadapter import Adapter, BackboneInfo, HiddenStates
from kadapter.builtin.k_adapter.config import PAPER, KAdapterConfig, resolve
from kadapter.builtin.k_adapter.layers import AdapterLayer, Residual, copied_layer, random_layer
from kadapter.builtin.k_adapter.stacked import at_once, pays


class KAdapter(Adapter):
    """K adapter layers; each adds its chosen backbone state to what the layer before gave."""

    name: ClassVar[str] = "k-adapter"
    Config: ClassVar[type] = KAdapterConfig
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {"paper": PAPER}
    continues: bool = True

    def __init__(self, config: KAdapterConfig, backbone: BackboneInfo) -> None:
        config = resolve(config, backbone)
        super().__init__(config, backbone)
        self.sequential_positions = config.compat == "microsoft"
        layers = [_layer(config, backbone, state) for state in map(int, config.reads)]
        self.layers = nn.ModuleList(layers)
        self.gates = nn.Parameter(torch.ones(len(layers) - 1, backbone.width)) if self._gated else None
        self.residual = Residual(backbone.width, config.gate) if config.residual else None
        self._openness: Tensor | None = None
        self.drop(())

    @property
    def _gated(self) -> bool:
        return bool(self.config.accumulation == "gated")

    @classmethod
    def random_control(cls, options: Mapping[str, Any]) -> dict[str, Any]:
        """Give the same options with random weights of ordinary size.

        The published start would not do: its projections are so small that only the sum of the states is left.
        """
        return {**options, "init": "random", "projection_std": 0.02}

    def drop(self, layers: Collection[int]) -> None:
        """Leave out the adapter layers beside these layers of the backbone; what they gave enters the next no more."""
        self._kept = [index for index in range(len(self.config.reads)) if self._beside(index) not in layers]
        self.reads = tuple(self.config.reads[index] for index in self._kept)
        self.borrows = tuple(number for index in self._kept for number in self._layer(index).transformer.borrows)

    def parts_in(self, layer: int) -> Iterator[nn.Module]:
        """Give the adapter layers that work beside a layer of the backbone."""
        return (module for index, module in enumerate(self.layers) if self._beside(index) == layer)

    def _beside(self, index: int) -> int:
        """Say which layer of the backbone takes the same state, or is the last."""
        return min(self.config.reads[index] + 1, self.backbone.layers)

    def _layer(self, index: int) -> AdapterLayer:
        return self.layers[index]  # type: ignore[return-value]

    @classmethod
    def together(cls, adapters: Sequence[Adapter], states: HiddenStates) -> Sequence[Tensor]:
        """Give the features of several, (B, T, W) each: at once those of one shape, where that is quicker."""
        shapes: dict[object, list[Adapter]] = {}
        for adapter in adapters:
            shapes.setdefault(_shape(adapter), []).append(adapter)
        features: dict[Adapter, Tensor] = {}
        for alike in shapes.values():
            way = at_once if pays(alike, states) else super().together
            features.update(zip(alike, way(alike, states), strict=True))
        return [features[adapter] for adapter in adapters]

    def forward(self, states: HiddenStates) -> Tensor:
        """Give the last adapter layer's output, (B, T, W); zeros when all are dropped."""
        output, self._openness = None, None
        for index in self._kept:
            output = self._layer(index)(self._entering(index, states, output), states.within(index))
        if output is None:
            return self._layer(0).up.weight.new_zeros(*states.attention_mask.shape, self.backbone.width)
        return output if self.residual is None else self._added(output, states)

    def _added(self, output: Tensor, states: HiddenStates) -> Tensor:
        """Give what is added to the last state, and remember in training how open the gates were."""
        added, gates = self.residual(output)  # type: ignore[misc]
        if self.training and gates is not None:
            self._openness = gates[..., 0][states.attention_mask].mean()
        return added

    def penalty(self) -> Tensor | None:
        """Give what the gates that were open in the last pass cost, if anything: once, then it is forgotten."""
        # What is kept of a pass could not be copied with the adapter.
        openness, self._openness = self._openness, None
        if not self.config.gate_cost or openness is None:
            return None
        return self.config.gate_cost * openness

    def _entering(self, index: int, states: HiddenStates, output: Tensor | None) -> Tensor:
        """Add what the layer before gave to the state that a layer reads."""
        state = states[self.config.reads[index]]
        if output is None:
            return state
        return state + (output if self.gates is None else self.gates[index - 1] * output)


def _layer(config: KAdapterConfig, backbone: BackboneInfo, state: int) -> AdapterLayer:
    return copied_layer(config, backbone, state) if config.init == "backbone" else random_layer(config, backbone)


def _shape(adapter: Adapter) -> object:
    """Give what is equal where only weights differ."""
    return adapter.config, adapter.reads, next(adapter.parameters()).dtype
