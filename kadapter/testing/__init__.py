"""For tests, of kadapter and of plugins: tiny backbones, and contracts that an adapter type or a task must keep.

A contract is a class of pytest tests; a subclass says what is to be held to it:

    from kadapter.testing import AdapterContract

    class TestLowRank(AdapterContract):
        options = {"type": "low-rank", "rank": 4}
"""

from kadapter.testing.adapter_contract import AdapterContract
from kadapter.testing.backbones import (
    FAMILIES,
    SENTENCES,
    fill_randomly,
    save_tiny_backbone,
    tiny_backbone,
    tiny_batch,
    tiny_tokenizer,
)
from kadapter.testing.composition_contract import CompositionContract
from kadapter.testing.facts import WORDS, tiny_facts
from kadapter.testing.knowledge_contract import KnowledgeContract
from kadapter.testing.scoring import rows_of, score_rows
from kadapter.testing.source_contract import SourceContract
from kadapter.testing.task_contract import TaskContract

__all__ = [
    "FAMILIES",
    "SENTENCES",
    "WORDS",
    "AdapterContract",
    "CompositionContract",
    "KnowledgeContract",
    "SourceContract",
    "TaskContract",
    "fill_randomly",
    "rows_of",
    "save_tiny_backbone",
    "score_rows",
    "tiny_backbone",
    "tiny_batch",
    "tiny_facts",
    "tiny_tokenizer",
]
