"""One reader for each file format; each gives `Reading`: rows and a report."""

from collections.abc import Callable

from knowledge_data.readers.fewrel import read_fewrel
from knowledge_data.readers.knowledgenet import read_knowledgenet
from knowledge_data.readers.redocred import read_redocred
from knowledge_data.readers.semeval import read_semeval
from knowledge_data.readers.tacred import read_tacred
from knowledge_data.readers.trex import read_trex
from knowledge_data.reading import Reading

READERS: dict[str, Callable[..., Reading]] = {
    "fewrel": read_fewrel,
    "knowledgenet": read_knowledgenet,
    "redocred": read_redocred,
    "semeval": read_semeval,
    "tacred": read_tacred,
    "trex": read_trex,
}
"""The name of a format -> its reader, which takes the path first."""

__all__ = [
    "READERS",
    "read_fewrel",
    "read_knowledgenet",
    "read_redocred",
    "read_semeval",
    "read_tacred",
    "read_trex",
]
