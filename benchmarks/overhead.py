"""What plugging costs a pass: nothing plugged, a standard adapter, a k-adapter; beside the plain model and arithmetic.

Random models of the shapes of MiniLM and BERT-base, float32, no gradient; medians of interleaved passes after warm-up.
The plain model is a copy that nobody listens to. Beside each ratio stands that of the operations of all products.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import torch

from benchmarks.models import Shape, bert_backbone, bound, operations, over, passes, plugged
from benchmarks.reporting import ratios
from kadapter import KnowledgeModel
from kadapter.taps import drop_taps

ADAPTERS: dict[str, dict[str, Any]] = {
    "standard, size 48": {"type": "standard", "size": 48},
    "pfeiffer, size 48": {"type": "standard", "preset": "pfeiffer", "size": 48},
    "k-adapter": {"type": "k-adapter"},
}


def measure(quick: bool) -> dict[str, Any]:
    """Time every row in turn, over and over, for each shape."""
    with torch.inference_mode():
        return over(passes(quick, repetitions=20), measured)


def measured(shape: Shape) -> dict[str, dict[str, float]]:
    """Give seconds, the ratio to the plain model, and that of the operations."""
    backbone, inputs = bert_backbone(shape), shape.inputs()
    rows: dict[str, Callable[[], object]] = {"plain model": bound(drop_taps(deepcopy(backbone.model)), inputs)}
    rows["nothing plugged"] = bound(KnowledgeModel(backbone).eval(), inputs)
    rows |= {name: bound(plugged(backbone, options), inputs) for name, options in ADAPTERS.items()}
    table, counted = ratios(shape.timed(rows), "plain model"), operations(rows["plain model"])
    for row, run in rows.items():
        table[row]["by_operations"] = round(operations(run) / counted, 3)
    return table
