"""`probe`: a published probe asked of a model, with its adapters plugged and unplugged, and what came of it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from kadapter.config import make_config
from kadapter.errors import ConfigError
from kadapter.files import check_can_be_written, write_json, write_text
from kadapter.model import KnowledgeModel
from kadapter.plots import plot_probe
from kadapter.probing.asking import Asked, Result, ask_all, check_can_ask
from kadapter.probing.filters import FILTERS
from kadapter.probing.items import Item, drawn, items_of, of_relations, with_choices
from kadapter.probing.language_model import LanguageModel
from kadapter.probing.plugged import both_of
from kadapter.probing.reporting import as_markdown, lines_of, scores_of
from kadapter.probing.taught import Taught, records_of, taught_to
from kadapter.registry import Registry, default_registry
from kadapter.training import versions
from knowledge_data import read_probe

NOT_TAUGHT = "not taught"


@dataclass(frozen=True)
class ProbeOptions:
    """How a probe is asked.

    Attributes:
        scoring: `token` ranks the whole vocabulary, for answers of one token; `object` compares choices by the
            likelihood of their own tokens, `sentence` by that of the whole sentence. `auto` is `sentence` where the
            probe gives choices and `token` where it gives none.
        mean: whether likelihoods are per token.
        start: whether a causal model sees its start token first where its tokenizer adds none; without one, the first
            word of a sentence has no likelihood.
        filters: what else is left out: `string`, `name` (LAMA-UHN).
        taught: what is done with facts that the adapters were taught: `leave-out`, `keep`, or ask `only` them.
        facts: files of facts that were taught, beside what the adapters say of themselves.
        relations: which of the probe's relations or phenomena are asked for; none for all.
        limit: how many facts of each relation at most, drawn by the seed.
        ranks: each k of P@k; 1 must be among them.
        resamples: of the bootstrap; 0 for no intervals.
        seed: of the bootstrap and of `limit`.
        on_error: `raise`, or `skip` records of the probe that are malformed and count them.
    """

    scoring: Literal["auto", "token", "object", "sentence"] = "auto"
    mean: bool = False
    start: bool = False
    filters: tuple[str, ...] = ()
    taught: Literal["leave-out", "keep", "only"] = "leave-out"
    facts: tuple[str, ...] = ()
    relations: tuple[str, ...] = ()
    limit: int | None = None
    ranks: tuple[int, ...] = (1, 10)
    resamples: int = 1000
    seed: int = 0
    on_error: Literal["raise", "skip"] = "raise"

    def __post_init__(self) -> None:
        for name in self.filters:
            if name not in FILTERS:
                raise ConfigError(f"there is no filter '{name}'; there are {', '.join(FILTERS)}")
        if 1 not in self.ranks or min(self.ranks) < 1:
            raise ConfigError(f"ranks are {list(self.ranks)}; give whole numbers from 1, and 1 among them")
        if self.resamples < 0 or (self.limit is not None and self.limit < 1):
            raise ConfigError(f"resamples is {self.resamples} and limit {self.limit}; give 0 or more, and 1 or more")


def probe(
    model: KnowledgeModel,
    name: str,
    path: Path | str,
    folder: Path | str | None = None,
    registry: Registry | None = None,
    **options: Any,
) -> dict[str, Any]:
    """Ask a model what it knows: with its adapters plugged and unplugged, the same questions.

    Args:
        model: with a language-model head; without adapters it is asked once.
        name: of the probe: bear, blimp, lama, lm-kbc, numersense, pararel.
        path: where it lies.
        folder: where `probe.json`, `.md` and `.png`, and `answers.jsonl` go; None writes nothing.
        registry: where sources of what was taught are looked up; by default, what is installed.
        options: those of `ProbeOptions`.

    Returns:
        What was asked and left out and why, and the figures: `overall` (`micro` over facts, `macro` over relations) and
        by `relations`, of `without` and `with` and their `difference`, each with the bounds of a 95 % interval.

    Raises:
        ConfigError: an option cannot be what it is, or nothing is left to ask.
        BackboneError: the backbone has no language-model head.
        StorageError: the folder cannot be written to.
        knowledge_data.DataError: the probe, or a file of facts, cannot be read.
    """
    if folder is not None:
        check_can_be_written(Path(folder))
    chosen = make_config(ProbeOptions, options, owner="probe")
    models = both_of(model, chosen.start)
    reading = read_probe(name, path, on_error=chosen.on_error)
    taught = taught_to(records_of(model), [Path(place) for place in chosen.facts], registry or default_registry())
    items, skipped = items_of(reading.rows)
    report, results = probe_items(models, items, chosen, taught, reading.report.skipped + skipped)
    whole = {
        "probe": name,
        "backbone": model.backbone.info.as_dict(),
        "adapters": list(model.plugged),
        "options": asdict(chosen),
        "data": reading.provenance,
        **report,
        "versions": versions(),
    }
    if folder is not None:
        _write(whole, results, Path(folder))
    return whole


def probe_items(
    models: Mapping[str, LanguageModel],
    items: Sequence[Item],
    options: ProbeOptions,
    taught: Taught,
    skipped: Mapping[str, int] | None = None,
) -> tuple[dict[str, Any], list[Result]]:
    """Ask models with one tokenizer for items; give the report and all answers.

    Args:
        models: name -> model; by the first one names are filtered.
        items: what there is to ask.
        options: how.
        taught: what adapters were taught.
        skipped: what is left out already, by reason.

    Raises:
        ConfigError: nothing is left to ask.
    """
    first = next(iter(models.values()))
    check_can_ask(first)
    scoring = _scoring(items, options.scoring)
    items = of_relations(with_choices(items) if scoring != "token" else items, options.relations)
    kept, filtered = _kept(first, items, options, scoring, taught)
    asked = ask_all(models, drawn(kept, options.limit, options.seed), scoring, options.mean)
    left_out = {**(skipped or {}), **filtered, **asked.unasked}
    _check_some(asked, left_out)
    report = {
        "scoring": scoring,
        "asked": len(asked.results),
        "left_out": left_out,
        "phrasings_left_out": dict(asked.phrasings),
        "taught_unknown": taught.unknown,
        **scores_of(asked.results, options.ranks, options.resamples, options.seed),
    }
    return report, asked.results


def _scoring(items: Sequence[Item], wanted: str) -> str:
    if items and all(item.whole for item in items):
        return "sentence"
    if wanted != "auto":
        return wanted
    return "sentence" if any(item.choices for item in items) else "token"


def _kept(
    model: LanguageModel, items: Sequence[Item], options: ProbeOptions, scoring: str, taught: Taught
) -> tuple[list[Item], dict[str, int]]:
    """Give the items that are asked for, and how many are not, by reason."""
    out: dict[int, str] = {}
    for name in options.filters:
        out |= FILTERS[name](model, items, scoring)
    if options.taught != "keep":
        known = {number: f"taught to the adapters ({how})" for number, how in taught.among(items).items()}
        others = {number: NOT_TAUGHT for number in range(len(items)) if number not in known}
        out |= known if options.taught == "leave-out" else others
    counts: dict[str, int] = {}
    for reason in out.values():
        counts[reason] = counts.get(reason, 0) + 1
    return [item for number, item in enumerate(items) if number not in out], counts


def _check_some(asked: Asked, left_out: Mapping[str, int]) -> None:
    if not asked.results:
        reasons = "; ".join(f"{count:,}: {reason}" for reason, count in left_out.items())
        raise ConfigError(f"nothing is left to ask ({reasons}); choose another --scoring, or leave less out")


def _write(report: Mapping[str, Any], results: Sequence[Result], folder: Path) -> None:
    write_json(folder / "probe.json", report)
    write_text(folder / "probe.md", as_markdown(report))
    lines = (json.dumps(line, ensure_ascii=False) for line in lines_of(results))
    write_text(folder / "answers.jsonl", "".join(f"{line}\n" for line in lines))
    plot_probe(report, folder / "probe.png")
