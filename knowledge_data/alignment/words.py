"""What counts as a word when names are looked for in a text: a name never begins or ends inside one."""

from __future__ import annotations

import re
import sys
import unicodedata
from functools import cache

from knowledge_data.row import Span

Word = tuple[str, Span]
"""A word, and where it stands: characters, half-open."""

_SCRIPTS_WITHOUT_SPACES = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"


def words(text: str) -> list[Word]:
    """The words of a text: runs of letters, digits, underscores and their combining marks; each other sign by itself.

    Where no spaces are written (Chinese, Japanese kana, Thai, Lao, Burmese, Khmer), each character is a word.
    """
    return [(match.group(), match.span()) for match in _pattern().finditer(text)]


@cache
def _pattern() -> re.Pattern[str]:
    marks = "".join(f"{chr(first)}-{chr(last)}" for first, last in _mark_ranges())
    letters = rf"[^\W{_SCRIPTS_WITHOUT_SPACES}]"
    return re.compile(rf"{letters}+(?:[{marks}]+{letters}*)*|\S[{marks}]*")


def _mark_ranges() -> list[list[int]]:
    """Combining marks, which Python does not count among the characters of a word."""
    ranges: list[list[int]] = []
    for code in range(0x300, sys.maxunicode + 1):
        if unicodedata.category(chr(code)) in ("Mn", "Mc"):
            if ranges and ranges[-1][1] == code - 1:
                ranges[-1][1] = code
            else:
                ranges.append([code, code])
    return ranges
