"""What must stay together when rows are split: the group of each row, by what rows of its kind have in common."""

from __future__ import annotations

import networkx as nx
from datasets import Dataset

from knowledge_data.rows import columns
from knowledge_data.split import Group


def by_words(rows: Dataset) -> list[Group]:
    """Rows with the same `words`."""
    return [tuple(words) for (words,) in columns(rows, "words")]


def by_text(rows: Dataset) -> list[Group]:
    """Rows with the same `text`."""
    return list(columns(rows, "text"))


def by_context(rows: Dataset) -> list[Group]:
    """Rows with the same `context`."""
    return list(columns(rows, "context"))


def by_sentences(rows: Dataset) -> list[Group]:
    """Pairs `text` and `text_pair` that are linked by sentences which they share, directly or through other pairs.

    The group is named after its alphabetically first sentence. An empty sentence links nothing.
    """
    pairs = list(columns(rows, "text", "text_pair"))
    graph = nx.Graph((text, pair or text) for text, pair in pairs)
    first = {sentence: min(linked) for linked in nx.connected_components(graph) for sentence in linked}
    return [(first[text],) for text, _ in pairs]
