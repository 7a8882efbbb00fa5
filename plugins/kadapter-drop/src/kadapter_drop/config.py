"""The options of an adapter that drops layers, and what is left to the backbone among them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from kadapter import BackboneInfo, ConfigError


@dataclass(frozen=True)
class DropConfig:
    """Options of an adapter that drops layers.

    Attributes:
        inner: the adapter: options, a folder, or the name of installed knowledge.
        layers: how many of the backbone's lowest layers, or which ones, are without the adapter; null is 5 of 12, in
            proportion. Robust training draws its own number, and this one holds in evaluation.
        robust: whether training draws how many, for every batch anew; otherwise `layers` holds there, too.
        between: the least and the most that are drawn; null is 0 to L - 1.
    """

    inner: Any = field(default_factory=dict)
    layers: int | tuple[int, ...] | None = None
    robust: bool = False
    between: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        if not self.inner:
            raise ConfigError("adapter type 'drop': inner is empty; give the adapter whose layers are dropped")
        if not isinstance(self.inner, (str, Path, Mapping)):
            raise ConfigError(f"adapter type 'drop': inner is {self.inner!r}; it must be options, a folder, or a name")
        if self.between is not None and len(self.between) != 2:
            raise ConfigError(f"adapter type 'drop': between is {list(self.between)}; give the least and the most")
        if self.between is not None and not self.robust:
            raise ConfigError("adapter type 'drop': between is for robust training alone; set robust, or leave it out")


def resolve(config: DropConfig, backbone: BackboneInfo) -> DropConfig:
    """Spell out what was left to the backbone, so that the saved config says everything.

    Raises:
        ConfigError: the backbone has no such layers.
    """
    count = backbone.layers
    layers = round(count * 5 / 12) if config.layers is None else config.layers
    between = (config.between or (0, count - 1)) if config.robust else None
    config = replace(config, layers=layers, between=between)
    dropped(config.layers, backbone)
    if between is not None and not 0 <= between[0] <= between[1] <= count:
        raise ConfigError(
            f"adapter type 'drop': between is {list(between)}; give the least and the most, of 0 to the {count} layers "
            f"of backbone '{backbone.name}'"
        )
    return config


def dropped(layers: Any, backbone: BackboneInfo) -> frozenset[int]:
    """Say which layers are without the adapter.

    Raises:
        ConfigError: the backbone has no such layers.
    """
    count = backbone.layers
    if type(layers) is int and 0 <= layers <= count:
        return frozenset(range(1, layers + 1))
    if isinstance(layers, tuple) and all(type(layer) is int and 1 <= layer <= count for layer in layers):
        return frozenset(layers)
    raise ConfigError(
        f"adapter type 'drop': layers is {layers!r}; give how many of the lowest, 0 to {count}, or a list of some of "
        f"the layers 1 to {count} of backbone '{backbone.name}'"
    )
