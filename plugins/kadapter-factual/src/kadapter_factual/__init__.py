"""Factual knowledge: a k-adapter that learns to tell the relation between two entities of a sentence.

The factual adapter of K-Adapter (Wang et al. 2021, arXiv 2002.01808, section 3.4).
"""

from __future__ import annotations

from pathlib import Path

from kadapter import KnowledgeModule, hookimpl, weights_in

FACTUAL = KnowledgeModule(
    name="factual",
    description="relations between entities, from sentences with two marked spans",
    adapter={"type": "k-adapter"},
    task={"name": "relation-classification"},
    source={"name": "fewrel"},
    weights=weights_in(Path(__file__).parent / "weights"),
)
"""For relation sentences of any source; FewRel's Wikipedia sentences unless told otherwise."""


@hookimpl
def register_knowledge() -> list[KnowledgeModule]:
    """Give the factual knowledge."""
    return [FACTUAL]
