"""What the benchmarks time: a random model of BERT-base's shape with one adapter, its passes and its steps."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode
from transformers import BertConfig, BertModel

from kadapter import Backbone, KnowledgeModel
from kadapter.testing import fill_randomly, tiny_tokenizer
from kadapter.timing import Row, interleaved


@dataclass(frozen=True)
class Shape:
    """Of the backbone, of what goes through it, and how often.

    Attributes:
        layers, width: of the backbone.
        batch: sentences.
        tokens: of each.
        repetitions: rounds.
        warm_up: rounds before them.
        threads: of the processor.
    """

    layers: int = 12
    width: int = 768
    batch: int = 8
    tokens: int = 64
    repetitions: int = 10
    warm_up: int = 1
    threads: int = 2

    def timed(self, rows: Mapping[Row, Callable[[], object]]) -> dict[Row, float]:
        """Give the median seconds of each row, run in turn, over and over."""
        torch.set_num_threads(self.threads)
        return interleaved(rows, self.repetitions, self.warm_up)

    def ids(self) -> torch.Tensor:
        """Give random tokens, (B, T)."""
        return torch.randint(5, 100, (self.batch, self.tokens))

    def inputs(self) -> dict[str, torch.Tensor]:
        """Give random tokens, none of them padding, as a tokenizer gives them."""
        tokens = self.ids()
        return {"input_ids": tokens, "attention_mask": torch.ones_like(tokens)}

    def said(self) -> dict[str, Any]:
        """Give it as plain data."""
        return asdict(self)


QUICK = Shape(layers=2, width=32, batch=2, tokens=16, repetitions=1, warm_up=0, threads=1)
"""To see that a benchmark runs."""


def passes(quick: bool, repetitions: int) -> dict[str, Shape]:
    """Give the shapes on which passes without gradient are timed: MiniLM's and BERT-base's, a batch and a sentence."""
    if quick:
        return {"quick": QUICK}
    backbones = {"MiniLM": Shape(layers=6, width=384, repetitions=repetitions), "base": Shape(repetitions=repetitions)}
    return {
        f"{name}, {batch} x {tokens}": replace(shape, batch=batch, tokens=tokens)
        for name, shape in backbones.items()
        for batch, tokens in ((8, 64), (1, 32))
    }


def over(shapes: Mapping[str, Shape], measured: Callable[[Shape], Mapping[str, Mapping[str, float]]]) -> dict[str, Any]:
    """Report what is measured on each shape."""
    rows = {f"{name}: {row}": figures for name, shape in shapes.items() for row, figures in measured(shape).items()}
    return {"setting": {name: shape.said() for name, shape in shapes.items()}, "rows": rows}


def bert(shape: Shape) -> BertModel:
    """Give a random model, in evaluation mode."""
    config = BertConfig(
        vocab_size=1000,
        num_hidden_layers=shape.layers,
        hidden_size=shape.width,
        num_attention_heads=max(shape.width // 64, 1),
        intermediate_size=4 * shape.width,
    )
    return BertModel(config).eval()


def bert_backbone(shape: Shape) -> Backbone:
    """Give it as a backbone."""
    return Backbone(bert(shape), tiny_tokenizer())


def plugged(backbone: Backbone, options: Mapping[str, Any], seed: int = 0) -> KnowledgeModel:
    """Give a model with one adapter, filled at random, in evaluation mode."""
    model = KnowledgeModel(backbone)
    model.plug("it", options)
    fill_randomly(model.adapters, seed)
    model.recompose(model.usual_composition("sum"))
    return model.eval()


def bound(model: torch.nn.Module, inputs: Mapping[str, torch.Tensor]) -> Callable[[], object]:
    """Give a pass."""
    return partial(model, **inputs)


def operations(row: Callable[[], object]) -> int:
    """Count the operations of the products in one run."""
    with FlopCounterMode(display=False) as counter:
        row()
    return int(counter.get_total_flops())


def fully_tuned(shape: Shape) -> KnowledgeModel:
    """Give a model of which everything is trained."""
    model = KnowledgeModel(bert_backbone(shape))
    model.backbone.thaw()
    return model


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
