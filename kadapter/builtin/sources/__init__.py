"""The readers of `knowledge_data` as sources, by what their rows are."""

from kadapter import KnowledgeSource
from kadapter.builtin.sources.beside_text import BesideText
from kadapter.builtin.sources.downstream import DOWNSTREAM_SOURCES
from kadapter.builtin.sources.graphs import GRAPH_SOURCES
from kadapter.builtin.sources.parses import PARSE_SOURCES
from kadapter.builtin.sources.relations import RELATION_SOURCES

SOURCES: list[type[KnowledgeSource]] = [
    *RELATION_SOURCES,
    *GRAPH_SOURCES,
    *PARSE_SOURCES,
    *DOWNSTREAM_SOURCES,
    BesideText,
]
"""All of them, for the hook."""
