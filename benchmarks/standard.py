"""A training step with standard adapters, as a ratio to full fine-tuning; and a forward pass, to the bare backbone.

    python benchmarks/standard.py --output benchmarks/results/standard.json

A random model of BERT-base's shape, 8 sentences of 64 tokens, float32, AdamW.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from timing import report
from transformers import BertConfig, BertModel

from kadapter import Backbone, KnowledgeModel
from kadapter.testing import tiny_tokenizer
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
    backbone = BertModel(BertConfig(vocab_size=1000, num_hidden_layers=layers))
    made = {name: plugged(backbone, options) for name, options in ADAPTERS.items()}
    rows = {f"forward, {name}": forward(model, tokens) for name, model in made.items()}
    rows |= {f"step, {name}": step(model, tokens) for name, model in made.items()}
    rows["forward, bare backbone"] = forward(made["norms"].backbone.model, tokens)
    whole = KnowledgeModel(Backbone(BertModel(BertConfig(vocab_size=1000, num_hidden_layers=layers)), tiny_tokenizer()))
    whole.backbone.thaw()
    rows["step, full fine-tuning"] = step(whole, tokens)
    seconds = interleaved(rows, repetitions)
    setting = {"batch": 8, "tokens": 64, "layers": layers, "width": 768, "repetitions": repetitions}
    report(setting, seconds, "forward, bare backbone", output)


def plugged(backbone: BertModel, options: dict[str, Any]) -> KnowledgeModel:
    """Give a model with one standard adapter."""
    model = KnowledgeModel(Backbone(backbone, tiny_tokenizer()))
    model.plug("it", {"type": "standard", **options})
    model.recompose(model.usual_composition("sum"))
    return model.eval()


def forward(model: torch.nn.Module, tokens: torch.Tensor) -> Callable[[], object]:
    """Give a pass without gradient."""

    def run() -> object:
        with torch.no_grad():
            return model(input_ids=tokens)

    return run


def step(model: KnowledgeModel, tokens: torch.Tensor) -> Callable[[], object]:
    """Give a step of training on the mean of the last state."""
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-4)

    def run() -> None:
        model.train()
        model(input_ids=tokens).last_hidden_state.mean().backward()
        optimizer.step()
        optimizer.zero_grad()
        model.eval()

    return run


if __name__ == "__main__":
    typer.run(main)
