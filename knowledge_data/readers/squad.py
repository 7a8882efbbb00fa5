"""SQuAD, versions 1.1 and 2.0, and what is written in its form: questions about paragraphs of articles."""

from __future__ import annotations

from pathlib import Path

from knowledge_data.downstream_rows import AnswerRow
from knowledge_data.errors import DataError
from knowledge_data.files import read_json
from knowledge_data.reading import Reading, gather
from knowledge_data.records import Record


def read_squad(path: str | Path) -> Reading:
    """Read `{"data": [{"paragraphs": [{"context": ..., "qas": [{"id", "question", "answers", "is_impossible"}]}]}]}`.

    A question whose `is_impossible` is true has no answers; where the field is missing, no answers mean the same.

    Raises:
        DataError: a record is malformed, or an answer does not stand at its `answer_start`; names file, record and
            field.
    """
    return gather(AnswerRow, _rows(path))


def _rows(path: str | Path) -> list[AnswerRow]:
    rows = [
        _row(question, paragraph.get("context", str))
        for article in Record.of(read_json(path), str(path)).records("data")
        for paragraph in article.records("paragraphs")
        for question in paragraph.records("qas")
    ]
    if not rows:
        raise DataError("holds no record", "give a file with questions", where=str(path))
    return rows


def _row(question: Record, context: str) -> AnswerRow:
    answers = question.records("answers")
    _check_possible(question, len(answers))
    texts = tuple(answer.get("text", str) for answer in answers)
    starts = tuple(answer.get("answer_start", int) for answer in answers)
    return question.make(AnswerRow, question.get("id", str), question.get("question", str), context, texts, starts)


def _check_possible(question: Record, answers: int) -> None:
    impossible = question.optional("is_impossible", bool, not answers)
    if impossible and answers:
        raise question.error("is_impossible", f"is true but there are {answers} answers", "leave them out")
    if not impossible and not answers:
        raise question.error("answers", "is empty", "give an answer, or say that is_impossible is true")
