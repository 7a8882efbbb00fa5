"""Passages that nothing is taught of: some hold a model to what it says of them, others, never seen, score that."""

from __future__ import annotations

import csv
import gzip
import json
from dataclasses import dataclass
from pathlib import Path

from knowledge_data import sample_path

FILES = ("redocred/dev_revised.json.gz", "cosmosqa/valid.csv", "piqa/valid.jsonl")
SAMPLES = ("redocred", "cosmosqa", "piqa")


@dataclass(frozen=True)
class Passages:
    """Different documents, all of them.

    Attributes:
        holding: of Re-DocRED (Wikipedia) and CosmosQA (weblogs).
        unseen: name of a data set -> passages of it: others of Re-DocRED, and PIQA, which `holding` has nothing of.
    """

    holding: list[str]
    unseen: dict[str, list[str]]


def passages(folder: Path | None, held: int = 250, scored: int = 80) -> Passages:
    """Read passages from a folder with Re-DocRED, CosmosQA and PIQA as published; None takes a few small samples."""
    paths = [folder / name for name in FILES] if folder else [sample_path(name) for name in SAMPLES]
    documents, contexts, goals = _documents(paths[0]), _contexts(paths[1]), _goals(paths[2])
    enough = min(held, len(documents) // 2)
    unseen = {"Re-DocRED": documents[enough : enough + scored], "PIQA": goals[:scored]}
    return Passages(documents[:enough] + contexts[:held], unseen)


def _text(path: Path) -> str:
    return gzip.decompress(path.read_bytes()).decode() if path.suffix == ".gz" else path.read_text(encoding="utf-8")


def _documents(path: Path) -> list[str]:
    documents = json.loads(_text(path))
    return [_spaced(" ".join(" ".join(sentence) for sentence in document["sents"])) for document in documents]


def _spaced(text: str) -> str:
    """Put punctuation where people put it."""
    for mark in (".", ",", ";", ":", "'s", ")"):
        text = text.replace(f" {mark}", mark)
    return text.replace("( ", "(")


def _contexts(path: Path) -> list[str]:
    rows = csv.DictReader(_text(path).splitlines(keepends=True))
    return list(dict.fromkeys(row["context"] for row in rows))


def _goals(path: Path) -> list[str]:
    rows = [json.loads(line) for line in _text(path).splitlines()]
    return [text for row in rows if len(text := f"{row['goal']} {row['sol1']}") > 50]
