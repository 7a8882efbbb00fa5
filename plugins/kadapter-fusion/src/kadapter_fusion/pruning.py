"""Which members of a fusion are worth their time (Rücklé et al. 2021, arXiv 2010.11918, section 4.2)."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from statistics import mean, median
from typing import TYPE_CHECKING, Any

import torch

from kadapter import ConfigError, save_adapter
from kadapter_fusion.adapter import FusionAdapter

if TYPE_CHECKING:
    from kadapter import KnowledgeModel

Attention = Mapping[str, Mapping[str, float]]


def prune(fusion: FusionAdapter, attention: Attention, keep: int = 2, everywhere: bool = False) -> FusionAdapter:
    """Give a fusion of the members that are attended to most; the one that is given stays as it is.

    Args:
        fusion: a trained one.
        attention: place -> member -> mean weight, as `KnowledgeModel.attention` measures it.
        keep: how many members to keep at each place.
        everywhere: whether to keep the same ones at all places, by the mean over them.

    Raises:
        ConfigError: nobody is to be kept, or what was measured is not of this fusion.
    """
    if keep < 1:
        raise ConfigError(f"keep is {keep}; it must be 1 or more")
    if everywhere:
        attention = _evened(attention)
    most = {place: sorted(there, key=lambda name: -there[name])[:keep] for place, there in attention.items()}
    return fusion.with_members(
        {place: tuple(name for name in fusion.members if name in names) for place, names in most.items()}
    )


def _evened(attention: Attention) -> Attention:
    names = {name for there in attention.values() for name in there}
    means = {name: mean(there[name] for there in attention.values() if name in there) for name in names}
    return {place: {name: means[name] for name in there} for place, there in attention.items()}


def prune_run(
    run: Path | str,
    output: Path | str,
    keep: int = 2,
    everywhere: bool = False,
    watched: str = "train",
    scored: str = "test",
    data: str | None = None,
) -> dict[str, Any]:
    """Prune the fusions of a finished run, and say what that costs and gains.

    Args:
        run: a run folder.
        output: a new folder, for the run as it is then; `evaluate` and `KnowledgeModel.from_pretrained` take it.
        keep: how many members to keep at each place.
        everywhere: whether to keep the same ones at all places.
        watched: the split over which attention is measured.
        scored: the split on which both are scored.
        data: where the data lies, if not where it lay in training.

    Returns:
        For each fusion what is `kept`: place -> members; `scores` before and after; `seconds` of a pass over 8 × 64
        tokens before and after, medians of interleaved passes.

    Raises:
        ConfigError: nothing in the run is a fusion, or nobody is to be kept.
        StorageError: there is no finished run.
    """
    # Here and not above: they bring transformers and datasets along, which a list of plugins need not wait for.
    from kadapter import KnowledgeModel, evaluate, watch_split

    run, output = Path(run), Path(output)
    if output.exists():
        raise ConfigError(f"{output} is there already; give a new folder")
    before = KnowledgeModel.from_pretrained(run)
    fusions = {name: it for name, it in before.adapters.items() if isinstance(it, FusionAdapter)}
    if not fusions:
        raise ConfigError(f"no adapter of {run} is a fusion; there is {', '.join(before.plugged) or 'none at all'}")
    attention = watch_split(run, watched, data)["attention"]
    pruned = {name: prune(fusion, attention[name], keep, everywhere) for name, fusion in fusions.items()}
    _copy(run, output, pruned)
    after = KnowledgeModel.from_pretrained(output)
    return {
        "kept": {name: dict(fusion.config.kept) for name, fusion in pruned.items()},
        "scores": {"before": evaluate(run, [scored], data), "after": evaluate(output, [scored], data)},
        "seconds": _seconds({"before": before, "after": after}),
    }


def _copy(run: Path, output: Path, fusions: Mapping[str, FusionAdapter]) -> None:
    """Copy a run, and put other fusions in the place of its own."""
    shutil.copytree(run, output)
    places = json.loads((output / "model.json").read_text())["adapters"]
    for name, fusion in fusions.items():
        said = json.loads((output / places[name] / "adapter.json").read_text())
        save_adapter(output / places[name], fusion, name, said["trained_on"])


def _seconds(models: Mapping[str, KnowledgeModel], rounds: int = 10) -> dict[str, float]:
    tokens = torch.full((8, 64), 5)
    taken: dict[str, list[float]] = {which: [] for which in models}
    with torch.no_grad():
        for _ in range(rounds):
            for which, model in models.items():
                started = time.perf_counter()
                model(input_ids=tokens)
                taken[which].append(time.perf_counter() - started)
    return {which: median(seconds) for which, seconds in taken.items()}
