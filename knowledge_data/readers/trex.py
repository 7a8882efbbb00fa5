"""T-REx-rc: Wikipedia sentences as tokens, with Wikidata relations (the factual data of K-Adapter)."""

from __future__ import annotations

from pathlib import Path

from knowledge_data.readers._marked_tokens import read_marked_tokens
from knowledge_data.reading import Reading


def read_trex(path: str | Path) -> Reading:
    """Read a JSON array or JSON lines; `subj_label` and `obj_label` hold the Wikidata ids, if there are any.

    Raises:
        DataError: a record is malformed; names file, record and field.
    """
    return read_marked_tokens(path, id_fields=("subj_label", "obj_label"))
