"""Capitals put into SmolLM2 by a k-adapter and by its controls: what is known in phrasings that were not taught.

    python -m benchmarks.facts --data FOLDER --output benchmarks/results

FOLDER holds Re-DocRED, CosmosQA and PIQA as published (see `benchmarks.passages`). All rows are taught the same, recipe
`recipes/facts.yaml`; slow ones take fewer steps, and so does one more row of the adapter. Beside the score of the facts
stand those of other facts of the same countries, and the perplexity of passages that have nothing to do with them. With
`--quick` on a tiny random model.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from statistics import mean
from typing import Any

import torch
import yaml

from benchmarks.injecting import Domain, Lessons, Remembered, accuracy, domains, perplexity, said, teach
from benchmarks.passages import Passages, passages
from benchmarks.reporting import whole, write
from kadapter import Backbone, KnowledgeModel, load_backbone, save_adapter
from kadapter.storage import random_options
from kadapter.testing import tiny_backbone

RECIPE = Path(__file__).parent / "recipes/facts.yaml"
ABOUT, BESIDE = "capital", ("continent", "currency", "language")
RATES = {"lora": 1e-3, "standard": 1e-3, "full": 5e-5}
SLOW = ("standard", "lora", "full")
"""Rows whose every step goes through the whole backbone, forth and back."""
BRIEF = ("adapter, brief", *SLOW)
"""Rows that take fewer steps."""
ROWS = ("adapter", "random", *BRIEF)

Report = dict[str, Any]


class Experiment:
    """What all rows have in common.

    Attributes:
        recipe: the whole of it.
        domains: relation -> its facts.
        passages: that nothing is taught of.
        backbone: gives a fresh one.
        teacher: the states of one that stays as it is.
    """

    def __init__(
        self, recipe: Mapping[str, Any], texts: Passages, backbone: Callable[[], Backbone], countries: int
    ) -> None:
        self.recipe, self.passages, self.backbone = recipe, texts, backbone
        self.domains = domains(recipe, countries)
        self.teacher = Remembered(backbone(), recipe["adapter"]["reads"])

    def lessons(self, domain: Domain, **settings: Any) -> Lessons:
        """Give what is taught of a domain, and what is held."""
        subjects = [subject for subject, _ in domain.facts]
        near = [said(phrasing, subject) for phrasing in self.recipe["near"] for subject in subjects]
        settings = {**self.recipe["training"], **settings}
        tokenizer = self.teacher.backbone.tokenizer
        return Lessons(tokenizer, settings, domain.clozes(domain.taught), near, self.passages.holding)

    def beside(self, options: Mapping[str, Any], name: str = "facts") -> KnowledgeModel:
        """Give a model with a fresh adapter that only reads, beside a frozen backbone whose states are remembered."""
        model = KnowledgeModel(self.teacher.backbone)
        model.plug(name, dict(options)).requires_grad_(True)
        model.clean = self.teacher
        return model

    def scores(self, model: KnowledgeModel) -> Report:
        """Give everything that is measured of a model."""
        about = self.domains[ABOUT]
        each = {phrasing: accuracy(model, about.clozes([phrasing]), about.objects) for phrasing in about.held_out}
        return {
            "held_out": mean(each.values()),
            "taught": accuracy(model, about.clozes(about.taught[::12]), about.objects),
            "each": each,
            "beside": {name: self.score(model, self.domains[name]) for name in BESIDE},
            "perplexity": {name: perplexity(model, texts) for name, texts in self.passages.unseen.items()},
        }

    def score(self, model: KnowledgeModel, domain: Domain, phrasings: int = 2) -> float:
        """Give the accuracy on a domain in some of its held-out phrasings."""
        return accuracy(model, domain.clozes(domain.held_out[:phrasings]), domain.objects)


def bare(experiment: Experiment) -> KnowledgeModel:
    """Give the backbone with nothing plugged."""
    model = KnowledgeModel(experiment.teacher.backbone)
    model.clean = experiment.teacher
    return model.eval()


def fresh(experiment: Experiment, row: str) -> KnowledgeModel:
    """Give the model of a row before its first step."""
    if row.startswith("adapter"):
        return experiment.beside(experiment.recipe["adapter"])
    if row == "random":
        # As everywhere: its layers stay random, and what reads them is trained.
        control = experiment.beside(random_options(experiment.recipe["adapter"]))
        control.adapters["facts"].get_submodule("layers").requires_grad_(False)
        return control
    model = KnowledgeModel(experiment.backbone())
    if row == "standard":
        model.plug("facts", {"type": "standard", "preset": "pfeiffer"})
        model.recompose({"name": "alone"})
    elif row == "full":
        model.backbone.thaw()
    else:
        _lora(model.backbone)
    return model


def _lora(backbone: Backbone) -> None:
    """Put LoRA of rank 8 into all of a backbone's linear layers."""
    from peft import LoraConfig, inject_adapter_in_model

    backbone.thaw()
    inject_adapter_in_model(LoraConfig(r=8, lora_alpha=16, target_modules="all-linear"), backbone.model)
    for name, parameter in backbone.model.named_parameters():
        parameter.requires_grad_("lora_" in name)


