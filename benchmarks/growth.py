"""Time and memory of training as sequences, batches, adapters and examples grow, beside the growth of the arithmetic.

A step trains k-adapters on a frozen random model of BERT-base's shape (8 sentences of 64 tokens, one adapter, float32,
AdamW, unless it is that which grows); its arithmetic is counted by torch. Examples: a whole `pretrain` of one epoch on
a tiny backbone, where nothing but our own work takes time. Peak memory is measured in a process of its own each.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.models import QUICK, Shape, bert_backbone, step
from benchmarks.reporting import in_process
from kadapter import KnowledgeModel, Recipe, pretrain
from kadapter.memory import PeakMemory
from kadapter.testing import save_tiny_backbone, tiny_facts

AXES = {"tokens": (32, 128, 512), "batch": (1, 8, 32), "adapters": (1, 2, 8)}
PAIRS = (50, 200, 800)
"""Facts for each relation of the training on examples."""


def measure(quick: bool) -> dict[str, Any]:
    """Let one thing grow after another."""
    shape = QUICK if quick else Shape(repetitions=2)
    rows: dict[str, dict[str, float]] = {}
    for axis, values in AXES.items():
        rows |= beside_arithmetic(axis, steps(shape, axis, values[:2] if quick else values, apart=not quick))
    rows |= beside_arithmetic("examples", epochs((10,) if quick else PAIRS, apart=not quick))
    return {"setting": shape.said(), "rows": rows}


def steps(shape: Shape, axis: str, values: tuple[int, ...], apart: bool) -> dict[int, dict[str, float]]:
    """Give seconds, megabytes and operations of a step at each value of one axis."""
    made = {value: step_of(shape, axis, value) for value in values}
    operations = {value: counted(run) for value, run in made.items()}
    seconds = shape.timed({str(value): run for value, run in made.items()})
    found = {}
    for value in values:
        memory = in_process(__name__, {"shape": shape.said(), "axis": axis, "value": value}, apart)
        found[value] = {"seconds": seconds[str(value)], **memory, "arithmetic": operations[value]}
    return found


def step_of(shape: Shape, axis: str, value: int) -> Callable[[], object]:
    """Give a step of training in which one thing has another size."""
    sized = shape if axis == "adapters" else replace(shape, **{axis: value})
    model = KnowledgeModel(bert_backbone(sized))
    for number in range(value if axis == "adapters" else 1):
        model.plug(f"adapter-{number}", {"type": "k-adapter"})
    model.recompose(model.usual_composition("concat"))
    return step(model, sized.ids())


def counted(run: Callable[[], object]) -> int:
    """Count the floating-point operations of a run, those of attention too."""
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        run()
    return counter.get_total_flops()


def measured(
    shape: Mapping[str, int] | None = None, axis: str = "", value: int = 0, pairs: int = 0
) -> dict[str, float]:
    """Give the peak memory of a few steps, or time and peak memory of a training on examples."""
    if pairs:
        return epoch(pairs)
    with PeakMemory() as memory:
        run = step_of(Shape(**(shape or {})), axis, value)
        for _ in range(3):
            run()
    return {"memory_mb": memory.peak / 1e6}


def epochs(all_pairs: tuple[int, ...], apart: bool) -> dict[int, dict[str, float]]:
    """Give seconds and megabytes of a training of one epoch, by number of examples, which is its arithmetic."""
    found = [in_process(__name__, {"pairs": pairs}, apart) for pairs in all_pairs]
    return {int(row["arithmetic"]): row for row in found}


def epoch(pairs: int) -> dict[str, float]:
    """Pretrain for an epoch on a tiny backbone."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        (folder / "facts.json").write_text(json.dumps(tiny_facts(pairs)))
        recipe = Recipe.from_dict(
            {
                "name": "facts",
                "backbone": str(save_tiny_backbone("llama", folder / "backbone")),
                "source": {"name": "fewrel", "path": str(folder / "facts.json")},
                "task": {"name": "relation-classification"},
                "adapter": {"type": "k-adapter"},
                "training": {"epochs": 1},
            }
        )
        started = time.perf_counter()
        with PeakMemory() as memory:
            run = pretrain(recipe, folder / "run")
        seconds = time.perf_counter() - started
    examples = run.result["data"]["splits"]["train"]["examples"]
    return {"seconds": seconds, "memory_mb": memory.peak / 1e6, "arithmetic": examples}


def beside_arithmetic(axis: str, found: Mapping[int, Mapping[str, float]]) -> dict[str, dict[str, float]]:
    """Say how many times as much each takes as the first one, for each time that the arithmetic grew."""
    first = next(iter(found.values()))
    rows = {}
    for value, figures in found.items():
        grown = figures["arithmetic"] / first["arithmetic"]
        shares = {f"{what}_to_arithmetic": figures[what] / first[what] / grown for what in ("seconds", "memory_mb")}
        rows[f"{axis} {value}"] = {"at": value, **{k: float(f"{v:.4g}") for k, v in {**figures, **shares}.items()}}
    return rows


def draw(report: Mapping[str, Any], path: Path) -> None:
    """Draw time and memory of each axis, and what they would be if they grew as the arithmetic does."""
    from matplotlib.figure import Figure

    axes = [*AXES, "examples"]
    figure = Figure(figsize=(3 * len(axes), 5), layout="constrained")
    for column, axis in enumerate(axes):
        rows = [figures for row, figures in report["rows"].items() if row.startswith(f"{axis} ")]
        at = [row["at"] for row in rows]
        for line, what in enumerate(("seconds", "memory_mb")):
            panel = figure.add_subplot(2, len(axes), line * len(axes) + column + 1)
            as_arithmetic = [rows[0][what] * row["arithmetic"] / rows[0]["arithmetic"] for row in rows]
            panel.loglog(at, [row[what] for row in rows], marker="o", label="measured")
            panel.loglog(at, as_arithmetic, "k--", label="as its arithmetic")
            panel.set(xlabel=axis, ylabel=what.replace("_", " "))
    figure.axes[0].legend()
    figure.savefig(path, dpi=120)
