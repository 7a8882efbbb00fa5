"""Several k-adapters in one pass, against what arithmetic allows: the backbone once, and each adapter once.

Random models of the shapes of MiniLM and BERT-base, float32, no gradient; medians of interleaved passes after warm-up.
For each number of adapters: the ratio to the plain backbone, what it would be by counting operations, and the ratio to
the limit, which is the plain backbone's seconds and, for each adapter, those of one by itself, in the same run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch.func import functional_call, stack_module_state

from benchmarks.models import Shape, bert_backbone, bound, operations, over, passes
from benchmarks.reporting import ratios
from kadapter import Adapter, Backbone, HiddenStates, KnowledgeModel, build_adapter
from kadapter.testing import fill_randomly

COUNTS = (1, 2, 4, 8, 16)


def measure(quick: bool) -> dict[str, Any]:
    """Time every row in turn, over and over, for each shape."""
    with torch.inference_mode():
        return over(passes(quick, repetitions=4), lambda shape: measured(shape, COUNTS[:2] if quick else COUNTS))


def measured(shape: Shape, counts: Sequence[int]) -> dict[str, dict[str, float]]:
    """Give the figures of each row."""
    backbone, inputs = bert_backbone(shape), shape.inputs()
    adapters = [k_adapter(backbone, number) for number in range(max(counts))]
    states = backbone(inputs, frozenset(adapters[0].reads), frozenset(adapters[0].borrows))
    plain, alone = bound(backbone.model, inputs), partial(adapters[0], states)
    rows: dict[str, Callable[[], object]] = {"plain backbone": plain, "one by itself": alone}
    weights = stacked(adapters)
    for count in counts:
        rows[f"{count} plugged"] = bound(model_with(backbone, adapters[:count]), inputs)
        rows[f"{count} by themselves"] = partial(one_after_another, adapters[:count], states)
        rows[f"{count} by themselves, stacked"] = partial(batched, adapters[0], weights, count, states)
    seconds = shape.timed(rows)
    base, one = seconds["plain backbone"], seconds["one by itself"]
    share, table = operations(alone) / operations(plain), ratios(seconds, "plain backbone")
    for count in counts:
        to_limit = seconds[f"{count} plugged"] / (base + count * one)
        to_loop = seconds[f"{count} by themselves, stacked"] / seconds[f"{count} by themselves"]
        table[f"{count} plugged"] |= {"by_operations": round(1 + count * share, 3), "to_limit": round(to_limit, 3)}
        table[f"{count} by themselves, stacked"]["to_one_after_another"] = round(to_loop, 3)
    return table


def k_adapter(backbone: Backbone, number: int) -> Adapter:
    """Give a k-adapter filled at random."""
    adapter = build_adapter({"type": "k-adapter"}, backbone.info)
    fill_randomly(adapter, number)
    return adapter.eval().requires_grad_(False)


def model_with(backbone: Backbone, adapters: Sequence[Adapter]) -> KnowledgeModel:
    """Give a model into which they are plugged."""
    model = KnowledgeModel(backbone)
    for number, adapter in enumerate(adapters):
        model.plug(f"adapter-{number}", adapter)
    return model.eval()


def one_after_another(adapters: Sequence[Adapter], states: HiddenStates) -> list[torch.Tensor]:
    """Give the features of every adapter."""
    return [adapter(states) for adapter in adapters]


def stacked(adapters: Sequence[Adapter]) -> dict[str, torch.Tensor]:
    """Give the weights of all of them, by name: (N, …) each."""
    weights, _ = stack_module_state(list(adapters))
    return {name: weight.detach() for name, weight in weights.items()}


def batched(like: Adapter, weights: Mapping[str, torch.Tensor], count: int, states: HiddenStates) -> torch.Tensor:
    """Give the features of the first ones by batched products: (N, B, T, W)."""
    some = {name: weight[:count] for name, weight in weights.items()}
    return torch.vmap(lambda own: functional_call(like, own, (states,)))(some)
