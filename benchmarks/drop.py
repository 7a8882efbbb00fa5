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
from timing import report
from transformers import BertConfig, BertModel

from kadapter import Backbone, KnowledgeModel, Together
from kadapter.testing import fill_randomly, tiny_tokenizer
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
    shared = Backbone(bert(layers), tiny_tokenizer())
    rows = {**step_rows(tokens, layers), **task_rows(shared, tokens)}
    seconds = interleaved(rows, repetitions, warm_up=1)
    setting = {"batch": 8, "tokens": 64, "layers": layers, "width": 768, "repetitions": repetitions}
    limits = {"at once, to the limit of arithmetic": against_limits(seconds, layers)}
    report({**setting, **limits}, seconds, "step, full fine-tuning", output)


def bert(layers: int) -> BertModel:
    """Give a random model of BERT-base's shape."""
    return BertModel(BertConfig(vocab_size=1000, num_hidden_layers=layers)).eval()


def plugged(backbone: Backbone, dropped: int, seed: int = 0) -> KnowledgeModel:
    """Give a model with one standard adapter whose lowest layers are dropped."""
    model = KnowledgeModel(backbone)
    model.plug("it", {"type": "drop", "inner": {"type": "standard", "size": 64}, "layers": dropped})
    fill_randomly(model.adapters, seed)
    model.recompose(model.usual_composition("sum"))
    return model.eval()


def step_rows(tokens: torch.Tensor, layers: int) -> dict[str, Callable[[], object]]:
    """Give a step of training for each number of layers, and for full fine-tuning."""
    backbone = Backbone(bert(layers), tiny_tokenizer())
    rows = {f"step, {n} dropped": step(plugged(backbone, n), tokens) for n in DROPPED}
    whole = KnowledgeModel(Backbone(bert(layers), tiny_tokenizer()))
    whole.backbone.thaw()
    return {**rows, "step, full fine-tuning": step(whole, tokens)}


def step(model: KnowledgeModel, tokens: torch.Tensor) -> Callable[[], object]:
    """Give a step of training on the mean of the last state."""
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-4)

    def run() -> None:
        model.train()
        model(input_ids=tokens).last_hidden_state.mean().backward()
        optimizer.step()
        optimizer.zero_grad()

    return run


def task_rows(backbone: Backbone, tokens: torch.Tensor) -> dict[str, Callable[[], object]]:
    """Give passes for one task, and for several at once and one after another."""
    rows: dict[str, Callable[[], object]] = {"pass, bare backbone": without_gradient(backbone.model, tokens)}
    for dropped in DROPPED:
        models = {f"task-{number}": plugged(backbone, dropped, number) for number in range(max(TASKS))}
        rows[f"pass, {dropped} dropped"] = without_gradient(models["task-0"], tokens)
        for count in TASKS if dropped in (0, 5) else ():
            some = Together(dict(list(models.items())[:count]))
            rows[f"{count} tasks, {dropped} dropped, at once"] = without_gradient(some, tokens)
            rows[f"{count} tasks, {dropped} dropped, one after another"] = in_turn(some, tokens)
    return rows


def without_gradient(model: torch.nn.Module, tokens: torch.Tensor) -> Callable[[], object]:
    """Give a pass."""

    def run() -> object:
        with torch.no_grad():
            return model(input_ids=tokens)

    return run


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
