"""Listening at the layers of a model during one pass."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
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

    def __init__(self, reads: frozenset[int], borrows: frozenset[int]) -> None:
        self.reads, self.borrows = reads, borrows
        self.states: dict[int, Tensor] = {}
        self.calls: dict[int, LayerCall] = {}

    @contextmanager
    def listen(self, layers: nn.ModuleList) -> Iterator[None]:
        """Listen at these layers for the length of a `with`; raises Enough out of the pass that it listens to."""
        with ExitStack() as stack:
            for number, layer in enumerate(layers, start=1):
                hook = partial(self._before, number, len(layers))
                stack.enter_context(_removed(layer.register_forward_pre_hook(hook, with_kwargs=True)))
            yield

    def _before(
        self, number: int, last: int, layer: nn.Module, arguments: tuple[Any, ...], options: dict[str, Any]
    ) -> None:
        options = dict(options)
        hidden = arguments[0] if arguments else options.pop("hidden_states")
        if number - 1 in self.reads:
            self.states[number - 1] = hidden
        if number in self.borrows:
            kept = {key: value for key, value in options.items() if key not in _NOT_REPEATED}
            self.calls[number] = LayerCall(arguments[1:], kept)
        if last not in self.reads and number >= max({s + 1 for s in self.reads} | self.borrows, default=0):
            raise Enough


@contextmanager
def _removed(handle: Any) -> Iterator[None]:
    try:
        yield
    finally:
        handle.remove()
