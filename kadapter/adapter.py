"""What an adapter is: a module that reads hidden states of a frozen backbone and gives features of its width.

Shapes, here and everywhere: B batch, T tokens, W width of the backbone, L layers, S = L + 1 states.
States are counted from 0, the output of the embeddings, to L, the backbone's last; layer k gives state k.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from kadapter.config import NoOptions, make_config
from kadapter.errors import BackboneError, ConfigError
from kadapter.registry import Registry, default_registry
from kadapter.sites import Site, Sites

if TYPE_CHECKING:
    from kadapter.past import Past

TUNED = "-tuned"
"""Ends the fingerprint of a backbone that was trained after it was loaded."""

CACHE = object()
"""Stands, in a `LayerCall`, where the backbone handed a cache of its own."""


@dataclass(frozen=True)
class BackboneInfo:
    """What an adapter may know of the backbone before it sees a state.

    Attributes:
        name: what the user called it: an alias, a folder or a hub id.
        model_type: the family, as transformers names it ("roberta").
        width: W, the length of one hidden state.
        layers: L.
        heads: attention heads of a layer.
        intermediate: width between the two feed-forward projections.
        causal: whether a token sees only itself and earlier ones.
        fingerprint: 16 hexadecimal digits made from samples of the weights.
        copy_layer: gives a fresh, trainable copy of layer k, 1 <= k <= L.
        sites: where it can be edited.
        hub_id: its id on the Hugging Face Hub, when it is known.
        revision: the commit that it was loaded from there.
    """

    name: str
    model_type: str
    width: int
    layers: int
    heads: int
    intermediate: int
    causal: bool
    fingerprint: str
    copy_layer: Callable[[int], nn.Module] = field(repr=False, compare=False)
    sites: Sites = field(default_factory=Sites, repr=False, compare=False)
    hub_id: str | None = None
    revision: str | None = None

    @property
    def tuned(self) -> bool:
        """Whether its weights were trained after they were loaded: it is no longer what `name` says."""
        return self.fingerprint.endswith(TUNED)

    def as_dict(self) -> dict[str, Any]:
        """Give the facts that are written beside saved weights."""
        facts = {fact.name: getattr(self, fact.name) for fact in fields(self) if fact.compare}
        return {name: value for name, value in facts.items() if value is not None}

    def check_state(self, state: int) -> None:
        """Raise BackboneError unless 0 <= `state` <= L."""
        if not 0 <= state <= self.layers:
            raise BackboneError(
                f"state {state} was asked for, but backbone '{self.name}' has {self.layers} layers: "
                f"its states are 0 (embeddings) to {self.layers} (last)"
            )


@dataclass(frozen=True)
class LayerCall:
    """What the backbone handed to one of its layers beside the hidden states: masks, positions and the like."""

    arguments: tuple[Any, ...]
    options: Mapping[str, Any]

    def repeat(self, layer: nn.Module, hidden: Tensor, past: Past | None = None) -> Tensor:
        """Call a layer of the same family in the same way: `hidden` (B, T, W) -> (B, T, W).

        Args:
            layer: perhaps a copy of the one that was called.
            hidden: what enters it.
            past: what it keeps of earlier tokens; None where this pass has all of them.
        """
        cache = past.of_layers() if past else None
        arguments = [cache if it is CACHE else it for it in self.arguments]
        output = layer(hidden, *arguments, **{key: cache if it is CACHE else it for key, it in self.options.items()})
        return output if isinstance(output, Tensor) else output[0]


@dataclass(frozen=True)
class HiddenStates:
    """The states of one pass of the backbone that somebody reads, and what is needed to work beside it.

    Attributes:
        states: state number -> (B, T, W).
        attention_mask: (B, T), True at real tokens, False at padding.
        causal: whether a token sees only itself and earlier ones.
        calls: layer number -> how the backbone called that layer in this pass.
        beside: layer number -> what it gave beside its state, for a pass that goes on from this one.
        earlier: (B, P), True at real ones of the tokens that earlier passes have seen, if this one goes on from them.
        past: what the adapter keeps of those tokens; None where this pass has all of them.
    """

    states: Mapping[int, Tensor]
    attention_mask: Tensor
    causal: bool = False
    calls: Mapping[int, LayerCall] = field(default_factory=dict)
    beside: Mapping[int, tuple[Any, ...] | None] = field(default_factory=dict, repr=False)
    earlier: Tensor | None = None
    past: Past | None = field(default=None, repr=False)

    def __getitem__(self, state: int) -> Tensor:
        """Give one state, (B, T, W)."""
        return self.states[state]

    def visible(self) -> Tensor:
        """Say which token may attend to which: (B, 1, T, P + T), True where query (row) may see key (column).

        A token always sees itself: without that, left padding on a causal backbone gives rows of NaN.
        """
        batch, tokens = self.attention_mask.shape
        real = self.attention_mask if self.earlier is None else torch.cat([self.earlier, self.attention_mask], 1)
        before = real.shape[1] - tokens
        own = torch.eye(tokens, dtype=torch.bool, device=real.device)
        allowed = real[:, None, :].expand(batch, tokens, before + tokens)
        return ((allowed.tril(before) if self.causal else allowed) | functional.pad(own, (before, 0)))[:, None]

    def within(self, part: object) -> HiddenStates:
        """Give the same to a part of an adapter, which keeps for itself what it keeps of earlier tokens."""
        return self if self.past is None else replace(self, past=self.past.within(part))

    def with_earlier(self, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Give the keys and values of all tokens so far, (B, H, P + T, D), for those of this pass, (B, H, T, D).

        They are kept for the next pass: to be asked once a pass by each attention, `within` a part of its own.
        """
        return (keys, values) if self.past is None else self.past.extend(keys, values)


