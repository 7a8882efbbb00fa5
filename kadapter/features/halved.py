"""The weights of a frozen backbone's products, cast once: autocast would cast them again in every pass."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from kadapter.backbone import Backbone


class Halved:
    """Lets the products of a backbone read copies of their weights in bfloat16, and gives the weights back.

    Autocast takes such a copy for the one that it would make, so the numbers are the same to the last bit.
    """

    def __init__(self, backbone: Backbone) -> None:
        self._backbone = backbone
        self._copies: dict[nn.Parameter, tuple[tuple[int, int], Tensor]] = {}

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Read copies for the length of a `with`."""
        whole = {weight: weight.data for weight in self._weights()}
        copies = {weight: self._copy(weight) for weight in whole}
        try:
            for weight, copy in copies.items():
                weight.data = copy
            yield
        finally:
            for weight, data in whole.items():
                weight.data = data

    def _weights(self) -> list[nn.Parameter]:
        # Here and not above: it takes seconds to import, which a list of plugins need not wait for.
        from transformers.pytorch_utils import Conv1D

        products = (module for module in self._backbone.layers.modules() if type(module) in (nn.Linear, Conv1D))
        found = (weight for module in products for weight in module.parameters(recurse=False))
        return list(dict.fromkeys(weight for weight in found if weight.dtype == torch.float32))

    def _copy(self, weight: nn.Parameter) -> Tensor:
        """Give the copy that was made of a weight as it is now, or make it."""
        now = (weight.data_ptr(), weight._version)
        made = self._copies.get(weight)
        if made is None or made[0] != now:
            made = self._copies[weight] = (now, weight.data.to(torch.bfloat16))
        return made[1]
