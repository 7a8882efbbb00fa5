"""Five kinds of knowledge added one after another: in an adapter each, and into one model that is fine-tuned on.

    python -m benchmarks.forgetting --data FOLDER --output benchmarks/results

After each domain, all that were taught so far are asked in held-out phrasings, with all adapters plugged that there
are; what each knows by itself cannot change, and stands beside. Recipe `recipes/facts.yaml`, its domains in order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from benchmarks.facts import Experiment, Report, bare, experiment_of, known_rows, options
from benchmarks.injecting import perplexity, teach
from benchmarks.reporting import whole, write
from kadapter import KnowledgeModel

Curve = dict[str, list[float]]
"""Domain -> its score after each domain that was added, from its own on."""


def plugged(experiment: Experiment, steps: int) -> Report:
    """Teach an adapter for each domain beside the bare backbone, and ask with all plugged that there are."""
    together = bare(experiment)
    curve: Curve = {}
    alone: dict[str, float] = {}
    costs = []
    for name, domain in experiment.domains.items():
        torch.manual_seed(0)
        model = experiment.beside(experiment.recipe["adapter"], name)
        teach(model, experiment.teacher, experiment.lessons(domain), 0, steps)
        alone[name] = experiment.score(model, domain)
        together.plug(name, model.adapters[name])  # type: ignore[arg-type]
        _ask(experiment, curve, name, together)
        costs.append(_cost(experiment, together))
    return {"scores": curve, "alone": alone, "perplexity": costs}


def _ask(experiment: Experiment, curve: Curve, added: str, model: KnowledgeModel) -> None:
    curve[added] = []
    for name, scores in curve.items():
        scores.append(experiment.score(model, experiment.domains[name]))


def _cost(experiment: Experiment, model: KnowledgeModel) -> dict[str, float]:
    return {name: perplexity(model, texts) for name, texts in experiment.passages.unseen.items()}


def fine_tuned(experiment: Experiment, steps: int, rate: float = 5e-5) -> Report:
    """Train one whole model on domain after domain; what it was is held on the same passages, as the adapters' is."""
    model = KnowledgeModel(experiment.backbone())
    model.backbone.thaw()
    curve: Curve = {}
    costs = []
    for name, domain in experiment.domains.items():
        teach(model, experiment.teacher, experiment.lessons(domain, learning_rate=rate), 0, steps)
        _ask(experiment, curve, name, model)
        costs.append(_cost(experiment, model))
    return {"scores": curve, "perplexity": costs}


ROWS: dict[str, Callable[[Experiment, int], Report]] = {"adapters": plugged, "fine-tuning": fine_tuned}


def measure(
    experiment: Experiment, setting: Report, names: Sequence[str], known: Mapping[str, Any]
) -> Iterator[Report]:
    """Give the report with both curves and what the backbone knew before, again after each row that is asked for."""
    first = bare(experiment)
    before = {name: experiment.score(first, domain) for name, domain in experiment.domains.items()}
    common = {"setting": setting, "before": before, "perplexity": _cost(experiment, first)}
    rows = dict(known)
    for name in names:
        rows[name] = ROWS[name](experiment, setting["steps"][name])
        yield {**common, "rows": rows}


def table(report: Report) -> str:
    """Say as Markdown what is left of each domain at the end."""
    names = list(report["before"])
    lines = ["| | " + " | ".join(names) + " |", "|---" + "|--:" * len(names) + "|"]
    rows: dict[str, list[float]] = {"backbone": list(report["before"].values())}
    for row, its in report["rows"].items():
        rows[f"{row}, just taught"] = [its["scores"][name][0] for name in names]
        rows[f"{row}, after all"] = [its["scores"][name][-1] for name in names]
        if "alone" in its:
            rows[f"{row}, each alone"] = list(its["alone"].values())
    lines += [f"| {row} | " + " | ".join(f"{score:.1f}" for score in scores) + " |" for row, scores in rows.items()]
    return "\n".join(lines) + "\n"


def draw(report: Report, path: Path) -> None:
    """Draw what is known of each domain as others are added."""
    from matplotlib.figure import Figure

    names = list(report["before"])
    figure = Figure(figsize=(9, 4), layout="constrained")
    for axes, (row, its) in zip(figure.subplots(1, 2, sharey=True), report["rows"].items(), strict=False):
        for number, name in enumerate(names):
            scores = its["scores"][name]
            axes.plot(range(number, number + len(scores)), scores, marker="o", label=name)
        axes.set(title=row, xticks=range(len(names)), xticklabels=[f"+ {name}" for name in names])
        axes.tick_params(axis="x", rotation=30)
    figure.axes[0].set_ylabel("known in held-out phrasings (%)")
    figure.axes[0].legend()
    figure.savefig(path, dpi=120)


def main() -> None:
    """Measure, and write a report, a table and a plot."""
    parser = options(__doc__)
    parser.add_argument("--steps", type=int, default=400, help="of each adapter")
    parser.add_argument("--tuned-steps", type=int, default=100, help="of fine-tuning, for each domain")
    parser.add_argument("--row", action="append", choices=ROWS, help="only these, others stay; repeatable")
    given = parser.parse_args()
    experiment = experiment_of(given.data, given.quick)
    steps = (2, 2) if given.quick else (given.steps, given.tuned_steps)
    setting = {**experiment.recipe, "steps": dict(zip(ROWS, steps, strict=True))}
    name = "forgetting-quick" if given.quick else "forgetting"
    known = known_rows(given.output / f"{name}.json", setting)
    for report in measure(experiment, setting, given.row or [*ROWS], known):
        write(whole(lambda made=report: made), given.output, name, draw, table(report))
    print(table(report))


if __name__ == "__main__":
    main()
