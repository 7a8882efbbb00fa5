"""The options of a k-adapter, and what is left to the backbone among them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from kadapter import BackboneInfo, ConfigError


@dataclass(frozen=True)
class KAdapterConfig:
    """Options of a k-adapter. Those from `width` on are for `init="random"` only: copies are as the backbone is.

    Attributes:
        reads: one state for each adapter layer, ascending; "middle" or "paper" choose them for any depth.
        transformer_layers: N, in each adapter layer.
        init: "backbone" starts from copies of the backbone's layers, "random" as the published code does.
        accumulation: how what a layer gave enters the next: "add" (the published code's) or "gated".
        width: A, of the transformer layers; null is the backbone's W.
        heads: attention heads; null is the backbone's number, or the next lower that divides the width.
        intermediate: width between the two feed-forward projections; null is the backbone's, or 4 A.
        dropout: probability, in attention and after both sub-layers; null is 0.1.
        activation: by the name that transformers gives it; null is "gelu".
        projection_std: standard deviation of both projections at the start; null is the published code's 0.0002.
        compat: "microsoft" repeats the published code: padding is attended to and numbered as tokens are.
        residual: give what is to be added to the last state, zero at the start: with composition "sum", an untrained
            adapter changes nothing.
        gate: add only where the adapter decides to, for each token; elsewhere the last state is left bit for bit. Drawn
            in training, so that it is open or shut there too.
        gate_cost: what open gates cost in training: is added to the loss, times how likely they are open on average.
    """

    reads: tuple[int, ...] | Literal["middle", "paper"] = "middle"
    transformer_layers: int = 2
    init: Literal["backbone", "random"] = "backbone"
    accumulation: Literal["add", "gated"] = "add"
    width: int | None = None
    heads: int | None = None
    intermediate: int | None = None
    dropout: float | None = None
    activation: str | None = None
    projection_std: float | None = None
    compat: Literal["microsoft"] | None = None
    residual: bool = False
    gate: bool = False
    gate_cost: float = 0.0

    def __post_init__(self) -> None:
        for name in ("transformer_layers", "width", "heads", "intermediate"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ConfigError(f"k-adapter: {name} is {value}; it must be 1 or more")
        if self.dropout is not None and not 0 <= self.dropout < 1:
            raise ConfigError(f"k-adapter: dropout is {self.dropout}; it must be at least 0 and under 1")
        if self.gate_cost < 0 or (self.gate_cost and not self.gate):
            raise ConfigError(f"k-adapter: gate_cost is {self.gate_cost}; it must be 0 or more, and 0 without a gate")
        if self.gate and not self.residual:
            raise ConfigError("k-adapter: a gate lets a residual through; set residual to true as well")
        if self.activation:
            self._check_activation(self.activation)

    def _check_activation(self, name: str) -> None:
        """Make sure that transformers has it."""
        # Here and not above: it takes seconds to import, which a list of plugins need not wait for.
        from transformers.activations import ACT2FN

        if name not in ACT2FN:
            raise ConfigError(f"k-adapter: activation '{name}' is not one of {', '.join(sorted(ACT2FN))}")


PAPER: Mapping[str, Any] = {"init": "random", "reads": "paper", "width": 768, "heads": 12, "intermediate": 3072}
"""Section 3.2 and appendix A of arXiv 2002.01808, on any backbone."""

_OF_RANDOM_LAYERS = ("width", "heads", "intermediate", "dropout", "activation", "projection_std", "compat")


def resolve(config: KAdapterConfig, backbone: BackboneInfo) -> KAdapterConfig:
    """Spell out what was left to the backbone, so that the saved config says everything.

    Raises:
        BackboneError: the backbone has no such state.
        ConfigError: the options contradict each other or the backbone.
    """
    config = replace(config, reads=_reads(config.reads, backbone))
    if config.compat and backbone.causal:
        raise ConfigError("k-adapter: compat 'microsoft' looks at all tokens; a causal backbone must not, leave it out")
    if config.init == "random":
        return _sized(config, backbone)
    _check_copies(config, backbone)
    return config


def _reads(reads: tuple[int, ...] | str, backbone: BackboneInfo) -> tuple[int, ...]:
    if reads == "paper":  # {0, 11, 22} of 24
        last = max(backbone.layers - 2, 0)
        return tuple(sorted({0, round(last / 2), last}))
    if isinstance(reads, str):  # "middle": {2, 4} of 6
        return tuple(sorted({round(backbone.layers / 3), round(2 * backbone.layers / 3)}))
    if not reads or list(reads) != sorted(set(reads)):
        raise ConfigError(f"k-adapter: reads is {list(reads)}; it must name one state or more, ascending, none twice")
    for state in reads:
        backbone.check_state(state)
    return reads


def _sized(config: KAdapterConfig, backbone: BackboneInfo) -> KAdapterConfig:
    width = config.width or backbone.width
    heads = config.heads or next(h for h in range(min(backbone.heads, width), 0, -1) if width % h == 0)
    if width % heads:
        raise ConfigError(f"k-adapter: width {width} cannot be divided among {heads} heads")
    return replace(
        config,
        width=width,
        heads=heads,
        intermediate=config.intermediate or (backbone.intermediate if width == backbone.width else 4 * width),
        dropout=0.1 if config.dropout is None else config.dropout,
        activation=config.activation or "gelu",
        projection_std=0.0002 if config.projection_std is None else config.projection_std,
    )


def _check_copies(config: KAdapterConfig, backbone: BackboneInfo) -> None:
    given = [name for name in _OF_RANDOM_LAYERS if getattr(config, name) is not None]
    if given:
        raise ConfigError(
            f"k-adapter: {', '.join(given)} cannot be chosen with init 'backbone', whose layers are copies of "
            f"those of '{backbone.name}'; leave out, or set init to 'random'"
        )
    if config.transformer_layers > backbone.layers:
        raise ConfigError(
            f"k-adapter: {config.transformer_layers} transformer layers cannot be copied from the "
            f"{backbone.layers} of '{backbone.name}'; ask for fewer, or set init to 'random'"
        )
