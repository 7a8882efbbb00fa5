"""Passes of a model, and the taps at its modules by which a pass is recorded, edited, ended early or begun late."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from kadapter.adapter import CACHE, HiddenStates, LayerCall
from kadapter.sites import Site, Sites

Forward = Callable[..., Any]
Role = Literal["layer", "entrance", "sublayer", "norm"]

_NOT_REPEATED = (
    "past_key_value",
    "past_key_values",
    "use_cache",
    "output_attentions",
    "output_hidden_states",
)
"""What a layer is told about its cache and its outputs, which is not for a copy of it."""


class Enough(Exception):
    """Everything that is read has been seen; the rest of the pass is not needed."""


class Editor(Protocol):
    """What edits a pass: an adapter, or several side by side."""

    @property
    def edits(self) -> frozenset[Site]:
        """The sites that it rewrites."""

    def edit(self, site: Site, hidden: Tensor, entering: Tensor, norm: Callable[[Tensor], Tensor]) -> Tensor:
        """Give what takes the place of `hidden` at a site, as `Adapter.edit` does."""


@dataclass(frozen=True)
class Trunk:
    """The lower part of a clean pass, which an edited one has in common with it.

    Attributes:
        first: the first layer that is not in it.
        states: state number -> (B, T, W).
        beside: layer number -> what the layer gave beside its state; None where it gave a state alone.
    """

    first: int
    states: Mapping[int, Tensor]
    beside: Mapping[int, tuple[Any, ...] | None]

    def stand_in(self, number: int) -> Any:
        """Give what layer `number` would give, but that only the last state of the trunk is right."""
        state, beside = self.states[self.first - 1], self.beside[number]
        return state if beside is None else (state, *beside)

    def take(self, rows: Tensor) -> Trunk:
        """Give these rows of the batch, perhaps some of them several times."""
        batch = len(self.states[self.first - 1])
        states = {number: state[rows] for number, state in self.states.items()}
        beside = {
            number: None if gave is None else tuple(take(value, rows, batch) for value in gave)
            for number, gave in self.beside.items()
            if number < self.first
        }
        return Trunk(self.first, states, beside)


def take(value: Any, rows: Tensor, batch: int) -> Any:
    """Give these rows of a tensor that has a row for each of a batch; anything else as it is."""
    # One row stands for all of them wherever there is one.
    has_rows = isinstance(value, Tensor) and value.dim() > 1 and len(value) == batch
    return value[rows] if has_rows else value


def first_edited(editor: Editor) -> int:
    """Give the lowest layer that an editor edits, 1 to L; 0 where it only reads."""
    return min([site.layer for site in editor.edits] or [0])


def below(editor: Editor, reads: Iterable[int]) -> frozenset[int]:
    """Give the states that an edited pass has in common with a clean one, of those that it needs."""
    first = first_edited(editor)
    return frozenset({first - 1, *reads} & set(range(1, first)))


def trunk_of(editor: Editor, reads: Iterable[int], clean: HiddenStates) -> Trunk | None:
    """Give what an edited pass need not compute again, if the clean one kept it."""
    needed = below(editor, reads)
    if not needed or not needed <= clean.states.keys():
        return None
    first = first_edited(editor)
    # The clean pass may have gone on: what it gave above is not what the edited one gives there.
    return Trunk(first, {state: clean[state] for state in needed}, clean.beside)


@dataclass(frozen=True)
class Outline:
    """What stands in for the layers in a pass that only shows how they are called: what is given to one leaves it.

    Attributes:
        beside: layer number -> what it gave beside its state in a whole pass of the same model; None where nothing.
    """

    beside: Mapping[int, tuple[Any, ...] | None]

    def skips(self, number: int) -> bool:
        """Say whether a layer need not run: all but the first, where layers hand on what that one made."""
        handed_on = (value for values in self.beside.values() for value in values or ())
        return number > 1 or not any(isinstance(value, Tensor) for value in handed_on)

    def stand_in(self, number: int, hidden: Tensor, ran: Mapping[int, tuple[Any, ...] | None]) -> Any:
        """Give what layer `number` would give, but that its state is `hidden`; `ran` says what the first layer gave."""
        beside = ran.get(1, self.beside.get(number))
        return hidden if beside is None else (hidden, *beside)


@dataclass
class Pass:
    """One pass: what is kept of it, and what is done to it.

    Attributes:
        reads: the states to keep.
        borrows: the layers whose calls to keep.
        layers: L.
        shape: (B, T).
        editor: what edits this pass; None leaves it clean.
        trunk: what need not be computed again; None computes all.
        checkpointing: whether the layers that get a gradient keep nothing for the backward pass but what enters them.
        outline: what stands in for layers that need not run; None runs them.
        cache: what holds the keys and values of earlier tokens; None where there are none.
        states: state number -> (B, T, W).
        calls: layer number -> how it was called.
        beside: layer number -> what it gave beside its state; None where it gave a state alone.
    """

    reads: frozenset[int]
    borrows: frozenset[int]
    layers: int
    shape: tuple[int, int]
    editor: Editor | None = None
    trunk: Trunk | None = None
    checkpointing: bool = False
    outline: Outline | None = None
    cache: object | None = None
    states: dict[int, Tensor] = field(default_factory=dict)
    calls: dict[int, LayerCall] = field(default_factory=dict)
    beside: dict[int, tuple[Any, ...] | None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        # The last state of all is the model's own output: then the whole pass is needed.
        needed = max([0, *self.borrows, *(state + 1 for state in self.reads)])
        if self.cache is not None:
            # How many tokens it has seen is said by the first layer, which therefore has to run.
            needed = max(needed, 2)
        self._enough_at = self.layers + 1 if self.layers in self.reads else needed
        self._edits = self.editor.edits if self.editor is not None else frozenset()
        self._first_edited = first_edited(self.editor) if self.editor is not None else 0
        self._entering: dict[Site, Tensor] = {}

    def running(self) -> Hearing:
        """Hear the calls inside a `with` of this, in this thread; raises Enough out of it when nothing is missing."""
        return Hearing(self)

    def layer(self, number: int, forward: Forward, arguments: tuple[Any, ...], options: dict[str, Any]) -> Any:
        """Take note that layer `number` is called like this, and give what it gives."""
        self._note(number, arguments, dict(options))
        if self.trunk is not None and number < self.trunk.first:
            return self.trunk.stand_in(number)
        if self.outline is not None and self.outline.skips(number):
            return self.outline.stand_in(number, _first(arguments, options), self.beside)
        gets_gradient = number >= self._first_edited or _first(arguments, options).requires_grad
        if self.checkpointing and torch.is_grad_enabled() and gets_gradient:
            output = checkpoint(self._again(forward), *arguments, use_reentrant=False, **options)
        else:
            output = forward(*arguments, **options)
        hidden, beside = (output, None) if isinstance(output, Tensor) else (output[0], output[1:])
        self.beside[number] = beside
        edited = hidden
        if self._edits and (site := Site(number, "output")) in self._edits:
            edited = self._edited(site, hidden, _first(arguments, options))
        return edited if beside is None else (edited, *beside)

    def _note(self, number: int, arguments: tuple[Any, ...], options: dict[str, Any]) -> None:
        hidden = arguments[0] if arguments else options.pop("hidden_states")
        if number - 1 in self.reads:
            self.states[number - 1] = self.trunk.states.get(number - 1, hidden) if self.trunk else hidden
        if number in self.borrows:
            told = {key: self._told(value) for key, value in options.items()}
            kept = {key: value for key, value in told.items() if value is CACHE or key not in _NOT_REPEATED}
            self.calls[number] = LayerCall(tuple(self._told(value) for value in arguments[1:]), kept)
        if number >= self._enough_at:
            raise Enough

    def _told(self, value: Any) -> Any:
        """Give what a copy of a layer is told in its place: not the backbone's own cache."""
        return CACHE if self.cache is not None and value is self.cache else value

    def _again(self, forward: Forward) -> Forward:
        """Let this pass hear what happens when a layer is computed again, in the backward pass."""

        def run(*arguments: Any, **options: Any) -> Any:
            # A layer is computed again only as far as needed, which may have been to the middle of a sub-layer.
            self._entering.clear()
            with self.running():
                return forward(*arguments, **options)

        return run

    def entrance(self, site: Site, forward: Forward, arguments: tuple[Any, ...], options: dict[str, Any]) -> Any:
        """Remember what a sub-layer is given."""
        if site in self._edits:
            # DeBERTa uses its projections again, for positions: the first call is that with the hidden states.
            self._entering.setdefault(site, _first(arguments, options))
        return forward(*arguments, **options)

    def sublayer(self, site: Site, forward: Forward, arguments: tuple[Any, ...], options: dict[str, Any]) -> Any:
        """Give what a sub-layer gives, edited."""
        output = forward(*arguments, **options)
        if site not in self._edits:
            return output
        entering = self._entering.pop(site)
        if isinstance(output, Tensor):
            return self._edited(site, output, entering)
        return (self._edited(site, output[0], entering), *output[1:])

    def norm(self, site: Site, forward: Forward, arguments: tuple[Any, ...], options: dict[str, Any]) -> Any:
        """Give what a norm gives, or what the editor gives in its place."""
        if site not in self._edits:
            return forward(*arguments, **options)
        hidden = _first(arguments, options)
        return self._edited(site, hidden, hidden, forward)

    def _edited(self, site: Site, hidden: Tensor, entering: Tensor, norm: Forward = lambda hidden: hidden) -> Tensor:
        edit = self.editor.edit  # type: ignore[union-attr]
        if hidden.shape[:-1] == entering.shape[:-1] == self.shape:
            return edit(site, hidden, entering, norm)
        # Some families lay all tokens of a batch in one row.
        rows = edit(site, hidden.reshape(*self.shape, -1), entering.reshape(*self.shape, -1), norm)
        return rows.reshape(hidden.shape)


