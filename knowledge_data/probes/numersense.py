"""NumerSense (Lin et al. 2020): commonsense sentences whose number word is hidden."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from knowledge_data.errors import DataError
from knowledge_data.probes.gathering import made, read_rows
from knowledge_data.probes.rows import OBJECT, ClozeProbe
from knowledge_data.reading import Reading
from knowledge_data.records import Record
from knowledge_data.streams import Complain, stream_lines

MASK = "<mask>"

NUMBER_WORDS = ("no", "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
"""What may stand in the blank."""

RELATION = "number"


def read_numersense(path: str | Path, on_error: str = "raise") -> Reading:
    """Read lines of a sentence with one `<mask>`, a tab and the number word; rows are `ClozeProbe` without subject.

    Args:
        path: of the file.
        on_error: `raise`, or `skip` what is malformed and count it.

    Raises:
        DataError: a line is malformed; names file, line and field.
    """
    return read_rows(ClozeProbe, lambda complain: made(_lines(path, complain), _row, complain), on_error, repeats=True)


def _lines(path: str | Path, complain: Complain) -> Iterator[Record]:
    yield from (Record({"line": line}, where) for where, line in stream_lines(path, complain) if line)


def _row(record: Record) -> ClozeProbe:
    cells = str(record.values["line"]).split("\t")
    if len(cells) != 2:
        problem = f"has {len(cells)} cells but must have 2: sentence, answer"
        raise DataError(problem, "separate the cells by tabs", where=record.where)
    sentence, answer = cells
    if sentence.count(MASK) != 1:
        raise record.error("sentence", f"has {sentence.count(MASK)} blanks", f"write {MASK} once")
    if answer not in NUMBER_WORDS:
        raise record.error("answer", f"is {answer!r}", f"write one of: {', '.join(NUMBER_WORDS)}")
    phrasing = sentence.replace(MASK, OBJECT)
    return record.make(ClozeProbe.of_one, RELATION, "", answer, (phrasing,), candidates=NUMBER_WORDS)
