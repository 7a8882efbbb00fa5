"""Plain text: a passage a line, or a field of JSON records."""

from __future__ import annotations

from pathlib import Path

from knowledge_data.alignment.texts import stream_texts
from knowledge_data.downstream_rows import TextRow
from knowledge_data.errors import DataError
from knowledge_data.reading import Reading, gather


def read_text(path: str | Path) -> Reading:
    """Read passages: the lines of a text file, blank ones passed over, or the field `text` of JSON records.

    Raises:
        DataError: the file cannot be read or is empty, or a record has no text.
    """
    reading = gather(TextRow, (TextRow(text) for _, text in stream_texts(path)))
    if not reading.rows:
        raise DataError("is empty", "give a file with records", where=str(path))
    return reading
