"""What a reader of triples is given: the file, what to do about bad records, and how records are laid out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from knowledge_data.errors import DataError
from knowledge_data.members import Member
from knowledge_data.streams import NO_TEXT, Complain, fail, stream_numbered

LONGEST_LINE = 1_000_000
"""In bytes; a triple that is longer is none."""

Found = tuple[int, str, str, str]
"""The line, and what stands there for subject, relation and object."""


@dataclass(frozen=True)
class Scan:
    """One pass over a file.

    Attributes:
        member: the file.
        complain: what to do about what is of no use.
        skipped: counts, by reason, what is well formed but no triple.
        columns: names of the columns of subject, relation and object; `None`: as the file has them.
        unit: what is counted, when it is not lines.
    """

    member: Member
    complain: Complain = fail
    skipped: Counter[str] = field(default_factory=Counter)
    columns: Sequence[str] | None = None
    unit: str = ""

    def lines(self) -> Iterator[tuple[int, str]]:
        """Give the lines that are not blank, with their numbers; complain of those that hold what no text holds."""
        for number, line in stream_numbered(self.member, self.complain, LONGEST_LINE):
            if "\0" in line:
                problem, fix = "is not UTF-8 text: it holds zero bytes, as UTF-16 does", "save it as UTF-8"
                self.complain(NO_TEXT, DataError(problem, fix, where=self.at(number)))
            elif line and not line.isspace():
                yield number, line

    def at(self, number: int) -> str:
        """Say where a line, or what else is counted, stands."""
        return f"{self.member.name}: {self.unit} {number}" if self.unit else f"{self.member.name}:{number}"


def bad_text(*texts: str) -> str:
    """Say why one of these cannot be an id or a name: escapes can write what no file can hold. Empty when all can."""
    for text in texts:
        if "\0" in text:
            return "holds a zero byte"
        if not text.isascii() and any("\ud800" <= letter <= "\udfff" for letter in text):
            return "is no valid Unicode (half of a surrogate pair)"
    return ""
