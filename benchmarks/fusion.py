"""A forward pass with a fusion of three adapters, as a ratio to the plain backbone; the peer package in the same run.

The peer, AdapterHub's `adapters`, needs transformers 4.57 (requirements/transformers-4.txt); without it, its rows are
left out. A random model of BERT-base's shape, 8 sentences of 64 tokens, float32; medians of interleaved passes after
warm-up.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from benchmarks.models import QUICK, Shape, bert, bert_backbone, plugged
from benchmarks.reporting import ratios

SIZE = {"type": "standard", "preset": "pfeiffer"}
MEMBERS = 3


def measure(quick: bool) -> dict[str, Any]:
    """Time every row in turn, over and over."""
    shape = QUICK if quick else Shape(repetitions=40, warm_up=3)
    given = shape.ids()
    rows = {**our_rows(given, shape), **peer_rows(given, shape)}
    with torch.no_grad():
        seconds = shape.timed(rows)
    return {"setting": {"members": MEMBERS, **shape.said()}, "rows": ratios(seconds, "plain backbone")}


def our_rows(given: torch.Tensor, shape: Shape) -> dict[str, Callable[[], object]]:
    """Give the plain backbone, one adapter, the fusion, and the fusion as it is computed in training."""
    backbone = bert_backbone(shape)
    one = plugged(backbone, SIZE)
    fused = plugged(backbone, {"type": "fusion", "members": {f"member-{n}": SIZE for n in range(MEMBERS)}})

    def unfolded() -> object:
        with torch.enable_grad():
            return fused(input_ids=given)

    return {
        "plain backbone": lambda: backbone.model(input_ids=given),
        "one adapter": lambda: one(input_ids=given),
        "fusion": lambda: fused(input_ids=given),
        "fusion, not folded": unfolded,
    }


def peer_rows(given: torch.Tensor, shape: Shape) -> dict[str, Callable[[], object]]:
    """Give the same for the peer package, where it is installed."""
    try:
        import adapters
        from adapters.composition import Fuse
    except ImportError:
        return {}
    peer = bert(shape)
    adapters.init(peer)
    names = [f"member{n}" for n in range(MEMBERS)]
    for name in names:
        peer.add_adapter(name, config="seq_bn")
    peer.add_adapter_fusion(Fuse(*names))
    peer.eval()

    def active(setup: object) -> object:
        peer.set_active_adapters(setup)
        return peer(input_ids=given)

    return {"peer, one adapter": lambda: active(names[0]), "peer, fusion": lambda: active(Fuse(*names))}
