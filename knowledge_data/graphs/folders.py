"""Folders with a graph in several files: train, valid and test, as graphs are published."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from knowledge_data.errors import DataError

_SPLITS = {"train": "train", "valid": "validation", "validation": "validation", "dev": "validation", "test": "test"}
"""What a file is called, without its endings -> its split."""

STREAMED: Mapping[str, str] = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".txt": "txt",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".nt": "nt",
}
"""The ending of a name -> the format, of those that are read line by line."""

WHOLE: Mapping[str, str] = {".ttl": "ttl", ".graphml": "graphml", ".json": "json"}
"""The same, of those that are read as a whole."""

FORMATS: Mapping[str, str] = {**STREAMED, **WHOLE}


def format_of(path: Path, known: Mapping[str, str] = FORMATS) -> str:
    """Give the format that a file's name speaks of.

    Raises:
        DataError: it speaks of none that is known here.
    """
    ending = Path(path.name.removesuffix(".gz")).suffix.lower()
    if ending in known:
        return known[ending]
    if ending in WHOLE:
        raise DataError("is read as a whole, not line by line", "use read_graph", where=str(path))
    problem = f"has a name that ends in no known format: {', '.join(known)}, each perhaps with .gz"
    raise DataError(
        problem, f"rename it, or say which: format={' or '.join(dict.fromkeys(known.values()))}", where=str(path)
    )


def split_files(folder: Path) -> dict[str, Path]:
    """The files of a folder that are called train, valid (or dev, validation) and test, by split, in that order.

    Other files are passed over: `valid_negatives.txt` holds what is not true.

    Raises:
        DataError: there is none, or two for the same split.
    """
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        split = _SPLITS.get(path.name.split(".")[0].lower())
        ending = Path(path.name.removesuffix(".gz")).suffix.lower()
        if split and path.is_file() and ending in FORMATS:
            if split in found:
                problem = f"holds two files for {split}: {found[split].name} and {path.name}"
                raise DataError(problem, "remove one of them", where=str(folder))
            found[split] = path
    if not found:
        problem = f"holds no file called train, valid or test that ends in {', '.join(FORMATS)}"
        raise DataError(problem, "rename them, or give one file", where=str(folder))
    return {split: found[split] for split in dict.fromkeys(_SPLITS.values()) if split in found}
