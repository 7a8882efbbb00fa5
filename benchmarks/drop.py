"""What dropping the lowest layers saves: a step of training, and a pass for several tasks at once.

    python benchmarks/drop.py --output benchmarks/results/drop.json

A random model of BERT-base's shape, 8 sentences of 64 tokens, float32; medians of interleaved rounds. Steps (forward,
backward, AdamW) are ratios to full fine-tuning. Passes for T tasks at once are beside the same one after another, and
beside what arithmetic allows: the shared layers once, the others T times, each at what it costs for one task.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated

import torch
import typer
from models import bert_backbone, forward, plugged, step, whole
from timing import report

from kadapter import Backbone, Together
from kadapter.timing import interleaved

DROPPED = (0, 3, 5, 8)
TASKS = (2, 4, 8)


def main(
    output: Annotated[Path | None, typer.Option(help="JSON file to write.")] = None,
    repetitions: Annotated[int, typer.Option(help="Rounds.")] = 6,
    layers: Annotated[int, typer.Option(help="Of the backbone.")] = 12,
) -> None:
    """Measure every row in turn, over and over; print and write seconds and ratios."""
    torch.set_num_threads(2)
    tokens = torch.randint(5, 100, (8, 64))
    shared = bert_backbone(layers)
    rows = {**step_rows(tokens, layers), **task_rows(shared, tokens)}
    seconds = interleaved(rows, repetitions, warm_up=1)
    setting = {"batch": 8, "tokens": 64, "layers": layers, "width": 768, "repetitions": repetitions}
    limits = {"at once, to the limit of arithmetic": against_limits(seconds, layers)}
    report({**setting, **limits}, seconds, "step, full fine-tuning", output)


def without(dropped: int) -> dict[str, object]:
    """Give the options of an adapter whose lowest layers are dropped."""
    return {"type": "drop", "inner": {"type": "standard", "size": 64}, "layers": dropped}


def step_rows(tokens: torch.Tensor, layers: int) -> dict[str, Callable[[], object]]:
    """Give a step of training for each number of layers, and for full fine-tuning."""
    backbone = bert_backbone(layers)
    rows = {f"step, {n} dropped": step(plugged(backbone, without(n)), tokens) for n in DROPPED}
    return {**rows, "step, full fine-tuning": step(whole(layers), tokens)}


def task_rows(backbone: Backbone, tokens: torch.Tensor) -> dict[str, Callable[[], object]]:
    """Give passes for one task, and for several at once and one after another."""
    rows: dict[str, Callable[[], object]] = {"pass, bare backbone": forward(backbone.model, tokens)}
    for dropped in DROPPED:
        models = {f"task-{number}": plugged(backbone, without(dropped), number) for number in range(max(TASKS))}
        rows[f"pass, {dropped} dropped"] = forward(models["task-0"], tokens)
        for count in TASKS if dropped in (0, 5) else ():
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


def against_limits(seconds: Mapping[str, float], layers: int) -> dict[str, float]:
    """Give the cost of each row "at once" as a ratio to that of the shared layers once and the others T times."""
    found = {}
    for count in TASKS:
        for dropped in (0, 5):
            shared = seconds["pass, bare backbone"] * dropped / layers
            limit = shared + count * (seconds[f"pass, {dropped} dropped"] - shared)
            row = f"{count} tasks, {dropped} dropped"
            found[row] = round(seconds[f"{row}, at once"] / limit, 3)
    return found


if __name__ == "__main__":
    typer.run(main)
