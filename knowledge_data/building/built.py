"""A data set that was built: read without being held in memory."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from datasets import DatasetDict, load_from_disk

from knowledge_data.building.provenance import read_build
from knowledge_data.errors import DataError
from knowledge_data.rows import columns
from knowledge_data.triples.options import GraphOptions
from knowledge_data.triples.splits import Splitter


@dataclass(frozen=True)
class Built:
    """Rows that lie in files, and where they come from."""

    splits: DatasetDict
    provenance: dict[str, Any]


def read_built(folder: str | Path) -> Built:
    """Open what `build` made, check that its files are whole and that no fact is in the wrong split.

    Raises:
        DataError: it is no such folder, a file is missing or of another size, or a row is in the wrong split.
    """
    folder = Path(folder)
    provenance = read_build(folder)
    for file, size in provenance["files"].items():
        _check_file(folder / file, size)
    try:
        splits = load_from_disk(str(folder))
    except (OSError, ValueError, KeyError) as error:
        raise DataError(f"cannot be read ({error})", "build the data set again", where=str(folder)) from error
    check_built(splits, provenance)
    return Built(splits, provenance)


def check_built(splits: DatasetDict, provenance: dict[str, Any]) -> None:
    """Prove that each row with ids is in the split where its pair, or its entities, belong; in constant memory.

    What is held out by relation is proved when it is built, since a false row does not say its relation.

    Raises:
        DataError: one is not; names it.
    """
    options = GraphOptions(**_known(provenance["options"]))
    if options.split_by == "relation":
        return
    splitter = Splitter(options.split_by, provenance["seed"], options.validation, options.test)
    for name, rows in splits.items():
        if {"subject_id", "object_id"} <= set(rows.column_names):
            for subject, object_ in columns(rows, "subject_id", "object_id"):
                if splitter(subject, "", object_) != name:
                    problem = f"the pair {subject}, {object_} is in split {name!r} but belongs elsewhere"
                    raise DataError(problem, "build the data set again")


def _known(options: dict[str, Any]) -> dict[str, Any]:
    known = {name: value for name, value in options.items() if name in GraphOptions.__dataclass_fields__}
    return {name: tuple(value) if isinstance(value, list) else value for name, value in known.items()}


def _check_file(path: Path, size: int) -> None:
    if not path.is_file():
        raise DataError("is missing", "build the data set again", where=str(path))
    if path.stat().st_size != size:
        problem = f"has {path.stat().st_size} bytes, but had {size} when it was built"
        raise DataError(problem, "build the data set again", where=str(path))
