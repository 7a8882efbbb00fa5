"""Knowledge as data: files and graphs become rows that adapters learn from, and rows that they are tried on."""

from knowledge_data.downstream_rows import AnswerRow, ChoiceRow, LabelledRow, TaggedRow, TypingRow
from knowledge_data.errors import DataError
from knowledge_data.geonames import country_graph, geonames_rows, geonames_splits
from knowledge_data.groups import by_context, by_sentences, by_text, by_words
from knowledge_data.parses import ROOT, ParseRow
from knowledge_data.published import files_by_split, published_splits, read_published
from knowledge_data.readers import (
    DOWNSTREAM_READERS,
    READERS,
    read_codah,
    read_conllu,
    read_cosmosqa,
    read_fewrel,
    read_knowledgenet,
    read_parsed_text,
    read_piqa,
    read_redocred,
    read_semeval,
    read_sick,
    read_squad,
    read_tacred,
    read_tagged,
    read_trex,
    read_typing,
    typing_rows,
)
from knowledge_data.reading import Reading, ReadReport
from knowledge_data.rows import NO_RELATION, RELATION_FEATURES, RelationRow, join_tokens
from knowledge_data.samples import sample_path
from knowledge_data.split import by_pair, check_no_pair_shared, draw, split_by_group, split_by_pair
from knowledge_data.templates import Entity, say

__all__ = [
    "DOWNSTREAM_READERS",
    "NO_RELATION",
    "READERS",
    "RELATION_FEATURES",
    "ROOT",
    "AnswerRow",
    "ChoiceRow",
    "DataError",
    "Entity",
    "LabelledRow",
    "ParseRow",
    "ReadReport",
    "Reading",
    "RelationRow",
    "TaggedRow",
    "TypingRow",
    "by_context",
    "by_pair",
    "by_sentences",
    "by_text",
    "by_words",
    "check_no_pair_shared",
    "country_graph",
    "draw",
    "files_by_split",
    "geonames_rows",
    "geonames_splits",
    "join_tokens",
    "published_splits",
    "read_codah",
    "read_conllu",
    "read_cosmosqa",
    "read_fewrel",
    "read_knowledgenet",
    "read_parsed_text",
    "read_piqa",
    "read_published",
    "read_redocred",
    "read_semeval",
    "read_sick",
    "read_squad",
    "read_tacred",
    "read_tagged",
    "read_trex",
    "read_typing",
    "sample_path",
    "say",
    "split_by_group",
    "split_by_pair",
    "typing_rows",
]
