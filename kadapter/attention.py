"""What adapters that mix give to what they mix, noted while a model runs: the mean of a data set, or token by token."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import torch
from torch import Tensor

from kadapter.adapter import Adapter
from kadapter.backbone import Backbone
from kadapter.errors import ConfigError
from kadapter.passes import run

if TYPE_CHECKING:
    from transformers import BatchEncoding

Value = TypeVar("Value")
Tree = dict[str, dict[str, dict[str, Value]]]
"""Adapter -> place -> what is mixed there -> value."""

_Key = tuple[str, str, str]


class TextAttention(NamedTuple):
    """The weights in one text.

    Attributes:
        tokens: T, as they stand in the text; special ones by name.
        weights: adapter -> place -> what is mixed there -> a weight for each token.
    """

    tokens: list[str]
    weights: Tree[list[float]]


def mean_attention(
    backbone: Backbone, adapters: Mapping[str, Adapter], batches: Iterable[Mapping[str, Tensor]]
) -> Tree[float]:
    """Give adapter -> place -> what is mixed there -> its mean weight over the real tokens of all batches."""
    totals: dict[_Key, tuple[float, int]] = {}
    for batch in batches:
        for key, weights in _noted(backbone, adapters, batch).items():
            total, count = totals.get(key, (0.0, 0))
            totals[key] = total + weights.sum().item(), count + len(weights)
    return _tree({key: total / count for key, (total, count) in totals.items() if count})


def attention_of(backbone: Backbone, adapters: Mapping[str, Adapter], text: str) -> TextAttention:
    """Give the weights in a text, token by token.

    Raises:
        ConfigError: the text has no token, or more than the backbone takes.
    """
    tokens, encoding = tokenized(backbone, text)
    noted = _noted(backbone, adapters, encoding)
    return TextAttention(tokens, _tree({key: weights.tolist() for key, weights in noted.items()}))


def tokenized(backbone: Backbone, text: str) -> tuple[list[str], BatchEncoding]:
    """Give the tokens of a text, as they stand in it, and what the backbone is given of them, (1, T).

    Raises:
        ConfigError: the text has no token, or more than the backbone takes.
    """
    encoding = backbone.tokenizer(text, return_offsets_mapping=True, return_tensors="pt", verbose=False)
    spans = encoding.pop("offset_mapping")[0].tolist()
    limit = backbone.tokenizer.model_max_length
    if not 0 < len(spans) <= limit:
        raise ConfigError(f"the text has {len(spans)} tokens; backbone '{backbone.info.name}' takes 1 to {limit}")
    names = backbone.tokenizer.convert_ids_to_tokens(encoding["input_ids"][0].tolist())
    return [text[start:end].strip() or name for (start, end), name in zip(spans, names, strict=True)], encoding


@torch.no_grad()
def _noted(backbone: Backbone, adapters: Mapping[str, Adapter], batch: Mapping[str, Tensor]) -> dict[_Key, Tensor]:
    """Run one batch and give what its adapters noted of the N real tokens in it, (N,) each."""
    device = next(backbone.parameters()).device
    inputs = {name: tensor.to(device) for name, tensor in batch.items()}
    real = inputs.get("attention_mask", torch.ones_like(inputs["input_ids"])).bool()
    noted = _watch(backbone, adapters, inputs)
    return {
        (name, place, mixed): weights[real].cpu().double()
        for name, places in noted.items()
        for place, parts in places.items()
        for mixed, weights in parts.items()
    }


def _watch(backbone: Backbone, adapters: Mapping[str, Adapter], inputs: Mapping[str, Tensor]) -> Tree[Tensor]:
    noted: Tree[Tensor] = {name: {} for name in adapters}
    try:
        for name, adapter in adapters.items():
            adapter.watched = noted[name]
        run(backbone, inputs, adapters)
    finally:
        for adapter in adapters.values():
            adapter.watched = None
    return noted


def _tree(values: Mapping[_Key, Value]) -> Tree[Value]:
    tree: Tree[Value] = {}
    for (adapter, place, mixed), value in values.items():
        tree.setdefault(adapter, {}).setdefault(place, {})[mixed] = value
    return tree
