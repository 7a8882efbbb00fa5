"""Raw text, parsed by an installed spaCy pipeline, as K-Adapter's authors parsed theirs (section 3.4)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from knowledge_data.errors import DataError
from knowledge_data.files import Line, read_lines
from knowledge_data.parses import ParseRow
from knowledge_data.reading import Reading, Skip, gather

if TYPE_CHECKING:
    from spacy.language import Language
    from spacy.tokens import Span

SHORT = "sentence of one word"


def read_parsed_text(path: str | Path, pipeline: str) -> Reading:
    """Parse a text, one passage a line, into sentences; those of one word are left out.

    Args:
        path: a UTF-8 text file.
        pipeline: name or folder of an installed spaCy pipeline with a parser, such as `en_core_web_sm`.

    Raises:
        DataError: the file cannot be read, a line is longer than the pipeline takes, spaCy or the pipeline is not
            installed or cannot be loaded, or the pipeline does not parse.
    """
    lines = [line for line in read_lines(path) if line[1]]
    return gather(ParseRow, _sentences(_pipeline(pipeline), lines))


def _pipeline(name: str) -> Language:
    try:
        import spacy
    except ImportError as error:
        raise DataError("spaCy is not installed", "pip install 'kadapter[spacy]'") from error
    try:
        return spacy.load(name)
    except OSError as error:
        fix = f"install it (python -m spacy download {name}), or name one that is installed"
        raise DataError(f"spaCy has no pipeline {name!r}", fix) from error
    except Exception as error:  # what a pipeline raises that lacks a package or fits another version is its own
        reason = " ".join(str(error).split())
        raise DataError(f"the spaCy pipeline {name!r} cannot be loaded ({reason})", "install what it needs") from error


def _sentences(parser: Language, lines: list[Line]) -> Iterator[ParseRow | Skip]:
    for where, text in lines:
        if len(text) > parser.max_length:
            problem = f"has {len(text):,} characters; spaCy takes {parser.max_length:,} at once"
            raise DataError(problem, "write a passage a line", where=where)
    for document in parser.pipe(text for _, text in lines):
        if not (document.has_annotation("DEP") and document.has_annotation("SENT_START")):
            fix = "name one with a parser"
            raise DataError(f"the spaCy pipeline {parser.meta['name']!r} gives no heads", fix)
        yield from map(_row, document.sents)


def _row(sentence: Span) -> ParseRow | Skip:
    # spaCy makes tokens of line ends and double spaces; no treebank does.
    words = [token for token in sentence if not token.is_space]
    number = {token.i: place for place, token in enumerate(words, start=1)}
    if len(words) < 2:
        return Skip(SHORT)
    return ParseRow(
        words=tuple(token.text for token in words),
        # A root is its own head in spaCy; whatever hangs from white space hangs from the root.
        heads=tuple(0 if token.head == token else number.get(token.head.i, 0) for token in words),
        relations=tuple(token.dep_.lower() or "_" for token in words),
        upos=tuple(token.pos_ or "_" for token in words),
    )
