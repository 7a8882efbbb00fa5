"""From triples to rows: split without leaks, denied as well as stated, and said in sentences."""

from knowledge_data.triples.cloze import ClozeRow
from knowledge_data.triples.falsehoods import Falsehoods
from knowledge_data.triples.options import GraphOptions
from knowledge_data.triples.phrasings import Phrasings, read_templates
from knowledge_data.triples.rows import SplitRows, graph_rows
from knowledge_data.triples.splits import Splitter, check_triples, split_triples

__all__ = [
    "ClozeRow",
    "Falsehoods",
    "GraphOptions",
    "Phrasings",
    "SplitRows",
    "Splitter",
    "check_triples",
    "graph_rows",
    "read_templates",
    "split_triples",
]
