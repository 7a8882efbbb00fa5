"""How the backbone's last state and the features of the plugged adapters become one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from torch import Tensor, nn

from kadapter.config import NoOptions, make_config
from kadapter.registry import Registry, default_registry


class Composition(nn.Module):
    """Mixes features. A way to mix is a subclass, which a plugin returns from `register_compositions`.

    Parameters are keyed by the adapters' names, so that the order of plugging does not matter and what was
    learned for an adapter is still there when it is plugged again.

    Attributes:
        name: what recipes and the command line call it.
        Config: a frozen dataclass with its options.
        examples: for the contracts: options to build it with, where the defaults of `Config` will not do.
        plugged: the names that it has parameters for.
        reads_backbone: whether it looks at the backbone's own last state; if not, that may never be computed.
    """

    name: ClassVar[str]
    Config: ClassVar[type] = NoOptions
    examples: ClassVar[Sequence[Mapping[str, Any]]] = ()
    reads_backbone: ClassVar[bool] = True

    def __init__(self, config: Any, width: int) -> None:
        super().__init__()
        self.config = config
        self.width = width
        self.plugged: set[str] = set()

    def plug(self, name: str) -> None:
        """Make the parameters for the adapter `name`, unless they are there."""
        if name not in self.plugged:
            self.plugged.add(name)
            self.grow(name)

    def grow(self, name: str) -> None:
        """Make the parameters for one more adapter. A composition without parameters leaves this as it is."""

    def forward(self, hidden: Tensor, features: Mapping[str, Tensor]) -> Tensor:
        """Mix `hidden`, the backbone's last state (B, T, W), with adapter name -> (B, T, W); give (B, T, W).

        Without features it must give `hidden` back, bit for bit.
        """
        raise TypeError(f"composition {type(self).__name__} does not say how it mixes")


def build_composition(options: Mapping[str, Any], width: int, registry: Registry | None = None) -> Composition:
    """Build a fresh composition from `{"name": ..., option: value, ...}`, for a backbone of that width."""
    options = dict(options)
    kind = (registry or default_registry()).compositions[str(options.pop("name", "concat"))]
    return kind(make_config(kind.Config, options, owner=f"composition '{kind.name}'"), width)
