"""How far an adapter that repeats what its published code does (option `compat`) is from one that does it right."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity

from kadapter.adapter import Adapter, build_adapter
from kadapter.attention import tokenized
from kadapter.backbone import Backbone
from kadapter.errors import ConfigError
from kadapter.passes import run
from kadapter.registry import Registry

TEXT = "Marie Curie was born in Warsaw, and discovered polonium in Paris."
"""What is looked at when nobody says."""


def compare_compat(
    adapter: Adapter, backbone: Backbone, text: str = TEXT, registry: Registry | None = None
) -> dict[str, Any]:
    """Say how the features of a text differ when `compat` is left out, in a batch that pads it to twice its length.

    Args:
        adapter: one whose option `compat` is set.
        backbone: what it was trained on.
        text: up to half of what the backbone takes is padded to twice its length; more, to what it takes.
        registry: where the type is looked up; by default, what is installed.

    Returns:
        The text, how many tokens it has and how many of padding, `compat`, the differences over all tokens, and those
        of each token: `max_abs`, `mean_abs`, `cosine` (over all tokens, the lowest) and `mean_size`, the mean absolute
        value of the corrected features.

    Raises:
        ConfigError: the adapter has no `compat`, or the text no token, or as many as the backbone takes.
    """
    if adapter.options.get("compat") is None:
        raise ConfigError(
            f"there is nothing to compare: an adapter of type '{adapter.name}' with these options repeats nothing of "
            f"its published code that is corrected here (its `compat` is not set)"
        )
    tokens, encoding = tokenized(backbone, text)
    padded = min(2 * len(tokens), backbone.tokenizer.model_max_length)
    if padded == len(tokens):
        raise ConfigError(f"the text has {padded} tokens, all that '{backbone.info.name}' takes; say a shorter one")
    batch = backbone.tokenizer.pad(encoding, "max_length", padded, padding_side="right", return_tensors="pt")
    published, corrected = (
        _features(own, backbone, batch, len(tokens)) for own in (adapter, _corrected(adapter, registry))
    )
    return {
        "text": text,
        "tokens": len(tokens),
        "padding": padded - len(tokens),
        "compat": adapter.options["compat"],
        "all": _difference(published, corrected),
        "each": [
            {"token": token, **_difference(one[None], other[None])}
            for token, one, other in zip(tokens, published, corrected, strict=True)
        ],
    }


def _corrected(adapter: Adapter, registry: Registry | None) -> Adapter:
    twin = build_adapter({**adapter.options, "compat": None}, adapter.backbone, registry)
    twin.load_state_dict(adapter.state_dict())
    return twin.eval()


@torch.no_grad()
def _features(adapter: Adapter, backbone: Backbone, batch: Any, tokens: int) -> Tensor:
    """Give those of the real tokens, (T, W), of a pass of its own: others might number positions in another way."""
    return run(backbone, batch, {"alone": adapter})[1]["alone"][0, :tokens]


def _difference(published: Tensor, corrected: Tensor) -> dict[str, float]:
    """Compare (T, W) with (T, W)."""
    away = (published - corrected).abs()
    return {
        "max_abs": away.max().item(),
        "mean_abs": away.mean().item(),
        "cosine": cosine_similarity(published, corrected, dim=-1).min().item(),
        "mean_size": corrected.abs().mean().item(),
    }
