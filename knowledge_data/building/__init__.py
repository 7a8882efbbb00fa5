"""Data sets larger than memory: built in pieces, resumed when interrupted, with their provenance."""

from knowledge_data.building.build import build
from knowledge_data.building.built import Built, check_built, read_built
from knowledge_data.building.overlap import Fact, Overlap, overlap, read_facts, row_facts
from knowledge_data.building.provenance import hash_inputs

__all__ = [
    "Built",
    "Fact",
    "Overlap",
    "build",
    "check_built",
    "hash_inputs",
    "overlap",
    "read_built",
    "read_facts",
    "row_facts",
]
