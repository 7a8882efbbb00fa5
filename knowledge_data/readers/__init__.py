"""One reader for each file format; each gives `Reading`: rows and a report."""

from collections.abc import Callable
from pathlib import Path

from knowledge_data.readers.codah import read_codah
from knowledge_data.readers.conllu import read_conllu
from knowledge_data.readers.cosmosqa import read_cosmosqa
from knowledge_data.readers.fewrel import read_fewrel
from knowledge_data.readers.knowledgenet import read_knowledgenet
from knowledge_data.readers.parsed_text import read_parsed_text
from knowledge_data.readers.piqa import read_piqa
from knowledge_data.readers.redocred import read_redocred
from knowledge_data.readers.relation_rows import read_relation_rows
from knowledge_data.readers.semeval import read_semeval
from knowledge_data.readers.sick import read_sick
from knowledge_data.readers.squad import read_squad
from knowledge_data.readers.tacred import read_tacred
from knowledge_data.readers.tagged import read_tagged, read_typing, typing_rows
from knowledge_data.readers.text import read_text
from knowledge_data.readers.trex import read_trex
from knowledge_data.reading import Reading

READERS: dict[str, Callable[..., Reading]] = {
    "fewrel": read_fewrel,
    "knowledgenet": read_knowledgenet,
    "redocred": read_redocred,
    "relation-rows": read_relation_rows,
    "semeval": read_semeval,
    "tacred": read_tacred,
    "trex": read_trex,
}
"""The name of a format of relation sentences -> its reader, which takes the path first."""

DOWNSTREAM_READERS: dict[str, Callable[[str | Path], Reading]] = {
    "codah": read_codah,
    "cosmosqa": read_cosmosqa,
    "piqa": read_piqa,
    "sick": read_sick,
    "squad": read_squad,
    "tagged": read_tagged,
    "text": read_text,
    "typing": read_typing,
}
"""The name of a format of downstream data -> its reader; the kinds of rows differ."""

__all__ = [
    "DOWNSTREAM_READERS",
    "READERS",
    "read_codah",
    "read_conllu",
    "read_cosmosqa",
    "read_fewrel",
    "read_knowledgenet",
    "read_parsed_text",
    "read_piqa",
    "read_redocred",
    "read_relation_rows",
    "read_semeval",
    "read_sick",
    "read_squad",
    "read_tacred",
    "read_tagged",
    "read_text",
    "read_trex",
    "read_typing",
    "typing_rows",
]
