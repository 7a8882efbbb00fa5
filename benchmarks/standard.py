"""A training step with standard adapters, as a ratio to full fine-tuning; and a forward pass, to the bare backbone.

A random model of BERT-base's shape, 8 sentences of 64 tokens, float32, AdamW.
"""

from __future__ import annotations

from typing import Any

from benchmarks.models import QUICK, Shape, bert_backbone, forward, fully_tuned, plugged, step
from benchmarks.reporting import ratios

ADAPTERS: dict[str, dict[str, Any]] = {
    "size 8": {"size": 8},
    "size 64": {"size": 64},
    "size 256": {"size": 256},
    "norms": {"size": 0},
    "pfeiffer, size 48": {"preset": "pfeiffer", "size": 48},
}


def measure(quick: bool) -> dict[str, Any]:
    """Time every row in turn, over and over."""
    shape = QUICK if quick else Shape()
    tokens, backbone = shape.ids(), bert_backbone(shape)
    made = {name: plugged(backbone, {"type": "standard", **options}) for name, options in ADAPTERS.items()}
    rows = {f"forward, {name}": forward(model, tokens) for name, model in made.items()}
    rows |= {f"step, {name}": step(model, tokens) for name, model in made.items()}
    rows["forward, bare backbone"] = forward(backbone.model, tokens)
    rows["step, full fine-tuning"] = step(fully_tuned(shape), tokens)
    return {"setting": shape.said(), "rows": ratios(shape.timed(rows), "forward, bare backbone")}
