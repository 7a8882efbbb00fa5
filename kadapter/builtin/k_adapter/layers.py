"""What an adapter layer is made of: two projections around transformer layers, new ones or copies."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from kadapter import BackboneInfo, HiddenStates
from kadapter.builtin.k_adapter.config import KAdapterConfig


class AdapterLayer(nn.Module):
    """Down projection, N transformer layers, up projection, and a residual around the three (section 3.2)."""

    def __init__(self, width: int, inner: int, transformer: RandomTransformer | CopiedTransformer) -> None:
        super().__init__()
        self.down = nn.Linear(width, inner)
        self.transformer = transformer
        self.up = nn.Linear(inner, width)

    def forward(self, hidden: Tensor, states: HiddenStates) -> Tensor:
        """Map (B, T, W) to (B, T, W)."""
        return hidden + self.up(self.transformer(self.down(hidden), states))


class Residual(nn.Module):
    """What is added to the last state: a projection that starts at zero, or as much of it as a gate lets through.

    A gate is open or shut, and shut is exactly 0. In training it is drawn with the probability of being open, and takes
    the gradient of that; afterwards it is open where that is over 1/2. A mere weight could stay small, and
    the projection grow large instead.
    """

    def __init__(self, width: int, gated: bool) -> None:
        super().__init__()
        self.project = nn.Linear(width, width)
        self.gate = nn.Linear(width, 1) if gated else None
        for linear in filter(None, (self.project, self.gate)):
            nn.init.zeros_(linear.weight)
            nn.init.zeros_(linear.bias)
        if self.gate is not None:
            # Mostly open: what is shut teaches the projection nothing.
            nn.init.ones_(self.gate.bias)

    def forward(self, hidden: Tensor) -> tuple[Tensor, Tensor | None]:
        """Map (B, T, W) to what is added, (B, T, W), and how likely the gates are open, (B, T, 1), if there are any."""
        hidden = functional.layer_norm(hidden, hidden.shape[-1:])
        added = self.project(hidden)
        if self.gate is None:
            return added, None
        likely = self.gate(hidden).sigmoid()
        return added * (_drawn(likely) if self.training else likely > 0.5), likely


def _drawn(likely: Tensor) -> Tensor:
    """Give 1 or 0, drawn with that probability, with its gradient."""
    fixed = likely.detach()
    return torch.bernoulli(fixed) + likely - fixed


class RandomTransformer(nn.Module):
    """N new post-norm transformer layers of width A, as BERT's."""

    borrows: tuple[int, ...] = ()

    def __init__(self, config: KAdapterConfig) -> None:
        super().__init__()
        self.sees_padding = config.compat == "microsoft"
        self.layers = nn.ModuleList(TransformerLayer(config) for _ in range(config.transformer_layers))

    def forward(self, hidden: Tensor, states: HiddenStates) -> Tensor:
        """Map (B, T, A) to (B, T, A)."""
        visible = None if self.sees_padding else states.visible()
        for number, layer in enumerate(self.layers):
            hidden = layer(hidden, visible, states.within(number))
        return hidden


class TransformerLayer(nn.Module):
    """One post-norm layer: self-attention and feed-forward, each with dropout, residual and LayerNorm."""

    def __init__(self, config: KAdapterConfig) -> None:
        # Here and not above: it takes seconds to import, which a list of plugins need not wait for.
        from transformers.activations import ACT2FN

        super().__init__()
        width, inner = int(config.width or 0), int(config.intermediate or 0)
        self.heads, self.dropout = config.heads, float(config.dropout or 0)
        self.activation = ACT2FN[config.activation]
        self.query, self.key, self.value, self.mix = (nn.Linear(width, width) for _ in range(4))
        self.expand, self.contract = nn.Linear(width, inner), nn.Linear(inner, width)
        self.attention_norm, self.output_norm = (nn.LayerNorm(width) for _ in range(2))

    def forward(self, hidden: Tensor, visible: Tensor | None, states: HiddenStates) -> Tensor:
        """Map (B, T, A) to (B, T, A); `visible` (B, 1, T, P + T) says which query may see which key."""
        hidden = self.attention_norm(hidden + self._drop(self.mix(self._attend(hidden, visible, states))))
        return self.output_norm(hidden + self._drop(self.contract(self.activation(self.expand(hidden)))))

    def _attend(self, hidden: Tensor, visible: Tensor | None, states: HiddenStates) -> Tensor:
        query, key, value = (
            project(hidden).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for project in (self.query, self.key, self.value)
        )
        key, value = states.with_earlier(key, value)
        rate = self.dropout if self.training else 0.0
        mixed = functional.scaled_dot_product_attention(query, key, value, attn_mask=visible, dropout_p=rate)
        return mixed.transpose(1, 2).flatten(-2)

    def _drop(self, hidden: Tensor) -> Tensor:
        return functional.dropout(hidden, self.dropout, self.training)


class CopiedTransformer(nn.Module):
    """N copies of the backbone's own layers, called with the masks and positions that the backbone computed."""

    def __init__(self, backbone: BackboneInfo, borrows: tuple[int, ...]) -> None:
        super().__init__()
        self.borrows = borrows
        self.layers = nn.ModuleList(backbone.copy_layer(number) for number in borrows)

    def forward(self, hidden: Tensor, states: HiddenStates) -> Tensor:
        """Map (B, T, W) to (B, T, W)."""
        for number, layer in zip(self.borrows, self.layers, strict=True):
            hidden = states.calls[number].repeat(layer, hidden, states.past)
        return hidden


def random_layer(config: KAdapterConfig, backbone: BackboneInfo) -> AdapterLayer:
    """Give a layer that starts as the published code's: tiny projections around new transformer layers."""
    layer = AdapterLayer(backbone.width, int(config.width or 0), RandomTransformer(config))
    for projection in (layer.down, layer.up):
        nn.init.normal_(projection.weight, std=float(config.projection_std or 0))
        nn.init.zeros_(projection.bias)
    return layer


def copied_layer(config: KAdapterConfig, backbone: BackboneInfo, state: int) -> AdapterLayer:
    """Give a layer that starts as its state plus half of what layers state + 1 … state + N make of it.

    Near the end of the backbone, the last N layers.
    """
    first = min(state, backbone.layers - config.transformer_layers) + 1
    borrows = tuple(range(first, first + config.transformer_layers))
    layer = AdapterLayer(backbone.width, backbone.width, CopiedTransformer(backbone, borrows))
    for projection, scale in ((layer.down, 1.0), (layer.up, 0.5)):
        nn.init.eye_(projection.weight).data.mul_(scale)
        nn.init.zeros_(projection.bias)
    return layer
