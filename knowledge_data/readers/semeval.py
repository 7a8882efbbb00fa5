"""SemEval-2010 Task 8: web sentences with two tagged nominals and a directed relation."""

from __future__ import annotations

import re
import reprlib
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

from knowledge_data.errors import DataError
from knowledge_data.files import read_text
from knowledge_data.reading import Reading, gather
from knowledge_data.records import Record
from knowledge_data.rows import RelationRow

_SENTENCE = re.compile(r'\d+\t"(.*?)<e1>(.*?)</e1>(.*?)<e2>(.*?)</e2>(.*)"')
_TAG = re.compile(r"</?e[12]>")
_LABEL = re.compile(r"Other|[^\s()]+\((?:e1,e2|e2,e1)\)")

_Line = tuple[str, str]
"""Where a line stands (`file:line`), and what it says."""


def read_semeval(path: str | Path) -> Reading:
    """Read `TRAIN_FILE.TXT`. The subject is `<e1>`, the object `<e2>`; the direction stays in the label.

    The labels are like `Cause-Effect(e1,e2)` and `Other`. Comments are dropped; the file has no entity ids.

    Raises:
        DataError: an example is malformed; names file, line and field.
    """
    return gather(map(_row, _examples(path)))


def _examples(path: str | Path) -> Iterator[list[_Line]]:
    """The lines of each example: its sentence, its label and mostly a comment."""
    numbered = enumerate(read_text(path).split("\n"), start=1)
    lines = ((f"{path}:{number}", line.rstrip()) for number, line in numbered)
    for filled, example in groupby(lines, key=lambda line: bool(line[1])):
        if filled:
            yield list(example)


def _row(example: list[_Line]) -> RelationRow:
    where, sentence = example[0]
    _check_comment(example)
    before, subject, between, object_, after = _parts(where, sentence)
    start, second = len(before), len(before + subject + between)
    return Record({}, where).row(
        before + subject + between + object_ + after,
        (start, start + len(subject)),
        (second, second + len(object_)),
        _label(example),
    )


def _parts(where: str, sentence: str) -> tuple[str, ...]:
    found = _SENTENCE.fullmatch(sentence)
    if found and not _TAG.search("\0".join(found.groups())):
        return found.groups()
    problem = "is not a number, a tab and a quoted text with one <e1>…</e1> before one <e2>…</e2>"
    raise DataError(problem, "correct the line", where=where, field="sentence")


def _check_comment(example: list[_Line]) -> None:
    for where, line in example[2:]:
        if not line.startswith("Comment:"):
            fix = "end each example by a blank line"
            raise DataError(f"is {reprlib.repr(line)}", fix, where=where, field="comment")


def _label(example: list[_Line]) -> str:
    if len(example) == 1:
        raise DataError("is missing", "write it below the sentence", where=example[0][0], field="relation")
    where, label = example[1]
    if _LABEL.fullmatch(label):
        return label
    fix = "write Name(e1,e2), Name(e2,e1) or Other"
    raise DataError(f"is {label!r}", fix, where=where, field="relation")
