"""Several k-adapters of one shape at once: their weights stacked, and one batched product for N of them.

A product takes as long as N of them, but everything around it runs once: it pays for short inputs only.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import NamedTuple
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from torch.func import functional_call

from kadapter import HiddenStates

FEWEST = 4
MOST_TOKENS = 64
"""Where it pays: measured by `benchmarks/together.py`, told in `docs/performance.md`."""


class Stack(NamedTuple):
    """The weights of several modules.

    Attributes:
        marks: of each weight; another one when it was changed or replaced.
        weights: name -> (N, …); none where they cannot be batched.
    """

    marks: list[tuple[int, int]]
    weights: dict[str, Tensor]


# Beside the modules, not in them: what is kept to be quick is neither copied nor saved with them.
_STACKS: WeakKeyDictionary[nn.Module, Stack] = WeakKeyDictionary()


def pays(adapters: Sequence[nn.Module], states: HiddenStates) -> bool:
    """Say whether so many of one shape are quicker at once; never where something is trained."""
    many, short = len(adapters) >= FEWEST, states.attention_mask.numel() <= MOST_TOKENS
    evaluating = not torch.is_grad_enabled() and not any(adapter.training for adapter in adapters)
    return many and short and evaluating and not torch.compiler.is_compiling()


def at_once(adapters: Sequence[nn.Module], states: HiddenStates) -> Sequence[Tensor]:
    """Give the features of modules that differ in their weights alone, (B, T, W) each."""
    if weights := _stacked(adapters):
        try:
            return _batched(adapters[0], weights, states)
        except RuntimeError:
            # Layers of a few families do what cannot be batched. Not to be tried again in every pass.
            _STACKS[adapters[0]] = Stack(_STACKS[adapters[0]].marks, {})
    return [adapter(states) for adapter in adapters]


def _batched(like: nn.Module, weights: dict[str, Tensor], states: HiddenStates) -> Sequence[Tensor]:
    with warnings.catch_warnings():
        # Attention, which has no weights, runs N times: torch says so each time.
        warnings.filterwarnings("ignore", "There is a performance drop", UserWarning)
        features: Tensor = torch.vmap(lambda own: functional_call(like, own, (states,)))(weights)
    return features.unbind()


def _stacked(adapters: Sequence[nn.Module]) -> dict[str, Tensor]:
    """Stack the weights, unless they are those of the last pass."""
    marks = [_mark(weight) for adapter in adapters for weight in adapter.parameters()]
    stack = _STACKS.get(adapters[0])
    if stack is None or stack.marks != marks:
        named = [dict(adapter.named_parameters()) for adapter in adapters]
        weights = {name: torch.stack([own[name].detach() for own in named]) for name in named[0]}
        stack = _STACKS[adapters[0]] = Stack(marks, weights)
    return stack.weights


def _mark(weight: Tensor) -> tuple[int, int]:
    return weight.data_ptr(), 0 if weight.is_inference() else weight._version
