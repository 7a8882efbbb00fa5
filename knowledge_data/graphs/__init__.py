"""Knowledge graphs: read, described, selected from, split and said in sentences."""

from knowledge_data.graphs.facts import read_entities, read_relations
from knowledge_data.graphs.graph import EntityFacts, KnowledgeGraph, RelationFacts, Triple
from knowledge_data.graphs.published_sets import GRAPHS, read_published_graph
from knowledge_data.graphs.reading import read_graph
from knowledge_data.graphs.triples import is_streamed, iter_triples
from knowledge_data.graphs.writing import write_entities, write_graph, write_triples

__all__ = [
    "GRAPHS",
    "EntityFacts",
    "KnowledgeGraph",
    "RelationFacts",
    "Triple",
    "is_streamed",
    "iter_triples",
    "read_entities",
    "read_graph",
    "read_published_graph",
    "read_relations",
    "write_entities",
    "write_graph",
    "write_triples",
]