def run(experiment: Experiment, row: str, seed: int, saved: Path | None = None) -> Report:
    """Teach one row from one seed, and score it; its adapter, if it has one, is saved in a folder of that one."""
    torch.manual_seed(seed)
    started, model = time.perf_counter(), fresh(experiment, row)
    given = {"learning_rate": RATES[row]} if row in RATES else {}
    if row in BRIEF:
        given["steps"] = experiment.recipe["training"]["brief"]
    teach(model, experiment.teacher, experiment.lessons(experiment.domains[ABOUT], **given), seed)
    seconds = time.perf_counter() - started
    for adapter in model.by_name().values() if saved else ():
        save_adapter(saved / f"{row.replace(', ', '-')}-{seed}", adapter, "facts")
    trained = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
    return {**experiment.scores(model), "trained_parameters": trained, "seconds": round(seconds)}


def measure(
    experiment: Experiment, rows: Mapping[str, int], known: Mapping[str, Any], saved: Path | None
) -> Iterator[Report]:
    """Give the report, again after each seed: as many of each row as are said; what is known already stays."""
    found: dict[str, list[Report]] = {name: list(its["seeds"]) for name, its in known.items()}
    if not found:
        found["backbone"] = [experiment.scores(bare(experiment))]
    first = found["backbone"][0]["perplexity"]
    for row, seeds in rows.items():
        its = found.setdefault(row, [])
        for seed in range(len(its), seeds):
            its.append(run(experiment, row, seed, saved))
            yield report_of(experiment.recipe, found, first)


def report_of(recipe: Mapping[str, Any], rows: Mapping[str, Sequence[Report]], first: Mapping[str, float]) -> Report:
    """Put a report together of what was measured of each row, by seed."""
    return {
        "setting": dict(recipe),
        "rows": {name: {"seeds": seeds, **summary(seeds, first)} for name, seeds in rows.items()},
    }


def known_rows(file: Path, recipe: Mapping[str, Any]) -> Mapping[str, Any]:
    """Give the rows of an earlier report, which must have been made with the same recipe."""
    if not file.exists():
        return {}
    report = json.loads(file.read_text(encoding="utf-8"))
    if report["setting"] != recipe:
        raise SystemExit(f"{file} was made with another recipe; move it away, or choose another --output")
    return report["rows"]


def summary(seeds: Sequence[Report], first: Mapping[str, float]) -> Report:
    """Give means over seeds; of perplexity, how much it changed, in percent."""
    changes = {name: mean(100 * (s["perplexity"][name] / was - 1) for s in seeds) for name, was in first.items()}
    return {
        "held_out": mean(s["held_out"] for s in seeds),
        "taught": mean(s["taught"] for s in seeds),
        "beside": {name: mean(s["beside"][name] for s in seeds) for name in seeds[0]["beside"]},
        "perplexity_change": changes,
    }


