"""How a backbone would call its layers for a batch, found without running them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from kadapter.adapter import LayerCall
from kadapter.backbone import Backbone
from kadapter.taps import Outline


class Calls:
    """Gives the calls of a backbone's layers: by an outline of a pass where that is right, else by the pass itself.

    Whether it is right is seen with the first batch.
    """

    def __init__(self, backbone: Backbone) -> None:
        self.backbone = backbone
        self._outlines: dict[frozenset[int], Outline | None] = {}

    def __call__(self, inputs: Mapping[str, Tensor], borrows: frozenset[int]) -> Mapping[int, LayerCall]:
        """Give layer -> how it would be called, for each of `borrows`."""
        if not borrows:
            return {}
        if borrows not in self._outlines:
            self._outlines[borrows] = self._learned(inputs, borrows)
        outline = self._outlines[borrows]
        if outline is None:
            return self.backbone(inputs, frozenset(), borrows).calls
        return self.backbone.calls(inputs, borrows, outline)

    def _learned(self, inputs: Mapping[str, Tensor], borrows: frozenset[int]) -> Outline | None:
        whole = self.backbone(inputs, frozenset(), borrows)
        outline = Outline(whole.beside)
        given = self.backbone.calls(inputs, borrows, outline)
        return outline if all(_same(given[layer], whole.calls[layer]) for layer in borrows) else None


def _same(one: Any, other: Any) -> bool:
    """Whether two arguments of a layer are the same, bit for bit."""
    if isinstance(one, LayerCall) and isinstance(other, LayerCall):
        return _same((one.arguments, one.options), (other.arguments, other.options))
    if isinstance(one, Tensor) and isinstance(other, Tensor):
        return one.dtype == other.dtype and torch.equal(one, other)
    if isinstance(one, (tuple, list)) and isinstance(other, (tuple, list)):
        return len(one) == len(other) and all(map(_same, one, other))
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(_same(one[key], other[key]) for key in one)
    return one is other or (not isinstance(one, Tensor) and not isinstance(other, Tensor) and bool(one == other))
