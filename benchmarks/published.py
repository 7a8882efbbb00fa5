"""The published recipe of pretraining in plain PyTorch: what kadapter's speed and memory stand beside.

microsoft/K-Adapter, arXiv 2002.01808, section 3: every text padded to 64 tokens, float32, the whole backbone in every
step, all of its states kept, batches of 32, AdamW tensor by tensor, the gradient clipped at 1.0.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

LENGTH, BATCH, CLIP, CLASSES = 64, 32, 1.0, 16


def published_reads(layers: int) -> tuple[int, ...]:
    """Give the states that an adapter reads of a backbone of so many layers: the first, the middle, near the last."""
    return tuple(sorted({0, round((layers - 2) / 2), layers - 2}))


def all_states(model: PreTrainedModel, inputs: Mapping[str, Tensor]) -> dict[int, Tensor]:
    """Run the whole backbone: state number -> (B, T, W)."""
    with torch.no_grad():
        return dict(enumerate(model(**inputs, output_hidden_states=True).hidden_states))


class PublishedAdapter(nn.Module):
    """Down projection, two transformer layers, up projection and residual, beside each of three states; and a head."""

    def __init__(self, width: int, heads: int, intermediate: int, reads: Iterable[int]) -> None:
        super().__init__()
        self.reads = tuple(reads)
        self.down, self.up = (nn.ModuleList(_projection(width) for _ in self.reads) for _ in range(2))
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(width, heads, intermediate, 0.1, "gelu", batch_first=True)
            for _ in range(2 * len(self.reads))
        )
        self.head = nn.Linear(2 * width, CLASSES)

    def forward(self, states: Mapping[int, Tensor], last: Tensor, mask: Tensor) -> Tensor:
        """Give scores, (B, classes), from states and mask."""
        output = torch.zeros_like(last)
        for number, state in enumerate(self.reads):
            hidden = states[state] + output
            inner = self.down[number](hidden)
            for layer in self.layers[2 * number : 2 * number + 2]:
                inner = layer(inner, src_key_padding_mask=~mask)
            output = hidden + self.up[number](inner)
        return self.head(torch.cat([output[:, 0], last[:, 0]], -1))


def _projection(width: int) -> nn.Linear:
    """Give a projection that starts next to nothing, as the published code's do; its layers start as torch's."""
    projection = nn.Linear(width, width)
    nn.init.normal_(projection.weight, std=0.0002)
    nn.init.zeros_(projection.bias)
    return projection
