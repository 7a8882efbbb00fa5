"""TACRED: news sentences as tokens, with relations of people and organisations, and many `no_relation`."""

from __future__ import annotations

from pathlib import Path

from knowledge_data.readers._marked_tokens import read_marked_tokens
from knowledge_data.reading import Reading


def read_tacred(path: str | Path) -> Reading:
    """Read a JSON array or JSON lines; `no_relation` is a label like the others. The file has no entity ids.

    Raises:
        DataError: a record is malformed; names file, record and field.
    """
    return read_marked_tokens(path)
