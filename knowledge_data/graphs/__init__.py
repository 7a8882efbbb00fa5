"""Knowledge graphs: read, described, selected from, split and said in sentences."""

from knowledge_data.graphs.graph import EntityFacts, KnowledgeGraph, RelationFacts, Triple
from knowledge_data.graphs.triples import is_streamed, iter_triples

__all__ = ["EntityFacts", "KnowledgeGraph", "RelationFacts", "Triple", "is_streamed", "iter_triples"]
