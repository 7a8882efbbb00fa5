"""A forward pass with a fusion of three adapters, as a ratio to the plain backbone; the peer package in the same run.

    python benchmarks/fusion.py --output benchmarks/results/fusion.json

The peer, AdapterHub's `adapters`, needs transformers 4.57 (requirements/transformers-4.txt); without it, its rows are
left out. A random model of BERT-base's shape, 8 sentences of 64 tokens, float32; medians of interleaved passes after
warm-up.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import torch
import typer
from models import bert, bert_backbone, plugged
from timing import report

from kadapter.timing import interleaved

SIZE = {"type": "standard", "preset": "pfeiffer"}


def main(
    output: Annotated[Path | None, typer.Option(help="JSON file to write.")] = None,
    repetitions: Annotated[int, typer.Option(help="Passes of each row.")] = 40,
    members: Annotated[int, typer.Option(help="Adapters that are fused.")] = 3,
    batch: Annotated[int, typer.Option(help="Sentences.")] = 8,
    tokens: Annotated[int, typer.Option(help="Tokens of each.")] = 64,
    layers: Annotated[int, typer.Option(help="Of the backbone.")] = 12,
) -> None:
    """Measure every row in turn, over and over; print and write seconds and ratios."""
    torch.set_num_threads(2)
    given = torch.randint(5, 100, (batch, tokens))
    rows = {**our_rows(given, members, layers), **peer_rows(given, members, layers)}
    with torch.no_grad():
        seconds = interleaved(rows, repetitions)
    setting = {"members": members, "batch": batch, "tokens": tokens, "layers": layers, "width": 768}
    report({**setting, "repetitions": repetitions}, seconds, "plain backbone", output)


def our_rows(given: torch.Tensor, members: int, layers: int) -> dict[str, Callable[[], object]]:
    """Give the plain backbone, one adapter, the fusion, and the fusion as it is computed in training."""
    backbone = bert_backbone(layers)
    one = plugged(backbone, SIZE)
    fused = plugged(backbone, {"type": "fusion", "members": {f"member-{n}": SIZE for n in range(members)}})

    def unfolded() -> object:
        with torch.enable_grad():
            return fused(input_ids=given)

    return {
        "plain backbone": lambda: backbone.model(input_ids=given),
        "one adapter": lambda: one(input_ids=given),
        "fusion": lambda: fused(input_ids=given),
        "fusion, not folded": unfolded,
    }


def peer_rows(given: torch.Tensor, members: int, layers: int) -> dict[str, Callable[[], object]]:
    """Give the same for the peer package, where it is installed."""
    try:
        import adapters
        from adapters.composition import Fuse
    except ImportError:
        return {}
    peer = bert(layers)
    adapters.init(peer)
    names = [f"member{n}" for n in range(members)]
    for name in names:
        peer.add_adapter(name, config="seq_bn")
    peer.add_adapter_fusion(Fuse(*names))
    peer.eval()

    def active(setup: object) -> object:
        peer.set_active_adapters(setup)
        return peer(input_ids=given)

    return {"peer, one adapter": lambda: active(names[0]), "peer, fusion": lambda: active(Fuse(*names))}


if __name__ == "__main__":
    typer.run(main)
