"""What `torch.compile` gains a pass, and what it takes before the first one: with and without it in the same run.

Random models of the shapes of MiniLM and BERT-base, float32, no gradient; medians of interleaved passes after warm-up.
Each row is a ratio to the same model that is not compiled. With `--quick` what was traced runs without a compiler.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import torch

from benchmarks.models import QUICK, Shape, bert_backbone, bound, over, passes, plugged
from kadapter import KnowledgeModel

ADAPTERS: dict[str, dict[str, Any]] = {
    "k-adapter": {"type": "k-adapter"},
    "standard, size 48": {"type": "standard", "size": 48},
}


def measure(quick: bool) -> dict[str, Any]:
    """Time every row in turn, over and over, for each shape."""
    with torch.no_grad():
        return over(passes(quick, repetitions=10), measured)


def measured(shape: Shape) -> dict[str, dict[str, float]]:
    """Give the seconds of each model, compiled; the ratio to those when it is not; the seconds of the first pass."""
    torch._dynamo.reset()
    backend, backbone, inputs = "eager" if shape is QUICK else "inductor", bert_backbone(shape), shape.inputs()
    models = {"nothing plugged": KnowledgeModel(backbone).eval()}
    models |= {name: plugged(backbone, options) for name, options in ADAPTERS.items()}
    rows: dict[str, Callable[[], object]] = {name: bound(model, inputs) for name, model in models.items()}
    quick = {name: bound(torch.compile(model, backend=backend), inputs) for name, model in models.items()}
    first = {name: seconds_of(run) for name, run in quick.items()}
    seconds = shape.timed({**rows, **{f"{name}, compiled": run for name, run in quick.items()}})
    return {
        name: {
            "seconds": round(seconds[f"{name}, compiled"], 5),
            "ratio": round(seconds[f"{name}, compiled"] / seconds[name], 3),
            "first_pass": round(first[name], 1),
        }
        for name in models
    }


def seconds_of(run: Callable[[], object]) -> float:
    """Give how long it takes once."""
    started = time.perf_counter()
    run()
    return time.perf_counter() - started
