"""SemEval-2010 Task 8: web sentences with two tagged nominals and a directed relation."""

from __future__ import annotations

import re
import reprlib
from pathlib import Path

from knowledge_data.errors import DataError
from knowledge_data.files import Line, read_blocks
from knowledge_data.reading import Reading, gather
from knowledge_data.records import Record
from knowledge_data.rows import RelationRow

_SENTENCE = re.compile(r'\d+\t"(.*?)<e1>(.*?)</e1>(.*?)<e2>(.*?)</e2>(.*)"')
_TAG = re.compile(r"</?e[12]>")
_LABEL = re.compile(r"Other|[^\s()]+\((?:e1,e2|e2,e1)\)")


def read_semeval(path: str | Path) -> Reading:
    """Read `TRAIN_FILE.TXT`. The subject is `<e1>`, the object `<e2>`; the direction stays in the label.

    The labels are like `Cause-Effect(e1,e2)` and `Other`. Comments are dropped; the file has no entity ids.

    Raises:
        DataError: an example is malformed; names file, line and field.
    """
    return gather(RelationRow, map(_row, read_blocks(path)))


def _row(example: list[Line]) -> RelationRow:
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


def _check_comment(example: list[Line]) -> None:
    for where, line in example[2:]:
        if not line.startswith("Comment:"):
            fix = "end each example by a blank line"
            raise DataError(f"is {reprlib.repr(line)}", fix, where=where, field="comment")


def _label(example: list[Line]) -> str:
    if len(example) == 1:
        raise DataError("is missing", "write it below the sentence", where=example[0][0], field="relation")
    where, label = example[1]
    if _LABEL.fullmatch(label):
        return label
    fix = "write Name(e1,e2), Name(e2,e1) or Other"
    raise DataError(f"is {label!r}", fix, where=where, field="relation")
