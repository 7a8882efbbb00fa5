"""What two passes give, compared: bit for bit, or as close as float32 allows."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from kadapter import Adapter, Backbone
from kadapter.generation import Continued
from kadapter.passes import run
from kadapter.past import Caches

TOLERANCE = 1e-5
"""For what is computed in another order, absolute and relative."""


def features_of(adapter: Adapter, backbone: Backbone, batch: Mapping[str, Tensor]) -> Tensor:
    """Give an adapter's features, (B, T, W), of a pass that keeps no more than it asks for, without gradient."""
    with torch.no_grad():
        return run(backbone, batch, {"alone": adapter})[1]["alone"]


def step_by_step(adapter: Adapter, backbone: Backbone, batch: Mapping[str, Tensor]) -> Tensor:
    """Give an adapter's features, (B, T, W), half of the tokens at once and then one after another, with caches.

    In between the rows change places, as beams do; they are given as they were.
    """
    caches, tokens = Caches(backbone.model.config, {}), batch["input_ids"].shape[1]
    steps = [*range(tokens // 2, tokens)]
    features = [_next(adapter, backbone, batch, 0, steps[0], caches)]
    rows = torch.arange(len(batch["input_ids"])).flip(0)
    caches.reorder_cache(rows)  # type: ignore[arg-type]
    turned = {name: tensor[rows] for name, tensor in batch.items()}
    features += [_next(adapter, backbone, turned, step, step + 1, caches)[rows] for step in steps]
    return torch.cat(features, 1)


def _next(
    adapter: Adapter, backbone: Backbone, batch: Mapping[str, Tensor], start: int, stop: int, caches: Caches
) -> Tensor:
    inputs = {"input_ids": batch["input_ids"][:, start:stop], "attention_mask": batch["attention_mask"][:, :stop]}
    with torch.no_grad():
        return run(Continued(backbone, caches), inputs, {"alone": adapter})[1]["alone"]


def assert_same(actual: Tensor, expected: Tensor, rule: str) -> None:
    """Raise AssertionError, which begins with `rule`, unless both are equal bit for bit."""
    torch.testing.assert_close(actual, expected, rtol=0, atol=0, msg=lambda difference: f"{rule}: {difference}")


def assert_close(actual: Tensor, expected: Tensor, rule: str) -> None:
    """Raise AssertionError, which begins with `rule`, unless both are equal up to `TOLERANCE`."""
    torch.testing.assert_close(
        actual, expected, rtol=TOLERANCE, atol=TOLERANCE, msg=lambda difference: f"{rule}: {difference}"
    )


def assert_same_tensors(actual: Mapping[str, Tensor], expected: Mapping[str, Tensor], rule: str) -> None:
    """Raise AssertionError, which begins with `rule`, unless names and tensors are the same, bit for bit."""
    assert actual.keys() == expected.keys(), f"{rule}: {sorted(actual.keys() ^ expected.keys())}"
    for name, tensor in expected.items():
        assert_same(actual[name], tensor, f"{rule}: {name}")
