"""CoNLL-U: the sentences of Universal Dependencies treebanks, in any language."""

from __future__ import annotations

import reprlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from conllu.exceptions import ParseException
from conllu.parser import parse_id_value, parse_int_value

from knowledge_data.errors import DataError
from knowledge_data.files import Line, read_blocks
from knowledge_data.parses import ParseRow, WrongHead
from knowledge_data.reading import Reading, gather

_COLUMNS = ("id", "form", "lemma", "upos", "xpos", "feats", "head", "deprel", "deps", "misc")

_NUMBERS: dict[str, tuple[Callable[[str], Any], str]] = {
    "id": (parse_id_value, "write 3, or 3-4 for a multiword token, or 8.1 for an empty node"),
    "head": (parse_int_value, "write the number of the head; 0 is the root"),
}
"""Column that holds numbers -> its parser, and what to do when it fails."""


def read_conllu(path: str | Path) -> Reading:
    """Read the words of every sentence, with head, relation and part of speech.

    Comments, the surface of multiword tokens (`3-4`) and empty nodes (`8.1`) are passed over, since heads are
    counted in words. Sentences that stand there twice are kept twice.

    Raises:
        DataError: a line is malformed, or a head is missing, is no word of its sentence or leads in a circle; names
            file and line.
    """
    # Scorers count a sentence as often as it stands there.
    return gather(ParseRow, map(_row, _sentences(path)), repeats=True)


def _sentences(path: str | Path) -> Iterator[list[Line]]:
    """Give the lines of each sentence, without comments."""
    blocks = ([line for line in block if not line[1].startswith("#")] for block in read_blocks(path))
    sentences = [lines for lines in blocks if lines]
    if not sentences:
        raise DataError("holds no sentence", "give a file in the CoNLL-U format", where=str(path))
    yield from sentences


def _row(sentence: list[Line]) -> ParseRow:
    tokens = [(where, _token(where, text)) for where, text in sentence]
    words = [(where, token) for where, token in tokens if isinstance(token["id"], int)]
    if not words:
        raise DataError("begins a sentence without words", "give its words, counted from 1", where=sentence[0][0])
    for number, (where, token) in enumerate(words, start=1):
        _check_word(where, token, number)
    try:
        return ParseRow(
            *(tuple(token[field] for _, token in words) for field in ("form", "head")),
            *(tuple(token[field] or "_" for _, token in words) for field in ("deprel", "upos")),
        )
    except WrongHead as error:
        raise error.at(words[error.word - 1][0]) from None


def _token(where: str, text: str) -> dict[str, Any]:
    """Split one line. The library would take two spaces inside a column for the next column."""
    cells = text.split("\t")
    if len(cells) != len(_COLUMNS):
        problem = f"has {len(cells)} columns, not {len(_COLUMNS)}"
        raise DataError(problem, "separate the ten columns of CoNLL-U by tabs", where=where)
    token: dict[str, Any] = dict(zip(_COLUMNS, cells, strict=True))
    for field, (parse, fix) in _NUMBERS.items():
        try:
            token[field] = parse(token[field])
        except (ParseException, ValueError):
            raise DataError(f"is {reprlib.repr(token[field])}", fix, where=where, field=field) from None
    if token["id"] is None:
        raise DataError("is missing", _NUMBERS["id"][1], where=where, field="id")
    return token


def _check_word(where: str, token: dict[str, Any], number: int) -> None:
    if token["id"] != number:
        raise DataError(f"is {token['id']}, not {number}", "count words from 1", where=where, field="id")
    if not token["form"].strip():
        raise DataError("is empty", "write the word", where=where, field="form")
    if token["head"] is None:
        raise DataError("is missing", "give a parsed treebank; 0 is the root", where=where, field="head")
