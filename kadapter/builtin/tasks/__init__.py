"""The tasks that kadapter brings along, one file each."""

from kadapter import Task
from kadapter.builtin.tasks.causal_lm import CausalLM
from kadapter.builtin.tasks.dependency_heads import DependencyHeads
from kadapter.builtin.tasks.entity_typing import EntityTyping
from kadapter.builtin.tasks.masked_lm import MaskedLM
from kadapter.builtin.tasks.multiple_choice import MultipleChoice
from kadapter.builtin.tasks.question_answering import QuestionAnswering
from kadapter.builtin.tasks.relation_classification import RelationClassification
from kadapter.builtin.tasks.sequence_classification import SequenceClassification
from kadapter.builtin.tasks.token_classification import TokenClassification

TASKS: list[type[Task]] = [
    RelationClassification,
    DependencyHeads,
    EntityTyping,
    TokenClassification,
    SequenceClassification,
    MultipleChoice,
    QuestionAnswering,
    MaskedLM,
    CausalLM,
]
"""All of them, for the hook."""
