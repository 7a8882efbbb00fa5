"""What is kept of earlier tokens while a model writes: the backbone's keys and values, and those of adapters."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from torch import Tensor
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

if TYPE_CHECKING:
    from transformers import PretrainedConfig

Plugged = Mapping[str, tuple[object, Mapping[str, Any]]]


class Caches(DynamicCache):
    """Several caches, which to transformers are one: it reorders, crops and repeats all of them at once.

    Attributes:
        plugged: the adapters whose earlier tokens it knows: name -> the adapter, and its options.
    """

    def __init__(self, config: PretrainedConfig, plugged: Plugged) -> None:
        super().__init__()
        self.plugged = dict(plugged)
        self._config = config
        self._parts: dict[Any, Any] = {}
        self._records_past = False

    def __deepcopy__(self, memo: dict[int, Any]) -> Caches:
        """Copy what is kept. Whose it is stays: a copied adapter would be another, which has seen nothing."""
        owners = (*self._parts, *(adapter for adapter, _ in self.plugged.values()))
        copied = memo[id(self)] = type(self).__new__(type(self))
        copied.__dict__ = deepcopy(self.__dict__, memo | {id(owner): owner for owner in owners})
        return copied

    def activate_past_recording(self) -> None:
        """Let layers with a sliding window keep more, so that tokens can be taken back; those to come as well."""
        self._records_past = True
        super().activate_past_recording()

    def crop(self, tokens: int) -> None:
        """Take tokens back, as transformers counts them, where any were seen: above an early exit, none are."""
        layers: list[Any] = self.layers
        for layer in layers:
            if layer.is_initialized:
                layer.crop(tokens)

    def of_layers(self, key: object) -> DynamicCache:
        """Give the cache of some layers like the backbone's; a new one has seen nothing."""
        if key not in self._parts:
            self._parts[key] = part = DynamicCache(config=self._config)
            if self._records_past:
                part.activate_past_recording()
            self.layers.extend(part.layers)
        cache: DynamicCache = self._parts[key]
        return cache

    def extend(self, key: object, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Keep the keys and values of T more tokens, (B, H, T, D) each, and give those of all, (B, H, P + T, D)."""
        if key not in self._parts:
            self._parts[key] = DynamicLayer()
            self.layers.append(self._parts[key])
        every: tuple[Tensor, Tensor] = self._parts[key].update(keys, values)
        return every


@dataclass(frozen=True)
class Past:
    """What one adapter, or a part of it, keeps of the P tokens before those of this pass.

    Attributes:
        caches: where it is kept.
        place: whose it is, from the outermost part to the innermost.
    """

    caches: Caches
    place: tuple[object, ...]

    def within(self, part: object) -> Past:
        """Give what a part keeps for itself."""
        return replace(self, place=(*self.place, part))

    def extend(self, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Keep the keys and values of T more tokens, (B, H, T, D) each, and give those of all, (B, H, P + T, D)."""
        return self.caches.extend(self.place, keys, values)

    def of_layers(self) -> DynamicCache:
        """Give a cache for copies of the backbone's layers, each of which has its own place in it."""
        return self.caches.of_layers(self.place)
