"""Knowledge graphs: read, described, selected from, split and said in sentences."""

from knowledge_data.graphs.describing import describe_graph
from knowledge_data.graphs.facts import read_entities, read_relations
from knowledge_data.graphs.graph import EntityFacts, KnowledgeGraph, RelationFacts, Triple
from knowledge_data.graphs.noted import write_noted, write_partition
from knowledge_data.graphs.partitioning import Partition, partition
from knowledge_data.graphs.published_sets import GRAPHS, read_published_graph
from knowledge_data.graphs.reading import read_graph
from knowledge_data.graphs.selecting import (
    select_around,
    select_component,
    select_degrees,
    select_relations,
    select_types,
)
from knowledge_data.graphs.selection import Selection
from knowledge_data.graphs.triples import is_streamed, iter_triples
from knowledge_data.graphs.writing import write_entities, write_graph, write_triples

__all__ = [
    "GRAPHS",
    "EntityFacts",
    "KnowledgeGraph",
    "Partition",
    "RelationFacts",
    "Selection",
    "Triple",
    "describe_graph",
    "is_streamed",
    "iter_triples",
    "partition",
    "read_entities",
    "read_graph",
    "read_published_graph",
    "read_relations",
    "select_around",
    "select_component",
    "select_degrees",
    "select_relations",
    "select_types",
    "write_entities",
    "write_graph",
    "write_noted",
    "write_partition",
    "write_triples",
]
