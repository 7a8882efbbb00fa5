"""Where a data set comes from, as stands beside it: source, licence, counts, options, a hash of what it holds."""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from knowledge_data.files import find, read_json
from knowledge_data.hashing import file_hash
from knowledge_data.records import Record

PROVENANCE = "provenance.json"


def provenance(
    source: str,
    licence: str,
    kept: Mapping[str, int],
    dropped: Mapping[str, int],
    content_hash: str,
    options: Mapping[str, Any],
    inputs: Mapping[str, str | Path] | None = None,
    **more: Any,
) -> dict[str, Any]:
    """Give what is to be told of a data set.

    Args:
        source: what it was made from.
        licence: of that; may be empty.
        kept: how many rows there are, by split, or all as `rows`.
        dropped: how many things gave none, by reason.
        content_hash: of the rows.
        options: what was asked.
        inputs: role -> file or folder that the rows were made from, to be told with its hash.
        more: what is told besides.
    """
    hashed = hashed_files(inputs or {})
    return {
        "source": source,
        "licence": licence or "not said",
        "kept": dict(kept),
        "dropped": dict(dropped),
        "content_hash": content_hash,
        "options": dict(options),
        **({"inputs": hashed} if hashed else {}),
        **more,
        "made_with": f"kadapter {metadata.version('kadapter')}",
    }


def hashed_files(files: Mapping[str, str | Path]) -> dict[str, dict[str, str]]:
    """Give role -> `file`, where it lies, and `hash`, of what it holds.

    Raises:
        DataError: one is not there.
    """
    return {role: {"file": str(path), "hash": file_hash(_there(Path(path)))} for role, path in files.items()}


def read_provenance(place: str | Path) -> dict[str, Any]:
    """Read what stands beside a data set, a folder or a file in it; nothing when nothing does.

    Raises:
        DataError: it is no JSON object.
    """
    folder = Path(place) if Path(place).is_dir() else Path(place).parent
    if not (folder / PROVENANCE).is_file():
        return {}
    return dict(Record.of(read_json(folder / PROVENANCE), str(folder / PROVENANCE)).values)


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Write a JSON file, indented, keys in the order given."""
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _there(path: Path) -> Path:
    return path if path.is_dir() else find(path)
