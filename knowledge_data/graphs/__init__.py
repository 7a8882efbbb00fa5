"""Knowledge graphs: read, described, selected from, split and said in sentences."""

from knowledge_data.graphs.graph import EntityFacts, KnowledgeGraph, RelationFacts, Triple

__all__ = ["EntityFacts", "KnowledgeGraph", "RelationFacts", "Triple"]
