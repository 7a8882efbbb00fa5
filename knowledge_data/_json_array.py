"""The items of a JSON array that is larger than memory."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

_SPACE = " \t\n\r"

_LONGEST_WORD = len("-Infinity")


def stream_array(texts: Iterable[str], longest: int) -> Iterator[Any]:
    """Give the items of the array whose text comes in these pieces; only one item, and one piece, is in memory.

    Raises:
        ValueError: it is no JSON array, breaks off, or an item is longer than `longest` characters.
        RecursionError: an item is nested too deeply.
    """
    window = _Window(texts, longest)
    window.take("[")
    if window.peek() != "]":
        yield window.value()
    while window.peek() != "]":
        window.take(",")
        yield window.value()
    window.take("]")
    if window.peek():
        raise ValueError("something follows the array")


class _Window:
    """The piece of a text that has been fetched and not yet been read."""

    def __init__(self, texts: Iterable[str], longest: int) -> None:
        self._texts, self._longest = iter(texts), longest
        self._text, self._at = "", 0
        self._decode = json.JSONDecoder().raw_decode

    def peek(self) -> str:
        """The next character that is no space; empty at the end."""
        while True:
            while self._at < len(self._text) and self._text[self._at] in _SPACE:
                self._at += 1
            if self._at < len(self._text):
                return self._text[self._at]
            if not self._more():
                return ""

    def take(self, wanted: str) -> None:
        """Go past this character, which must come next."""
        there = self.peek()
        if there != wanted:
            raise ValueError(f"{there!r} stands where {wanted!r} must" if there else "it breaks off")
        self._at += 1

    def value(self) -> Any:
        """The next value."""
        self.peek()
        while True:
            try:
                value, end = self._decode(self._text, self._at)
            except json.JSONDecodeError as error:
                if not self._may_go_on(error):
                    raise ValueError(error.msg) from None
                if not self._more():
                    raise ValueError("it breaks off") from None
            else:
                if self._may_grow(value, end) and self._more():
                    continue
                self._at = end
                return value

    def _may_grow(self, value: Any, end: int) -> bool:
        """Whether this is a number that goes on in the next piece: `1` of `10`, of `1.5` or of `1e-5`."""
        return isinstance(value, (int, float)) and len(self._text) - end <= len("e-")

    def _may_go_on(self, error: json.JSONDecodeError) -> bool:
        """Whether more text could mend this error: it is one of the end of what has been fetched."""
        if len(self._text) - self._at > self._longest:
            raise ValueError(f"an item is longer than {self._longest:,} characters")
        return error.msg.startswith("Unterminated") or len(self._text) - error.pos <= _LONGEST_WORD

    def _more(self) -> bool:
        """Fetch about as much again as waits to be read, so that reading a long item anew costs little in all."""
        pieces, wanted = list[str](), max(1, len(self._text) - self._at)
        for piece in self._texts:
            pieces.append(piece)
            wanted -= len(piece)
            if wanted <= 0:
                break
        if pieces:
            self._text, self._at = "".join([self._text[self._at :], *pieces]), 0
        return bool(pieces)
