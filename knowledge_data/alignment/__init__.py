"""Text meets a graph: sentences that name two entities which the graph relates become rows (distant supervision)."""

from knowledge_data.alignment.align import Aligner, AlignOptions, AlignReport
from knowledge_data.alignment.build import build_alignment
from knowledge_data.alignment.matcher import Matcher, Mention
from knowledge_data.alignment.names import COMMON_WORDS, Names, entities_of
from knowledge_data.alignment.sentences import sentence_spans
from knowledge_data.alignment.texts import stream_texts

__all__ = [
    "COMMON_WORDS",
    "AlignOptions",
    "AlignReport",
    "Aligner",
    "Matcher",
    "Mention",
    "Names",
    "build_alignment",
    "entities_of",
    "sentence_spans",
    "stream_texts",
]
