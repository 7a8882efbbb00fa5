"""Where a data set comes from, as stands beside it: source, licence, counts, options, a hash of what it holds."""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

PROVENANCE = "provenance.json"


def provenance(
    source: str,
    licence: str,
    kept: int,
    dropped: Mapping[str, int],
    content_hash: str,
    options: Mapping[str, Any],
    **more: Any,
) -> dict[str, Any]:
    """Give what is to be told of a data set; `dropped` counts by reason, `more` is what is told besides."""
    return {
        "source": source,
        "licence": licence or "not said",
        "kept": kept,
        "dropped": dict(dropped),
        "content_hash": content_hash,
        "options": dict(options),
        **more,
        "made_with": f"kadapter {metadata.version('kadapter')}",
    }


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Write a JSON file, indented, keys in the order given."""
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
