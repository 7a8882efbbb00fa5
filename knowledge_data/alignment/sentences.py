"""Where the sentences of a passage stand: by punctuation, capitals and a list of abbreviations, without a model."""

from __future__ import annotations

import re

from knowledge_data.row import Span

_END = re.compile(r"[.!?…]+[\"'”’»)\]]*(?=\s+[\"'“‘«(\[¿¡]*[^\W_a-z])|[。！？]+[”’」』）]*|\n\s*\n")
"""Where a sentence may end: a stop before white space and a capital or digit, a full-width stop, or a blank line."""

_ABBREVIATIONS = frozenset(
    re.findall(
        r"\S+",
        "adm al approx ave bros ca capt cf co col corp dept dr e.g ed esp est etc fig fr gen gov hon i.e inc jr lt ltd "
        "maj mme mr mrs ms mt no nos op p pp pres prof rep rev sen sgt sr st ste u.k u.s univ v viz vol vols vs",
    )
)
_LAST_WORD = re.compile(r"[\w.]*\w(?=\.$)")


def sentence_spans(text: str) -> list[Span]:
    """Where each sentence stands: characters, half-open, without white space around it.

    A full stop behind an initial (`J. Smith`) or a common English abbreviation ends none.
    """
    starts = [0, *(found.end() for found in _END.finditer(text) if not _is_abbreviation(text, found))]
    pieces = zip(starts, [*starts[1:], len(text)], strict=True)
    trimmed = (_trim(text, start, end) for start, end in pieces)
    return [(start, end) for start, end in trimmed if start < end]


def _is_abbreviation(text: str, found: re.Match[str]) -> bool:
    if found.group() != ".":
        return False
    # No abbreviation is longer: only a little of the text is looked at.
    last = _LAST_WORD.search(text[max(0, found.start() - 12) : found.end()])
    word = last.group() if last else ""
    return (len(word) == 1 and word.isupper()) or word.lower() in _ABBREVIATIONS


def _trim(text: str, start: int, end: int) -> Span:
    piece = text[start:end]
    return start + len(piece) - len(piece.lstrip()), end - len(piece) + len(piece.rstrip())