def _first(arguments: tuple[Any, ...], options: Mapping[str, Any]) -> Any:
    return arguments[0] if arguments else options.get("hidden_states", next(iter(options.values())))


# Taps are set once and ask which pass runs in their own thread: passes side by side do not hear each other.
_RUNNING: ContextVar[Pass | None] = ContextVar("running", default=None)


class _Traced:
    """The pass that `torch.compile` follows, which it does in one thread at a time: a ContextVar it cannot follow.

    It is None again wherever compiled code ends, and whenever code runs that is not compiled: there is no stopping
    inside the `with` that sets it.
    """

    running: Pass | None = None


_TRACED = _Traced()


class Hearing:
    """Lets a pass hear the calls of this thread for the length of a `with`."""

    def __init__(self, heard_by: Pass) -> None:
        self.heard_by = heard_by

    def __enter__(self) -> None:
        if torch.compiler.is_compiling():
            self.before, _TRACED.running = _TRACED.running, self.heard_by
        else:
            self.token = _RUNNING.set(self.heard_by)

    def __exit__(self, *error: object) -> None:
        if torch.compiler.is_compiling():
            _TRACED.running = self.before
        else:
            _RUNNING.reset(self.token)


class _Tap:
    """Stands in for the `forward` of a module: in a pass of ours, the pass decides what comes of a call."""

    def __init__(self, role: Role, key: int | Site, forward: Forward) -> None:
        self.role, self.key, self.forward = role, key, forward

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        running = _RUNNING.get() if _TRACED.running is None else _TRACED.running
        if running is None:
            return self.forward(*arguments, **options)
        return getattr(running, self.role)(self.key, self.forward, arguments, options)


def set_taps(layers: nn.ModuleList, sites: Sites) -> None:
    """Let a pass hear, and change, the calls of these layers and what happens at these sites, each of them once."""
    for module in (*layers.modules(), *sites.modules.values()):
        _untap(module)
    for number, layer in enumerate(layers, start=1):
        _tap(layer, "layer", number)
    for site, module in sites.modules.items():
        if site.place != "output":
            _tap(module, "norm" if site.place.endswith("-norm") else "sublayer", site)
    # Outermost, since a sub-layer that is one module is its own entrance.
    for site, module in sites.entrances.items():
        _tap(module, "entrance", site)


def _tap(module: nn.Module, role: Role, key: int | Site) -> None:
    module.forward = _Tap(role, key, module.forward)


def _untap(module: nn.Module) -> None:
    while isinstance(tap := module.__dict__.get("forward"), _Tap):
        module.forward = tap.forward


def drop_taps(copy: nn.Module) -> nn.Module:
    """Make a copy of a layer or norm a module of its own: nobody who listens to the layer hears it."""
    for module in copy.modules():
        module._forward_hooks.clear()
        module._forward_pre_hooks.clear()
        if isinstance(module.__dict__.get("forward"), _Tap):
            del module.forward
    return copy
