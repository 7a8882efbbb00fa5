"""A small file of our own for every reader."""

from __future__ import annotations

from pathlib import Path

from knowledge_data.errors import DataError

_FILES = {
    "fewrel": "fewrel.json",
    "knowledgenet": "knowledgenet",
    "redocred": "redocred.json",
    "semeval": "semeval.txt",
    "tacred": "tacred.json",
    "trex": "trex.jsonl",
}


def sample_path(reader: str) -> Path:
    """Where the sample for a reader of `READERS` lies: a file, or for `knowledgenet` a folder.

    Raises:
        DataError: there is no reader of that name.
    """
    if reader not in _FILES:
        raise DataError(f"there is no sample for {reader!r}", f"choose one of: {', '.join(_FILES)}")
    return Path(__file__).with_name(_FILES[reader])
