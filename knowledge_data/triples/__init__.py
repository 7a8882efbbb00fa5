"""From triples to rows: split without leaks, denied as well as stated, and said in sentences."""

from typing import TYPE_CHECKING

from knowledge_data.lazy import names_of

if TYPE_CHECKING:
    from knowledge_data.triples.cloze import ClozeRow
    from knowledge_data.triples.falsehoods import Falsehoods
    from knowledge_data.triples.options import GraphOptions
    from knowledge_data.triples.phrasings import Phrasings, read_templates
    from knowledge_data.triples.rows import SplitRows, graph_rows
    from knowledge_data.triples.splits import Splitter, check_triples, split_triples

__getattr__ = names_of(
    __name__,
    {
        "cloze": "ClozeRow",
        "falsehoods": "Falsehoods",
        "options": "GraphOptions",
        "phrasings": "Phrasings read_templates",
        "rows": "SplitRows graph_rows",
        "splits": "Splitter check_triples split_triples",
    },
)


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
