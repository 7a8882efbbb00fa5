"""What dropping the lowest layers saves: a step of training, and a pass for several tasks at once.

A random model of BERT-base's shape, 8 sentences of 64 tokens, float32; medians of interleaved rounds. Steps (forward,
backward, AdamW) are ratios to full fine-tuning. Passes for T tasks at once are beside the same one after another, and
beside what arithmetic allows: the shared layers once, the others T times, each at what it costs for one task.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch

from benchmarks.models import QUICK, Shape, bert_backbone, forward, fully_tuned, plugged, step
from benchmarks.reporting import ratios
from kadapter import Backbone, Together

DROPPED = (0, 3, 5, 8)
TASKS = (2, 4, 8)


def measure(quick: bool) -> dict[str, Any]:
    """Time every row in turn, over and over."""
    shape = replace(QUICK, layers=9) if quick else Shape(repetitions=6)
    tokens = shape.ids()
    tasks = TASKS[:1] if quick else TASKS
    seconds = shape.timed({**step_rows(tokens, shape), **task_rows(bert_backbone(shape), tokens, tasks)})
    limits = {"at once, to the limit of arithmetic": against_limits(seconds, shape.layers, tasks)}
    return {"setting": {**shape.said(), **limits}, "rows": ratios(seconds, "step, full fine-tuning")}


def without(dropped: int) -> dict[str, object]:
    """Give the options of an adapter whose lowest layers are dropped."""
    return {"type": "drop", "inner": {"type": "standard", "size": 64}, "layers": dropped}


def step_rows(tokens: torch.Tensor, shape: Shape) -> dict[str, Callable[[], object]]:
    """Give a step of training for each number of layers, and for full fine-tuning."""
    backbone = bert_backbone(shape)
    rows = {f"step, {n} dropped": step(plugged(backbone, without(n)), tokens) for n in DROPPED}
    return {**rows, "step, full fine-tuning": step(fully_tuned(shape), tokens)}


def task_rows(backbone: Backbone, tokens: torch.Tensor, tasks: Sequence[int]) -> dict[str, Callable[[], object]]:
    """Give passes for one task, and for several at once and one after another."""
    rows: dict[str, Callable[[], object]] = {"pass, bare backbone": forward(backbone.model, tokens)}
    for dropped in DROPPED:
        models = {f"task-{number}": plugged(backbone, without(dropped), number) for number in range(max(tasks))}
        rows[f"pass, {dropped} dropped"] = forward(models["task-0"], tokens)
        for count in tasks if dropped in (0, 5) else ():
            some = Together(dict(list(models.items())[:count]))
            rows[f"{count} tasks, {dropped} dropped, at once"] = forward(some, tokens)
            rows[f"{count} tasks, {dropped} dropped, one after another"] = in_turn(some, tokens)
    return rows


def in_turn(together: Together, tokens: torch.Tensor) -> Callable[[], object]:
    """Give a pass of each model by itself."""

    def run() -> object:
        with torch.no_grad():
            return [model(input_ids=tokens) for model in together.by_name().values()]

    return run


def against_limits(seconds: Mapping[str, float], layers: int, tasks: Sequence[int]) -> dict[str, float]:
    """Give the cost of each row "at once" as a ratio to that of the shared layers once and the others T times."""
    found = {}
    for count in tasks:
        for dropped in (0, 5):
            shared = seconds["pass, bare backbone"] * dropped / layers
            limit = shared + count * (seconds[f"pass, {dropped} dropped"] - shared)
            row = f"{count} tasks, {dropped} dropped"
            found[row] = round(seconds[f"{row}, at once"] / limit, 3)
    return found
