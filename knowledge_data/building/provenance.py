"""Where a built data set comes from: inputs, options, seed, counts, and a hash of what it holds."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from knowledge_data.building.pieces import Piece
from knowledge_data.errors import DataError
from knowledge_data.hashing import DIGITS
from knowledge_data.provenance import PROVENANCE, hashed_files, provenance, read_provenance
from knowledge_data.triples.options import GraphOptions
from knowledge_data.triples.splits import SPLITS

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
    return hashed_files(given)


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
    kept = {str(split): sum(piece.rows.get(split, 0) for piece in pieces) for split in SPLITS}
    dropped = sum((Counter(piece.skipped) for piece in pieces), skipped)
    options_said = {name: value for name, value in asdict(options).items() if value is not None}
    told = provenance(inputs["graph"]["file"], options.licence, kept, dropped, _content_hash(pieces), options_said)
    sizes = {file: size for piece in pieces for file, size in piece.sizes.items()}
    return {**told, "inputs": inputs, "seed": seed, "files": sizes}


def read_build(folder: Path) -> dict[str, Any]:
    """Read the provenance of a data set that was built of a graph.

    Raises:
        DataError: it is not there, or is that of something else.
    """
    said = read_provenance(folder) if folder.is_dir() else {}
    if not said:
        fix = "give a folder that `kadapter data build` made"
        raise DataError(f"holds no {PROVENANCE}", fix, where=str(folder))
    if missing := sorted({"source", "kept", "seed", "content_hash", "options", "key", "files"} - said.keys()):
        problem = f"does not say {', '.join(missing)}"
        raise DataError(problem, "give a folder that `kadapter data build` made", where=str(folder / PROVENANCE))
    return said


def _content_hash(pieces: Sequence[Piece]) -> str:
    digest = hashlib.sha256()
    for split in SPLITS:
        digest.update(split.encode())
        for piece in pieces:
            digest.update(piece.hashes.get(split, "").encode())
    return digest.hexdigest()[:DIGITS]
