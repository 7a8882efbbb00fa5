"""Knowledge as data: files and graphs become texts with two marked spans and the relation between them."""

from knowledge_data.errors import DataError
from knowledge_data.geonames import country_graph, geonames_rows, geonames_splits
from knowledge_data.readers import (
    READERS,
    read_fewrel,
    read_knowledgenet,
    read_redocred,
    read_semeval,
    read_tacred,
    read_trex,
)
from knowledge_data.reading import Reading, ReadReport
from knowledge_data.rows import NO_RELATION, RELATION_FEATURES, RelationRow, join_tokens
from knowledge_data.samples import sample_path
from knowledge_data.split import check_no_pair_shared, split_by_pair
from knowledge_data.templates import Entity, say

__all__ = [
    "NO_RELATION",
    "READERS",
    "RELATION_FEATURES",
    "DataError",
    "Entity",
    "ReadReport",
    "Reading",
    "RelationRow",
    "check_no_pair_shared",
    "country_graph",
    "geonames_rows",
    "geonames_splits",
    "join_tokens",
    "read_fewrel",
    "read_knowledgenet",
    "read_redocred",
    "read_semeval",
    "read_tacred",
    "read_trex",
    "sample_path",
    "say",
    "split_by_pair",
]
