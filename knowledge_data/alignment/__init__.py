"""Text meets a graph: sentences that name two entities which the graph relates become rows (distant supervision)."""

from knowledge_data.alignment.align import Aligner, AlignOptions, AlignReport
from knowledge_data.alignment.matcher import Matcher, Mention
from knowledge_data.alignment.names import Names
from knowledge_data.alignment.sentences import sentence_spans

__all__ = ["AlignOptions", "AlignReport", "Aligner", "Matcher", "Mention", "Names", "sentence_spans"]
