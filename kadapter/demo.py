"""The main job, start to end: pretrain knowledge, plug it in, measure it beside controls, unplug it, keep it."""

from __future__ import annotations

from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

from kadapter.comparison import compare
from kadapter.data import load_knowledge
from kadapter.model import KnowledgeModel
from kadapter.recipe import Recipe
from kadapter.training import pretrain

ROWS = {
    "backbone": "frozen backbone alone",
    "random": "with a random adapter",
    "adapter": "with the trained adapter",
}
SPLITS = {
    "test": "facts never seen, in words never seen",
    "known": "facts taught, in words never seen",
}


def demo_recipe() -> Recipe:
    """Give the recipe of the demo, `demo.yaml` beside this module."""
    with as_file(files("kadapter") / "demo.yaml") as path:
        return Recipe.load(path)


def run_demo(output: Path, recipe: Recipe, console: Console) -> dict[str, Any]:
    """Do the main job, saying what is done, and give the report of `kadapter.compare`.

    What was finished before in `output` is not done again.

    Args:
        output: folder of the adapter (under the recipe's name) and of its controls.
        recipe: of the adapter; its source must have the splits `test` and `known`.
        console: where to say it.
    """
    adapter, seed = output / recipe.name, recipe.training.seed
    _say_knowledge(console, recipe)
    console.rule(f"2  Pretrain an adapter beside the frozen backbone '{recipe.backbone}'", align="left")
    run = pretrain(recipe, adapter, resume=(adapter / "recipe.yaml").exists())
    trained, frozen = run.result["trained_parameters"], run.result["backbone_parameters"]
    console.print(f"{trained:,} parameters trained in {run.result['seconds']:.0f} s; {frozen:,} stay as they are.")
    console.rule("3  Train the controls: the same head and steps, without the knowledge", align="left")
    report = compare(recipe, output / "controls", (seed,), tuple(ROWS), tuple(SPLITS), {("adapter", seed): adapter})
    console.rule("4  Measure", align="left")
    console.print(_table(report))
    _say_plugging(console, recipe, adapter)
    _say_reuse(console, recipe, adapter)
    return report


def _say_knowledge(console: Console, recipe: Recipe) -> None:
    knowledge = load_knowledge(recipe.source)
    console.rule(f"1  Knowledge: '{recipe.source['name']}', {knowledge.licence}", align="left")
    sizes = ", ".join(f"{len(rows):,} {name}" for name, rows in knowledge.splits.items())
    console.print(f"Sentences: {sizes}. Half are false and must be told from the true ones:")
    for row in knowledge.splits["train"].shuffle(seed=0).select(range(4)):
        console.print(f"  {row['text']}  [dim]→ {row['relation']}[/dim]", highlight=False)


def _table(report: dict[str, Any]) -> Table:
    metric = "accuracy"
    table = Table("accuracy, %", *SPLITS.values())
    for row, label in ROWS.items():
        scores = report["rows"][row]["scores"]
        table.add_row(label, *(f"{100 * scores[split][metric]['mean']:.1f}" for split in SPLITS))
    return table


def _say_plugging(console: Console, recipe: Recipe, adapter: Path) -> None:
    """Plug in and unplug, and compare states bit for bit."""
    console.rule("5  Plug in, unplug", align="left")
    model = KnowledgeModel.from_pretrained(recipe.backbone)
    tokens = model.backbone.tokenizer("Vienna is the capital of Austria.", return_tensors="pt")
    with torch.no_grad():
        bare = model(**tokens).last_hidden_state
        model.plug(recipe.name, adapter)
        plugged = model(**tokens)
        model.unplug(recipe.name)
        again = model(**tokens).last_hidden_state
    console.print(f"plugged:   features of '{recipe.name}' {tuple(plugged.features[recipe.name].shape)}")
    console.print(f"beside it: the backbone's own state is the same, bit for bit: {_same(plugged, bare)}")
    console.print(f"unplugged: the bare backbone is back, bit for bit: {torch.equal(again, bare)}")


def _same(output: Any, bare: torch.Tensor) -> bool:
    return torch.equal(output.backbone_hidden_state, bare)


def _say_reuse(console: Console, recipe: Recipe, adapter: Path) -> None:
    console.rule("6  Keep", align="left")
    size = sum(path.stat().st_size for path in adapter.glob("*.safetensors")) / 1e6
    console.print(f"{adapter} holds weights ({size:.0f} MB), config, card and recipe. Use it again:", soft_wrap=True)
    call = f'KnowledgeModel.from_pretrained("{recipe.backbone}", adapters=["{adapter}"])'
    console.print(f"  from kadapter import KnowledgeModel\n  model = {call}", soft_wrap=True, highlight=False)
    console.print(f"  kadapter inspect {adapter}", soft_wrap=True, highlight=False)
