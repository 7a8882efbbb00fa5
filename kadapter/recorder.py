"""Listening at the layers of a model during one pass."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from typing import Any

from torch import Tensor, nn

from kadapter.adapter import LayerCall

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


class Recorder:
    """Keeps the states `reads` and the calls of the layers `borrows` of one pass.

    Attributes:
        states: state number -> (B, T, W).
        calls: layer number -> how it was called.
    """

    def __init__(self, reads: frozenset[int], borrows: frozenset[int], layers: int) -> None:
        self.reads, self.borrows = reads, borrows
        self.states: dict[int, Tensor] = {}
        self.calls: dict[int, LayerCall] = {}
        # The last state of all is the model's own output: then the whole pass is needed.
        self._enough_at = layers + 1 if layers in reads else max({s + 1 for s in reads} | borrows, default=0)

    @contextmanager
    def listen(self) -> Iterator[None]:
        """Listen to the pass inside this `with`, in this thread; raises Enough out of it when nothing is missing."""
        token = _LISTENING.set(self)
        try:
            yield
        finally:
            _LISTENING.reset(token)

    def hear(self, number: int, arguments: tuple[Any, ...], options: dict[str, Any]) -> None:
        """Take note that layer `number` is called like this."""
        options = dict(options)
        hidden = arguments[0] if arguments else options.pop("hidden_states")
        if number - 1 in self.reads:
            self.states[number - 1] = hidden
        if number in self.borrows:
            kept = {key: value for key, value in options.items() if key not in _NOT_REPEATED}
            self.calls[number] = LayerCall(arguments[1:], kept)
        if number >= self._enough_at:
            raise Enough


# Hooks are set once and ask who listens in their own thread: passes side by side do not hear each other.
_LISTENING: ContextVar[Recorder | None] = ContextVar("listening", default=None)


def set_hooks(layers: nn.ModuleList) -> None:
    """Let whoever listens hear the calls of these layers."""
    for number, layer in enumerate(layers, start=1):
        layer.register_forward_pre_hook(partial(_tell, number), with_kwargs=True)


def drop_hooks(layer: nn.Module) -> nn.Module:
    """Make a copy of a layer silent."""
    for key, hook in list(layer._forward_pre_hooks.items()):
        if isinstance(hook, partial) and hook.func is _tell:
            del layer._forward_pre_hooks[key]
            layer._forward_pre_hooks_with_kwargs.pop(key, None)
    return layer


def _tell(number: int, layer: nn.Module, arguments: tuple[Any, ...], options: dict[str, Any]) -> None:
    listener = _LISTENING.get()
    if listener is not None:
        listener.hear(number, arguments, options)
