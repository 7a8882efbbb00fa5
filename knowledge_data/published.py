"""Data sets as they are published: files whose names say which split they are, and what is missing of the three."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from datasets import Dataset, DatasetDict, concatenate_datasets

from knowledge_data.errors import DataError
from knowledge_data.reading import Reading, ReadReport
from knowledge_data.split import Group, hold_out, split_by_group

Groups = Callable[[Dataset], Sequence[Group]]
"""Names for each row the group that it must stay together with."""

_WORDS = {"train": ("train",), "validation": ("dev", "valid", "trial"), "test": ("test",)}
"""Split -> what the name of a file says when it belongs there."""

VALIDATION_SHARE = 0.15
"""Of the groups of a published training split, when no validation split was published."""


def read_published(
    path: str | Path, read: Callable[[Path], Reading], suffixes: Sequence[str]
) -> tuple[dict[str, Dataset], ReadReport]:
    """Read a file, which counts as `train`, or the files of a folder; give each split's rows and one report.

    Raises:
        DataError: as `files_by_split` and `read`.
    """
    path = Path(path)
    files = files_by_split(path, suffixes) if path.is_dir() else {"train": [path]}
    readings = {name: [read(file) for file in of_split] for name, of_split in files.items()}
    report = sum((reading.report for parts in readings.values() for reading in parts), ReadReport())
    rows = {name: concatenate_datasets([reading.rows for reading in parts]) for name, parts in readings.items()}
    return rows, report


def files_by_split(folder: str | Path, suffixes: Sequence[str]) -> dict[str, list[Path]]:
    """The files of a folder by split, those of a split in name order; a split without a file is left out.

    A name that holds "train" is training; "dev", "valid" or "trial" validation; "test" test. Files with none of
    these words, or with another ending than `suffixes` (`.txt` means `.txt.gz` too), are passed over.

    Raises:
        DataError: the folder does not exist, has no training file, or a name speaks of two splits.
    """
    folder, found = Path(folder), {name: list[Path]() for name in _WORDS}
    if not folder.is_dir():
        raise DataError("is no folder", "check the path", where=str(folder))
    for path in sorted(folder.iterdir()):
        if path.is_file() and path.name.removesuffix(".gz").endswith(tuple(suffixes)):
            for name in _splits_named(path):
                found[name].append(path)
    if not found["train"]:
        problem = f"has no training file: no name holds 'train' and ends in {' or '.join(suffixes)}"
        raise DataError(problem, "rename it, or give the one file that is to be split", where=str(folder))
    return {name: paths for name, paths in found.items() if paths}


def published_splits(parts: Mapping[str, Dataset], groups: Groups, seed: int) -> DatasetDict:
    """Give `train`, `validation` and `test`, made of those of the three that were published.

    Published splits stay as they are, so that scores can be compared, even where the publisher lets a text stand in
    two of them. When there is no test split, the validation split becomes it; when no validation split is left,
    15 % of the groups of the training split do. A training split alone is split as by `split_by_pair`: 65, 15
    and 20 % of its groups.

    Args:
        parts: `train`, and perhaps `validation` and `test`.
        groups: names the group of each row; no group stands in two of the splits that are made here.
        seed: of these splits.

    Raises:
        DataError: there is no `train`, or it has too few groups.
    """
    if "train" not in parts:
        raise DataError(f"there is no training split, only {', '.join(parts) or 'nothing'}", "give train")
    train, *published = (parts[name] for name in _WORDS if name in parts)
    if not published:
        return split_by_group(train, groups(train), seed)
    if len(published) == 2:
        return DatasetDict(train=train, validation=published[0], test=published[1])
    made = hold_out(train, groups(train), seed, {"validation": VALIDATION_SHARE})
    return DatasetDict(train=made["train"], validation=made["validation"], test=published[0])


def _splits_named(path: Path) -> list[str]:
    name = path.name.lower()
    named = [split for split, words in _WORDS.items() if any(word in name for word in words)]
    if len(named) > 1:
        raise DataError(f"is named after {' and '.join(named)}", "let its name say one of them", where=str(path))
    return named
