"""Tiny facts in sentences, which a tiny model learns in seconds: rows for tests of whole runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

WORDS: Mapping[str, str] = {"P1": "near", "P2": "under", "P3": "inside"}
"""Relation -> the word that says it in `tiny_facts`."""


def tiny_facts(pairs: int = 20) -> dict[str, list[dict[str, Any]]]:
    """Give relation -> sentences in FewRel's format ("a1 lies near b1 .", …), each about a pair of its own."""
    return {relation: [_record(word, number) for number in range(pairs)] for relation, word in WORDS.items()}


def _record(word: str, number: int) -> dict[str, Any]:
    subject, object_ = f"a{number}", f"b{number}"
    return {
        "tokens": [subject, "lies", word, object_, "."],
        "h": [subject, f"{subject} {word}", [[0]]],
        "t": [object_, f"{object_} {word}", [[3]]],
    }
