"""A small file of our own for every reader."""

from __future__ import annotations

from pathlib import Path

from knowledge_data.errors import DataError

_FILES = {
    "bear": "probes/bear",
    "blimp": "probes/blimp",
    "codah": "codah.tsv",
    "conllu": "sentences.conllu",
    "cosmosqa": "cosmosqa.csv",
    "fewrel": "fewrel.json",
    "harbour": "harbour",
    "knowledgenet": "knowledgenet",
    "lama": "probes/lama",
    "lm-kbc": "probes/lm_kbc.jsonl",
    "numersense": "probes/numersense.masked.tsv",
    "pararel": "probes/pararel",
    "piqa": "piqa.jsonl",
    "redocred": "redocred.json",
    "relation-rows": "rows.jsonl",
    "semeval": "semeval.txt",
    "sick": "sick.txt",
    "squad": "squad.json",
    "tacred": "tacred.json",
    "tagged": "tagged.txt",
    "text": "passages.txt",
    "trex": "trex.jsonl",
    "trex-dump": "trex_dump",
    "typing": "tagged.txt",
}


def sample_path(reader: str) -> Path:
    """Where the sample for a reader lies: a file or, as for `knowledgenet` and the graph `harbour`, a folder.

    Args:
        reader: a name of `READERS`, `DOWNSTREAM_READERS` or `PROBES`, or `conllu`, `harbour` or `trex-dump`.

    Raises:
        DataError: there is no sample of that name.
    """
    if reader not in _FILES:
        raise DataError(f"there is no sample for {reader!r}", f"choose one of: {', '.join(_FILES)}")
    return Path(__file__).parent / _FILES[reader]
