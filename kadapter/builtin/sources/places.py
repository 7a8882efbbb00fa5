"""Where the data of a source lies."""

from __future__ import annotations

from pathlib import Path

from kadapter import KnowledgeSource
from knowledge_data import DataError


def place_of(source: KnowledgeSource, path: Path | None) -> Path:
    """Give the path.

    Raises:
        DataError: there is none.
    """
    if path is None:
        raise DataError(f"source '{source.name}' has no path", "say where the data lies")
    return path
