"""What a model is given: the inputs that it knows, positions where it does not count them itself, caches."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from kadapter.errors import BackboneError

if TYPE_CHECKING:
    from transformers import Cache


class Inputs:
    """Makes a batch ready for a model.

    Attributes:
        accepts: the names of the inputs that the model takes.
        cache: that of the input that holds keys and values of earlier tokens; None where it takes none.
    """

    def __init__(self, model: nn.Module) -> None:
        self.accepts = frozenset(inspect.signature(model.forward).parameters)
        self.cache = next((name for name in ("cache", "past_key_values") if name in self.accepts), None)
        self._first_position = _first_position(model)

    def ready(
        self, inputs: Mapping[str, Tensor], sequential_positions: bool, cache: Cache | None = None
    ) -> dict[str, Any]:
        """Give what the model is called with; the arguments are those of `Backbone.forward`."""
        ready: dict[str, Any] = {key: value for key, value in inputs.items() if key in self.accepts}
        tokens = ready["input_ids"]
        mask = ready.setdefault("attention_mask", torch.ones_like(tokens))
        if "use_cache" in self.accepts or self.cache:
            ready["use_cache"] = cache is not None
        if self.cache and cache is not None:
            ready[self.cache] = cache
        # A family that takes no positions has relative ones, or numbers padding as tokens are.
        # What is compiled cannot ask whether padding is on the left; numbered as if it were, tokens are the same.
        compiled = torch.compiler.is_compiling()
        left_padded = compiled or not mask[:, 0].all()
        if sequential_positions and left_padded and not compiled:
            raise BackboneError("an adapter with compat 'microsoft' needs batches that are padded on the right")
        if "position_ids" in self.accepts and (sequential_positions or left_padded or cache is not None):
            counted = torch.ones_like(mask) if sequential_positions else mask
            numbers = _numbered(counted, start=self._first_position)
            ready.setdefault("position_ids", numbers[:, -tokens.shape[1] :])
        return ready


def _numbered(counted: Tensor, start: int) -> Tensor:
    """Number what is counted, so that padding to the left of it does not move it: (B, T)."""
    return start + (counted.cumsum(1) - 1).clamp(min=0)


def _first_position(model: nn.Module) -> int:
    # RoBERTa and its kin number real tokens from padding_idx + 1, BERT and its kin from 0.
    for name, module in model.named_modules():
        if name.endswith("position_embeddings") and getattr(module, "padding_idx", None) is not None:
            return int(module.padding_idx) + 1
    return 0
