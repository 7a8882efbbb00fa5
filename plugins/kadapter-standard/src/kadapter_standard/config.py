"""The options of a standard adapter, what is left to the backbone among them, and the presets."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from kadapter import BackboneInfo, ConfigError

Sublayer = Literal["attention", "feedforward"]
Form = Literal["sequential", "around-norm", "parallel"]
Init = Literal["houlsby", "bert", "zero", "random"]

_HOULSBY_SIZE = 64


@dataclass(frozen=True)
class StandardConfig:
    """Options of a standard adapter. The defaults are the paper's: the preset "houlsby".

    Attributes:
        places: the sub-layers that get a bottleneck in every layer.
        form: what a bottleneck takes and where what it gives is added: "sequential" takes what the sub-layer gives and
            adds to it; "around-norm" takes the sum with the residual stream, normalised where the backbone has a norm
            there, and adds to the sum; "parallel" takes what the sub-layer is given and adds to what it gives.
        size: m, of every bottleneck, or a list with one for each layer; at 0 there is none. Null is W / `reduction`.
        reduction: W / m, where no size is given; null is the paper's size, 64.
        leave_out: layers, 1 to L, that stay as they are.
        activation: as transformers names it ("gelu", "relu", "silu", …).
        init: of the projections; biases start at 0. "houlsby": normal, cut off at two standard deviations of 0.01;
            "bert": normal, 0.02; "zero": what goes up starts at 0, so that nothing is changed at first; "random": of
            ordinary size, as torch starts a linear layer.
        scale: what a bottleneck gives is multiplied by this; "learned" starts at 1.
        dropout: on what a bottleneck gives.
        norm_before: whether a LayerNorm of its own stands before a bottleneck.
        norm_after: whether one stands after it, before the residual.
        train_norms: whether the backbone's norms that follow the sub-layers are replaced by trained copies.
    """

    places: tuple[Sublayer, ...] = ("attention", "feedforward")
    form: Form = "sequential"
    size: int | tuple[int, ...] | None = None
    reduction: float | None = None
    leave_out: tuple[int, ...] = ()
    activation: str = "gelu"
    init: Init = "houlsby"
    scale: float | Literal["learned"] = 1.0
    dropout: float = 0.0
    norm_before: bool = False
    norm_after: bool = False
    train_norms: bool = True

    def __post_init__(self) -> None:
        # Here and not above: it takes seconds to import, which a list of plugins need not wait for.
        from transformers.activations import ACT2FN

        self._check("places", len({*self.places}) == len(self.places) > 0, "one or both of attention, feedforward")
        self._check("size", min(self._sizes, default=-1) >= 0, "0 or more")
        self._check("reduction", self.reduction is None or 0 < self.reduction < math.inf, "more than 0")
        self._check("activation", self.activation in ACT2FN, f"one of {', '.join(sorted(ACT2FN))}")
        self._check("scale", self.scale == "learned" or math.isfinite(float(self.scale)), "a number or 'learned'")
        self._check("dropout", 0 <= self.dropout < 1, "0 or more and under 1")

    def _check(self, name: str, holds: bool, must_be: str) -> None:
        if not holds:
            raise ConfigError(f"adapter type 'standard': {name} is {getattr(self, name)!r}; it must be {must_be}")

    @property
    def _sizes(self) -> tuple[int, ...]:
        return self.size if isinstance(self.size, tuple) else (_HOULSBY_SIZE if self.size is None else self.size,)

    def size_in(self, layer: int) -> int:
        """Give m in a layer, 1 to L, that is not left out; at 0 there is no bottleneck. Only after `resolve`."""
        return self._sizes[layer - 1]


def resolve(config: StandardConfig, backbone: BackboneInfo) -> StandardConfig:
    """Give the config with a size for each layer, so that what is saved leaves nothing to the backbone.

    Raises:
        ConfigError: layers or sizes do not fit the backbone.
    """
    layers = range(1, backbone.layers + 1)
    beyond = sorted(set(config.leave_out) - set(layers))
    if beyond or len(set(config.leave_out)) == backbone.layers:
        raise ConfigError(
            f"adapter type 'standard': leave_out is {list(config.leave_out)}; backbone '{backbone.name}' has layers 1 "
            f"to {backbone.layers}, and one must be left"
        )
    sizes = config.size if isinstance(config.size, tuple) else (_one_size(config, backbone.width),) * backbone.layers
    if len(sizes) != backbone.layers:
        raise ConfigError(
            f"adapter type 'standard': size has {len(sizes)} entries, and backbone '{backbone.name}' has "
            f"{backbone.layers} layers; give one for each, or one number for all"
        )
    return replace(config, size=sizes, reduction=None)


def _one_size(config: StandardConfig, width: int) -> int:
    if isinstance(config.size, int):
        return config.size
    return max(1, int(width / config.reduction)) if config.reduction else _HOULSBY_SIZE


_PFEIFFER: Mapping[str, Any] = {
    "places": ["feedforward"],
    "form": "around-norm",
    "reduction": 16,
    "activation": "relu",
    "init": "bert",
    "train_norms": False,
}

_PARALLEL: Mapping[str, Any] = {
    "places": ["feedforward"],
    "form": "parallel",
    "reduction": 2,
    "activation": "relu",
    "init": "zero",
    "scale": 4.0,
    "train_norms": False,
}

_DOUBLE: Mapping[str, Any] = {
    "reduction": 16,
    "activation": "silu",
    "init": "bert",
    "train_norms": False,
}

PRESETS: Mapping[str, Mapping[str, Any]] = {
    "houlsby": {},
    "pfeiffer": _PFEIFFER,
    "parallel": _PARALLEL,
    "double_seq_bn": _DOUBLE,
    "seq_bn": _PFEIFFER,
    "par_bn": _PARALLEL,
}
"""Those of the papers, and, with an underscore, AdapterHub's names for what its package builds.

But where norms stand before the sub-layers, AdapterHub's "par_bn" takes the residual stream, not its norm.
"""
