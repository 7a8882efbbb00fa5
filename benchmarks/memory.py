"""Peak memory of pretraining a k-adapter, as a ratio to the published recipe; and of full fine-tuning.

The published recipe (microsoft/K-Adapter): every sentence padded to 64 tokens, float32, all hidden states kept, the
adapter of the paper. The others pad to the longest of their sentences, here 48 tokens, and keep the states that the
adapter reads. A random model of RoBERTa-base's shape, 32 sentences, AdamW; weights, gradients and optimizer included.
Each in a process of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from transformers import RobertaConfig, RobertaModel

from benchmarks.models import QUICK, Shape, step
from benchmarks.reporting import in_process
from kadapter import Adapter, Backbone, HiddenStates, KnowledgeModel, build_adapter
from kadapter.memory import PeakMemory
from kadapter.testing import tiny_tokenizer

PAPER = {"type": "k-adapter", "preset": "paper"}
PUBLISHED = "published recipe"
WAYS: dict[str, Mapping[str, Any]] = {
    PUBLISHED: PAPER,
    "adapter of the paper": PAPER,
    "default k-adapter": {"type": "k-adapter"},
    "default k-adapter, bfloat16": {"type": "k-adapter"},
    "full fine-tuning": {},
}


class Published(nn.Module):
    """The recipe in plain PyTorch: the backbone gives all its states, the adapter takes what it reads."""

    def __init__(self, model: RobertaModel, adapter: Adapter) -> None:
        super().__init__()
        self.model, self.adapter = model.requires_grad_(False), adapter

    def forward(self, ids: Tensor) -> Tensor:
        """Map tokens, (B, T), to features, (B, T, W)."""
        states = self.model(input_ids=ids, output_hidden_states=True).hidden_states
        return self.adapter(HiddenStates(dict(enumerate(states)), torch.ones_like(ids, dtype=torch.bool)))


def measure(quick: bool) -> dict[str, Any]:
    """Measure one way after another."""
    shape = replace(QUICK, tokens=64) if quick else Shape(batch=32, repetitions=3)
    options = {"shape": shape.said(), "vocabulary": 1000 if quick else 50265}
    found = {way: in_process(__name__, {**options, "way": way}, apart=not quick)["memory_mb"] for way in WAYS}
    rows = {way: {"memory_mb": round(mb), "ratio": round(mb / found[PUBLISHED], 3)} for way, mb in found.items()}
    return {"setting": options, "rows": rows, "drawn": "memory_mb"}


def measured(way: str, shape: Mapping[str, int], vocabulary: int) -> dict[str, float]:
    """Give the peak of a few steps, the making of the model included."""
    made = Shape(**shape)
    torch.set_num_threads(made.threads)
    with PeakMemory() as memory:
        run = step_of(way, made, vocabulary)
        with torch.autocast("cpu", torch.bfloat16) if "bfloat16" in way else nullcontext():
            for _ in range(made.repetitions):
                run()
    return {"memory_mb": memory.peak / 1e6}


def step_of(way: str, shape: Shape, vocabulary: int) -> Callable[[], object]:
    """Give a step of training in one of the ways."""
    backbone = Backbone(roberta(shape, vocabulary), tiny_tokenizer())
    if way == PUBLISHED:
        return published_step(backbone, sized(WAYS[way], shape), shape.ids())
    model = KnowledgeModel(backbone)
    if WAYS[way]:
        model.plug("it", sized(WAYS[way], shape))
        model.recompose(model.usual_composition("concat"))
    else:
        backbone.thaw()
    return step(model, shape.ids()[:, : shape.tokens * 3 // 4])


def sized(options: Mapping[str, Any], shape: Shape) -> Mapping[str, Any]:
    """Give the options of an adapter, in the paper's proportions if it is the paper's."""
    if options is not PAPER:
        return options
    return {**PAPER, "width": shape.width, "heads": max(shape.width // 64, 1), "intermediate": 4 * shape.width}


def roberta(shape: Shape, vocabulary: int) -> RobertaModel:
    """Give a random model, in evaluation mode."""
    config = RobertaConfig(
        vocab_size=vocabulary,
        num_hidden_layers=shape.layers,
        hidden_size=shape.width,
        num_attention_heads=max(shape.width // 64, 1),
        intermediate_size=4 * shape.width,
    )
    return RobertaModel(config).eval()


def published_step(backbone: Backbone, options: Mapping[str, Any], ids: Tensor) -> Callable[[], object]:
    """Give a step of the published recipe, on the mean of the features."""
    model = Published(backbone.model, build_adapter(options, backbone.info))
    optimizer = torch.optim.AdamW(model.adapter.parameters(), lr=1e-4)

    def run() -> None:
        model(ids).mean().backward()
        nn.utils.clip_grad_norm_(model.adapter.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()

    return run
