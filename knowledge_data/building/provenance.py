"""Where a built data set comes from: inputs, options, seed, counts, and a hash of what it holds."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib import metadata
from pathlib import Path
from typing import Any

from knowledge_data.building.pieces import Piece
from knowledge_data.errors import DataError
from knowledge_data.files import find, read_json
from knowledge_data.hashing import DIGITS, file_hash
from knowledge_data.triples.options import GraphOptions
from knowledge_data.triples.splits import SPLITS

PROVENANCE = "provenance.json"

_FORMAT = 1
"""Goes up when the same inputs give other rows."""

_FILES = ("templates", "labels", "aliases", "types", "descriptions", "relations")


Inputs = dict[str, dict[str, str]]
"""Role -> `file`, where it lies, and `hash`, of what it holds."""


def hash_inputs(path: Path, options: GraphOptions) -> Inputs:
    """Give every file that a data set is made from, with its hash.

    Raises:
        DataError: one is not there.
    """
    sides = {role: getattr(options, role) for role in _FILES}
    given = {"graph": str(path), **{role: side for role, side in sides.items() if side is not None}}
    return {role: {"file": file, "hash": file_hash(_there(file))} for role, file in given.items()}


def build_key(inputs: Inputs, options: GraphOptions, seed: int, piece: int) -> str:
    """Give digits that change when an input, an option or the seed does; where the files lie does not matter."""
    plain = {name: value for name, value in asdict(options).items() if name not in _FILES}
    hashes = {role: of_role["hash"] for role, of_role in inputs.items()}
    said = json.dumps([_FORMAT, seed, piece, plain, hashes], sort_keys=True)
    return hashlib.sha256(said.encode()).hexdigest()[:DIGITS]


def provenance_of(
    inputs: Inputs, options: GraphOptions, seed: int, skipped: Counter[str], pieces: Sequence[Piece]
) -> dict[str, Any]:
    """Say where a data set comes from. `skipped` is what was left out before rows were made."""
    kept = {split: sum(piece.rows.get(split, 0) for piece in pieces) for split in SPLITS}
    dropped = sum((Counter(piece.skipped) for piece in pieces), skipped)
    return {
        "source": inputs["graph"]["file"],
        "licence": options.licence or "not said",
        "kept": kept,
        "dropped": dict(dropped),
        "seed": seed,
        "content_hash": _content_hash(pieces),
        "options": {name: value for name, value in asdict(options).items() if value is not None},
        "inputs": inputs,
        "files": {file: size for piece in pieces for file, size in piece.sizes.items()},
        "made_with": f"kadapter {metadata.version('kadapter')}",
    }


def read_provenance(folder: Path) -> dict[str, Any]:
    """Read the provenance of a built data set.

    Raises:
        DataError: it is not there, or is not one.
    """
    if not (folder / PROVENANCE).is_file():
        fix = "give a folder that `kadapter data build` made"
        raise DataError(f"holds no {PROVENANCE}", fix, where=str(folder))
    said = read_json(folder / PROVENANCE)
    needed = {"source", "licence", "kept", "dropped", "seed", "content_hash", "options", "key", "files"}
    if not isinstance(said, Mapping) or not said.keys() >= needed:
        problem = f"lacks {', '.join(sorted(needed - set(said)))}" if isinstance(said, Mapping) else "is no object"
        raise DataError(problem, "build the data set again", where=str(folder / PROVENANCE))
    return dict(said)


def _there(file: str) -> Path:
    return Path(file) if Path(file).is_dir() else find(Path(file))


def _content_hash(pieces: Sequence[Piece]) -> str:
    digest = hashlib.sha256()
    for split in SPLITS:
        digest.update(split.encode())
        for piece in pieces:
            digest.update(piece.hashes.get(split, "").encode())
    return digest.hexdigest()[:DIGITS]
