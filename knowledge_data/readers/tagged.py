"""CoNLL-style files of tagged words, as CrossNER and WNUT-17 are: sentences, or one by one the mentions in them."""

from __future__ import annotations

import reprlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from itertools import takewhile
from pathlib import Path

from datasets import Dataset

from knowledge_data.downstream_rows import TaggedRow, TypingRow, check_tag
from knowledge_data.errors import DataError
from knowledge_data.files import Line, read_blocks
from knowledge_data.reading import Reading, ReadReport, dataset, gather
from knowledge_data.records import Record
from knowledge_data.rows import columns, join_tokens

MET_BEFORE = "mention of the same text and span met before"

_Place = tuple[str, int, int]
"""A text, and where a mention stands in it."""


def read_tagged(path: str | Path) -> Reading:
    """Read a word, a tab or a space, and a BIO tag on each line; a blank line ends a sentence.

    `I-type` must continue a mention of its type, as it does in all of CrossNER and WNUT-17.

    Raises:
        DataError: a line is malformed or a tag is out of place; names file and line.
    """
    return gather(TaggedRow, map(_row, read_blocks(path)))


def read_typing(path: str | Path) -> Reading:
    """Read the same files for entity typing: a row for each mention, as `typing_rows` gives them.

    Raises:
        DataError: as `read_tagged`.
    """
    return _typing(map(_row, read_blocks(path)))


def typing_rows(tagged: Dataset) -> Reading:
    """One row for each mention in rows of tagged words; the text is the words, joined by single spaces.

    Mentions of the same text and span become one row with all their types; the report counts mentions.

    Raises:
        DataError: the rows have no `words` and `tags`, or these do not fit together.
    """
    return _typing(TaggedRow(tuple(words), tuple(tags)) for words, tags in columns(tagged, "words", "tags"))


def _typing(sentences: Iterable[TaggedRow]) -> Reading:
    types: defaultdict[_Place, set[str]] = defaultdict(set)
    mentions = [mention for sentence in sentences for mention in _mentions(sentence)]
    for place, kind in mentions:
        types[place].add(kind)
    rows = [TypingRow(*place, tuple(sorted(kinds))) for place, kinds in types.items()]
    merged = Counter({MET_BEFORE: len(mentions) - len(rows)})
    return Reading(dataset(TypingRow, rows), ReadReport(len(rows), +merged))


def _row(block: list[Line]) -> TaggedRow:
    words, tags = zip(*map(_cells, block), strict=True)
    for before, tag, (where, _) in zip(("O", *tags), tags, block, strict=False):
        Record({}, where).make(check_tag, before, tag, "tag")
    return TaggedRow(words, tags)


def _cells(line: Line) -> tuple[str, str]:
    where, content = line
    cells = content.split("\t" if "\t" in content else " ")
    if len(cells) == 2 and all(cell.strip() for cell in cells):
        return cells[0], cells[1]
    raise DataError(f"is {reprlib.repr(content)}", "write a word, a tab and a tag", where=where)


def _mentions(row: TaggedRow) -> Iterator[tuple[_Place, str]]:
    """Where each mention stands, and its type."""
    firsts = [number for number, tag in enumerate(row.tags) if tag.startswith("B-")]
    lasts = [_last(row.tags, first) for first in firsts]
    text, spans = join_tokens(row.words, *zip(firsts, lasts, strict=True))
    for first, span in zip(firsts, spans, strict=True):
        yield (text, *span), row.tags[first][2:]


def _last(tags: tuple[str, ...], first: int) -> int:
    """The last word of the mention that begins at `first`."""
    return first + sum(1 for _ in takewhile(lambda tag: tag.startswith("I-"), tags[first + 1 :]))
