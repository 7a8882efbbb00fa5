"""What an adapter has learned after five epochs: the published recipe beside all means of speed, on real sentences.

Which of 16 relations does a sentence of FewRel's validation set state? 40 sentences of each to learn from, 40 others
to score, without markers of the entities; MiniLM, eight seeds of adapter and head (of the published recipe, which takes
most of the time, three), the same examples for every row.
`pretraining` times these trainings.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from statistics import mean, stdev
from typing import Any

import torch

from benchmarks.pretraining import BY_HAND, EPOCHS, OURS, PUBLISHED, Training
from benchmarks.published import LENGTH
from benchmarks.reporting import ROOT
from kadapter import Backbone, load_backbone
from kadapter.testing import tiny_backbone, tiny_facts
from knowledge_data.files import read_json

FEWREL = ROOT.parent / "shared" / "data" / "fewrel" / "val_wiki.json.gz"
RATE = 3e-4
COMPARED = (
    PUBLISHED,
    "kadapter, float32",
    "kadapter, bfloat16",
    "kadapter's default adapter, bfloat16",
)


def measure(quick: bool) -> dict[str, Any]:
    """Train and score every row with every seed."""
    if not quick and not FEWREL.exists():
        raise SystemExit(f"{FEWREL} is missing: FewRel's validation set, https://github.com/thunlp/FewRel, gzipped")
    backbone = tiny_backbone("bert") if quick else load_backbone("minilm")
    learned, scored = split(tiny_facts() if quick else read_json(FEWREL), backbone, *((12, 8) if quick else (40, 40)))
    rows: dict[str, Any] = {}
    for name in COMPARED:
        seeds = 2 if quick else 3 if name == PUBLISHED else 8
        found = [accuracy(name, backbone, learned, scored, seed) for seed in range(seeds)]
        rows[name] = {"accuracy": round(mean(found), 4), "spread": round(stdev(found), 4), "each": found}
    setting = {"learned": len(learned), "scored": len(scored), "epochs": EPOCHS, "rate": RATE}
    return {"setting": setting, "rows": rows, "drawn": "accuracy"}


def split(
    facts: Mapping[str, Sequence[Mapping[str, Any]]], backbone: Backbone, learned: int, scored: int
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Give so many sentences of each relation to learn from, and others to score: `input_ids`, and a label."""
    found: tuple[list[dict[str, Any]], list[dict[str, Any]]] = ([], [])
    for label, records in enumerate(facts.values()):
        texts = [" ".join(record["tokens"]) for record in records[: learned + scored]]
        for number, ids in enumerate(backbone.tokenizer(texts, truncation=True, max_length=LENGTH)["input_ids"]):
            found[number >= learned].append({"input_ids": ids, "labels": label})
    return found


def accuracy(
    name: str, backbone: Backbone, learned: list[dict[str, Any]], scored: list[dict[str, Any]], seed: int
) -> float:
    """Train one row with one seed, and score it."""
    torch.manual_seed(seed)
    means = {**BY_HAND, **OURS}[name]
    with ExitStack() as stack:
        training = Training(backbone, learned, means, by_hand=name in BY_HAND, rate=RATE)
        if means.store:
            training.keep(stack)
        for _ in range(EPOCHS):
            training.epoch()
        right = training.accuracy(scored)
    print(f"{name}, seed {seed}: {right:.4f}", file=sys.stderr)  # all of them take more than an hour
    return right
