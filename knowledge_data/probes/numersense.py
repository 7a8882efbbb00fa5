"""NumerSense (Lin et al. 2020): commonsense sentences whose number word is hidden."""

from __future__ import annotations

from pathlib import Path

from knowledge_data.files import read_table
from knowledge_data.probes.rows import OBJECT, ClozeProbe
from knowledge_data.reading import Reading, gather
from knowledge_data.records import Record

MASK = "<mask>"

NUMBER_WORDS = ("no", "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
"""What may stand in the blank."""

RELATION = "number"


def read_numersense(path: str | Path) -> Reading:
    """Read lines of a sentence with one `<mask>`, a tab and the number word; rows are `ClozeProbe` without subject.

    Raises:
        DataError: a line is malformed; names file, line and field.
    """
    records = read_table(path, header=("sentence", "answer"))
    return gather(ClozeProbe, map(_row, records), repeats=True)


def _row(record: Record) -> ClozeProbe:
    sentence, answer = record.get("sentence", str), record.get("answer", str)
    if sentence.count(MASK) != 1:
        raise record.error("sentence", f"has {sentence.count(MASK)} blanks", f"write {MASK} once")
    if answer not in NUMBER_WORDS:
        raise record.error("answer", f"is {answer!r}", f"write one of: {', '.join(NUMBER_WORDS)}")
    phrasing = sentence.replace(MASK, OBJECT)
    return record.make(ClozeProbe.of_one, RELATION, "", answer, (phrasing,), candidates=NUMBER_WORDS)