def table(report: Report) -> str:
    """Say the report as Markdown."""
    rows = report["rows"]
    beside, texts = list(rows["backbone"]["beside"]), list(rows["backbone"]["perplexity_change"])
    heads = ["row", "seeds", "held out", "taught", *beside, *(f"perplexity, {name}" for name in texts)]
    lines = ["| " + " | ".join(heads) + " |", "|---" + "|--:" * (len(heads) - 1) + "|"]
    for name, its in rows.items():
        held = [seed["held_out"] for seed in its["seeds"]]
        spread = f" ({min(held):.1f} to {max(held):.1f})" if len(held) > 1 else ""
        figures = [f"{its['held_out']:.1f}{spread}", f"{its['taught']:.1f}"]
        figures += [f"{its['beside'][other]:.1f}" for other in beside]
        figures += [f"{its['perplexity_change'][text]:+.2f} %" for text in texts]
        lines.append("| " + " | ".join([name, str(len(held)), *figures]) + " |")
    return "\n".join(lines) + "\n"


def draw(report: Report, path: Path) -> None:
    """Draw what each row knows against what it disturbed."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.subplots()
    for name, its in report["rows"].items():
        change = mean(its["perplexity_change"].values())
        axes.scatter(change, its["held_out"], s=40)
        axes.annotate(name, (change, its["held_out"]), textcoords="offset points", xytext=(6, 4))
    axes.axhline(70, color="grey", lw=0.5)
    axes.axvline(1, color="grey", lw=0.5)
    axes.set(xlabel="change of perplexity on other passages (%)", ylabel="capitals known in held-out phrasings (%)")
    axes.set_xscale("symlog", linthresh=1)
    figure.savefig(path, dpi=120)


def experiment_of(data: Path | None, quick: bool, recipe: Path = RECIPE) -> Experiment:
    """Put an experiment together; a quick one is tiny."""
    said_so = yaml.safe_load(recipe.read_text(encoding="utf-8"))
    if not quick:
        return Experiment(said_so, passages(data), partial(load_backbone, said_so["backbone"]), 188)
    tiny = {"steps": 2, "brief": 1, "facts": 4, "near": 2, "texts": 1, "tokens": 16}
    adapter = {**said_so["adapter"], "reads": [1], "transformer_layers": 1}
    said_so |= {"backbone": "tiny-llama", "adapter": adapter, "training": {**said_so["training"], **tiny}}
    return Experiment(said_so, passages(None), partial(tiny_backbone, "llama"), 5)


def options(about: str | None) -> argparse.ArgumentParser:
    """Give what both experiments may be told."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder with redocred, cosmosqa and piqa")
    parser.add_argument("--output", type=Path, required=True, help="folder for the report")
    parser.add_argument("--quick", action="store_true", help="a tiny random model: whether it runs")
    return parser


def main() -> None:
    """Measure, and write a report, a table and a plot."""
    parser = options(__doc__)
    parser.add_argument("--seeds", type=int, help="of each row; what the report has stays (default 3, slow rows 1)")
    parser.add_argument("--row", action="append", choices=ROWS, help="only these, others stay; repeatable")
    parser.add_argument("--save", type=Path, help="folder for the adapters, each in a folder ROW-SEED of its own")
    given = parser.parse_args()
    rows = {row: given.seeds or (1 if row in SLOW else 3) for row in given.row or ROWS}
    experiment, name = experiment_of(given.data, given.quick), "facts-quick" if given.quick else "facts"
    known = known_rows(given.output / f"{name}.json", experiment.recipe)
    for report in measure(experiment, rows, known, given.save):
        write(whole(lambda made=report: made), given.output, name, draw, table(report))
        print(table(report))


if __name__ == "__main__":
    main()
