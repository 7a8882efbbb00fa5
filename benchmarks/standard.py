"""A training step with standard adapters, as a ratio to full fine-tuning; and a forward pass, to the bare backbone.

    python benchmarks/standard.py --output benchmarks/results/standard.json

A random model of BERT-base's shape, 8 sentences of 64 tokens, float32, AdamW.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from models import bert_backbone, forward, plugged, step, whole
from timing import report

from kadapter.timing import interleaved

ADAPTERS: dict[str, dict[str, Any]] = {
    "size 8": {"size": 8},
    "size 64": {"size": 64},
    "size 256": {"size": 256},
    "norms": {"size": 0},
    "pfeiffer, size 48": {"preset": "pfeiffer", "size": 48},
}


def main(
    output: Annotated[Path | None, typer.Option(help="JSON file to write.")] = None,
    repetitions: Annotated[int, typer.Option(help="Rounds.")] = 10,
    layers: Annotated[int, typer.Option(help="Of the backbone.")] = 12,
) -> None:
    """Measure every row in turn, over and over; print and write seconds and ratios."""
    torch.set_num_threads(2)
    tokens = torch.randint(5, 100, (8, 64))
    backbone = bert_backbone(layers)
    made = {name: plugged(backbone, {"type": "standard", **options}) for name, options in ADAPTERS.items()}
    rows = {f"forward, {name}": forward(model, tokens) for name, model in made.items()}
    rows |= {f"step, {name}": step(model, tokens) for name, model in made.items()}
    rows["forward, bare backbone"] = forward(backbone.model, tokens)
    rows["step, full fine-tuning"] = step(whole(layers), tokens)
    seconds = interleaved(rows, repetitions)
    setting = {"batch": 8, "tokens": 64, "layers": layers, "width": 768, "repetitions": repetitions}
    report(setting, seconds, "forward, bare backbone", output)


if __name__ == "__main__":
    typer.run(main)
