"""N-Triples: a statement a line, about entities called by their IRIs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from knowledge_data.errors import DataError
from knowledge_data.graphs.scan import Found, Scan, bad_text
from knowledge_data.streams import NO_TEXT

NO_STATEMENT = "not a statement of N-Triples"
LITERAL = "literal: a text or a number, no entity"


class Statement(NamedTuple):
    """One statement of RDF.

    Attributes:
        line: where it stands; 0 when nobody knows.
        subject, relation: IRIs; the subject may be a blank node, `_:b1`.
        object: an IRI, a blank node, or the text of a literal.
        literal: whether the object is a literal.
        language: of the literal, in small letters; empty when it says none.
    """

    line: int
    subject: str
    relation: str
    object: str
    literal: bool = False
    language: str = ""


_IRI = r"<([^<>\"{}|^`\s]+)>"
_BLANK = r"(_:[\w:](?:[\w:.·-]*[\w:·-])?)"
_TEXT = r"\"([^\"\\]*(?:\\.[^\"\\]*)*)\"(?:@([A-Za-z]+(?:-[A-Za-z0-9]+)*)|\^\^<[^<>\"\s]+>)?"
_LINE = re.compile(rf"\s*(?:{_IRI}|{_BLANK})\s*{_IRI}\s*(?:{_IRI}|{_BLANK}|{_TEXT})\s*\.\s*(?:#.*)?")
_ESCAPE = re.compile(r"\\(?:u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})|(.))", re.DOTALL)
_LETTERS = {"t": "\t", "b": "\b", "n": "\n", "r": "\r", "f": "\f", '"': '"', "'": "'", "\\": "\\"}


def scan_statements(scan: Scan) -> Iterator[Statement]:
    """Every statement; comments are passed over."""
    for number, line in scan.lines():
        if line.lstrip().startswith("#"):
            continue
        try:
            yield _statement(line, number)
        except DataError as error:
            complaint = NO_TEXT if error.field == _UNICODE else NO_STATEMENT
            scan.complain(complaint, DataError(error.problem, error.fix, where=scan.at(number)))


def scan_ntriples(scan: Scan) -> Iterator[Found]:
    """Every statement between two entities; literals are counted."""
    for line, subject, relation, object_, literal, _ in scan_statements(scan):
        if literal:
            scan.skipped[LITERAL] += 1
        else:
            yield line, subject, relation, object_


_UNICODE = "unicode"


def _statement(line: str, number: int) -> Statement:
    found = _LINE.fullmatch(line)
    if found is None:
        fix = "write <subject> <relation> <object> . on one line"
        raise DataError("is no statement of N-Triples", fix)
    subject, blank, relation, object_, blank_object, text, language = found.groups()
    parts = subject or blank, relation, object_ or blank_object or text or ""
    if "\\" in line:
        parts = _plain(parts[0]), _plain(parts[1]), _plain(parts[2])
    return Statement(number, *parts, literal=text is not None, language=(language or "").lower())


def _plain(text: str) -> str:
    plain = _ESCAPE.sub(_unescaped, text)
    if problem := bad_text(plain):
        raise DataError(problem, "correct the escapes", field=_UNICODE)
    return plain


def _unescaped(found: re.Match[str]) -> str:
    short, long, letter = found.groups()
    if letter is not None:
        if letter not in _LETTERS:
            raise DataError(f"has the unknown escape \\{letter}", "write a backslash twice")
        return _LETTERS[letter]
    code = int(short or long, 16)
    if code > 0x10FFFF:
        raise DataError(f"has the escape \\U{long}, which is no letter", "correct the escapes")
    return chr(code)