@dataclass(frozen=True)
class LowRank:
    """What an adapter adds at a site: up @ activation(down @ x + down_bias) + up_bias.

    Attributes:
        down: (m, W).
        down_bias: (m,).
        activation: of the m values between, as transformers names it.
        up: (W, m).
        up_bias: (W,).
        takes: what x is: "hidden", normalised where there is a norm, or "entering".
    """

    down: Tensor
    down_bias: Tensor
    activation: str
    up: Tensor
    up_bias: Tensor
    takes: Literal["hidden", "entering"]


class Adapter(nn.Module):
    """A knowledge adapter. A type of adapter is a subclass, which a plugin returns from `register_adapter_types`.

    Attributes:
        name: what recipes and the command line call the type.
        Config: a frozen dataclass with the options of the type.
        presets: named sets of options.
        examples: for the contracts: options to build it with, where the defaults of `Config` will not do.
        reads: the states that `forward` wants to find in its `HiddenStates`.
        borrows: the layers whose calls it wants to find there too.
        edits: the sites of the backbone that `edit` rewrites. With any, the adapter has a pass of its own, which nobody
            else sees, and `forward` is given the states of that pass; without, it reads the clean one.
        continues: whether a pass over the next tokens alone gives their features, as it must when a model writes with a
            cache: if each token's are made of its own states, or `forward` asks `HiddenStates.with_earlier` and hands
            on `HiddenStates.past`. Otherwise all tokens go through the model again for each new one.
        trained_on: what is known of its training: recipe, data, metrics; `before` lists the same of what came before.
        watched: None; or a dict in which a type that mixes notes the weights of the last pass: place -> what is mixed
            -> (B, T).
        sequential_positions: asks that padding be numbered as tokens are; it must then be on the right, where only
            its own states show that.
    """

    name: ClassVar[str]
    Config: ClassVar[type] = NoOptions
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    examples: ClassVar[Sequence[Mapping[str, Any]]] = ()
    reads: tuple[int, ...] = ()
    borrows: tuple[int, ...] = ()
    edits: frozenset[Site] = frozenset()
    sequential_positions: bool = False
    continues: bool = False
    trained_on: Mapping[str, Any] = {}
    watched: dict[str, dict[str, Tensor]] | None = None

    def __init__(self, config: Any, backbone: BackboneInfo) -> None:
        super().__init__()
        self.config: Any = config
        self.backbone = backbone

    @property
    def options(self) -> dict[str, Any]:
        """What builds an adapter of the same shape."""
        return {"type": self.name, **asdict(self.config)}

    @property
    def replaces(self) -> bool:
        """Whether its features are a last state that takes the place of the backbone's: if it edits."""
        return bool(self.edits)

    @classmethod
    def random_control(cls, options: Mapping[str, Any]) -> dict[str, Any]:
        """Give the options of an adapter of the same shape with random weights, to measure a trained one against.

        A type that starts from random weights leaves this as it is.
        """
        return dict(options)

    def begin(self) -> None:
        """Hear that a pass begins: once, and not again when its layers are computed again for the gradient.

        What it reads and edits is looked at afterwards.
        """

    def set(self, **options: Any) -> None:
        """Change options of an adapter that is built; a type that has any which can be changed says how.

        Raises:
            ConfigError: there are no such options.
        """
        raise ConfigError(
            f"adapter type '{self.name}' has no {' or '.join(options)} that can be set once it is built; build another "
            f"one, or put it inside a type that has them"
        )

    def drop(self, layers: Collection[int]) -> None:
        """Leave out, from the next pass on, what works beside these layers of the backbone; none brings all back.

        For an adapter that only reads. One that edits is simply not asked for the sites of those layers.

        Raises:
            ConfigError: it is of a type that works beside no layer in particular.
        """
        if layers and not self.replaces:
            raise ConfigError(f"adapter type '{self.name}' works beside no layer in particular: none can be dropped")

    def parts_in(self, layer: int) -> Iterable[nn.Module]:
        """Give the modules of the adapter that work in or beside one layer of the backbone and nowhere else."""
        return ()

    def forward(self, states: HiddenStates) -> Tensor:
        """Give the features, (B, T, W), of one pass of the backbone."""
        raise TypeError(f"adapter type {type(self).__name__} does not say how it gives features")

    @classmethod
    def together(cls, adapters: Sequence[Adapter], states: HiddenStates) -> Sequence[Tensor]:
        """Give what `forward` of each of several adapters of this type gives, (B, T, W): by default one after another.

        A type that knows a quicker way for some of them takes it, right to float tolerance.
        """
        return [adapter(states) for adapter in adapters]

    def edit(self, site: Site, hidden: Tensor, entering: Tensor, norm: Callable[[Tensor], Tensor]) -> Tensor:
        """Give what takes the place of `hidden` at one of the sites `edits`, (B, T, W): by default `hidden` + `add`.

        Args:
            site: where the pass has come to.
            hidden: (B, T, W), what a sub-layer or layer gives; at a norm, what the norm is given. Not to be changed.
            entering: (B, T, W), what the sub-layer, norm or layer is given.
            norm: the backbone's own norm, at a norm, where the edit gives what leaves it; elsewhere the identity.
        """
        return norm(hidden + self.add(site, hidden, entering, norm))

    def add(self, site: Site, hidden: Tensor, entering: Tensor, norm: Callable[[Tensor], Tensor]) -> Tensor:
        """Give what is added to `hidden` at one of the sites `edits`, (B, T, W); the arguments are those of `edit`."""
        raise TypeError(f"adapter type {type(self).__name__} does not say how it edits")

    def adds(self, site: Site) -> bool:
        """Say whether `edit` does no more than `add` at a site: by default, if the type leaves `edit` as it is."""
        return type(self).edit is Adapter.edit

    def low_rank(self, site: Site) -> LowRank | None:
        """Give what `add` does at a site as matrices, where it is no more than that, so that it can be folded."""
        return None

    def penalty(self) -> Tensor | None:
        """Give what is added to the loss in training, a scalar."""
        return None


