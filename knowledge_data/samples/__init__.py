"""A small file of our own for every reader."""

from __future__ import annotations

from pathlib import Path

from knowledge_data.errors import DataError

_FILES = {
    "codah": "codah.tsv",
    "conllu": "sentences.conllu",
    "cosmosqa": "cosmosqa.csv",
    "fewrel": "fewrel.json",
    "harbour": "harbour",
    "knowledgenet": "knowledgenet",
    "piqa": "piqa.jsonl",
    "redocred": "redocred.json",
    "semeval": "semeval.txt",
    "sick": "sick.txt",
    "squad": "squad.json",
    "tacred": "tacred.json",
    "tagged": "tagged.txt",
    "trex": "trex.jsonl",
    "typing": "tagged.txt",
}


def sample_path(reader: str) -> Path:
    """Where the sample for a reader lies: a file, or for `knowledgenet` and `harbour`, a graph, a folder.

    Args:
        reader: a name of `READERS` or `DOWNSTREAM_READERS`, `conllu` or `harbour`.

    Raises:
        DataError: there is no sample of that name.
    """
    if reader not in _FILES:
        raise DataError(f"there is no sample for {reader!r}", f"choose one of: {', '.join(_FILES)}")
    return Path(__file__).with_name(_FILES[reader])
