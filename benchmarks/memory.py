"""Peak memory of pretraining a k-adapter, as a ratio to the published recipe; and of full fine-tuning.

The published recipe (`published.py`) pads to 64 tokens. The others pad to the longest of their sentences, here 48, and
keep the states that the adapter reads. A random model of RoBERTa-base's shape, 32 sentences, AdamW; weights, gradients
and optimizer included. Each in a process of its own.
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
from benchmarks.published import BATCH, CLIP, PublishedAdapter, all_states, published_reads
from benchmarks.reporting import in_process
from kadapter import Backbone, KnowledgeModel
from kadapter.memory import PeakMemory
from kadapter.testing import tiny_tokenizer

PAPER = {"type": "k-adapter", "preset": "paper"}
PUBLISHED = "published recipe"
WAYS: dict[str, Mapping[str, Any]] = {
    PUBLISHED: {},
    "adapter of the paper": PAPER,
    "default k-adapter": {"type": "k-adapter"},
    "default k-adapter, bfloat16": {"type": "k-adapter"},
    "full fine-tuning": {},
}


def measure(quick: bool) -> dict[str, Any]:
    """Measure one way after another."""
    shape = replace(QUICK, tokens=64) if quick else Shape(batch=BATCH, repetitions=3)
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
    if way == PUBLISHED:
        return published_step(roberta(shape, vocabulary), shape.ids())
    backbone = Backbone(roberta(shape, vocabulary), tiny_tokenizer())
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


def published_step(model: RobertaModel, ids: Tensor) -> Callable[[], object]:
    """Give a step of the published recipe, on the mean of the scores."""
    config = model.requires_grad_(False).config
    reads = published_reads(config.num_hidden_layers)
    adapter = PublishedAdapter(config.hidden_size, config.num_attention_heads, config.intermediate_size, reads)
    optimizer, mask = torch.optim.AdamW(adapter.parameters(), lr=1e-4, foreach=False), torch.ones_like(ids)

    def run() -> None:
        states = all_states(model, {"input_ids": ids, "attention_mask": mask})
        adapter(states, states[max(states)], mask.bool()).mean().backward()
        nn.utils.clip_grad_norm_(adapter.parameters(), CLIP)
        optimizer.step()
        optimizer.zero_grad()

    return run