def build_adapter(options: Mapping[str, Any], backbone: BackboneInfo, registry: Registry | None = None) -> Adapter:
    """Build a fresh adapter from `{"type": ..., "preset": ..., option: value, ...}`.

    Raises:
        UnknownNameError: nobody registered that type.
        ConfigError: the type has no such preset or option.
        BackboneError: the options do not fit the backbone.
    """
    options = dict(options)
    kind = (registry or default_registry()).adapter_types[_type_of(options)]
    chosen = {**_preset(kind, options.pop("preset", None)), **options}
    config: Any = make_config(kind.Config, chosen, owner=f"adapter type '{kind.name}'")
    adapter = kind(config, backbone)
    for state in adapter.reads:
        backbone.check_state(state)
    for site in sorted(adapter.edits):
        backbone.sites.check(site)
    return adapter


def _type_of(options: dict[str, Any]) -> str:
    if "type" not in options:
        raise ConfigError(f"an adapter needs a type, for instance {{'type': 'k-adapter'}}; given: {options}")
    return str(options.pop("type"))


def _preset(kind: type[Adapter], name: str | None) -> Mapping[str, Any]:
    if name is not None and name not in list(kind.presets):
        there = ", ".join(kind.presets) or "none"
        raise ConfigError(f"adapter type '{kind.name}' has no preset '{name}'; it has {there}")
    return kind.presets[name] if name else {}
