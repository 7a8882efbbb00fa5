"""What all kinds of rows have in common: frozen, checked when they are made, their fields the columns."""

from __future__ import annotations

from dataclasses import dataclass, fields

from datasets import Features, Sequence, Value

from knowledge_data.errors import DataError

Span = tuple[int, int]

_COLUMNS = {
    "str": Value("string"),
    "int": Value("int64"),
    "tuple[str, ...]": Sequence(Value("string")),
    "tuple[int, ...]": Sequence(Value("int64")),
}


@dataclass(frozen=True)
class Row:
    """A row of one kind. A kind is a frozen dataclass whose fields are texts, whole numbers, or tuples of these.

    Raises:
        DataError: a text is no valid Unicode, or what the kind adds.
    """

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            for text in value if isinstance(value, tuple) else (value,):
                if isinstance(text, str):
                    check_unicode(name, text)

    @property
    def flaw(self) -> str:
        """Why this row, well-formed as it is, is of no use; empty when it is of use."""
        return ""

    @classmethod
    def features(cls) -> Features:
        """The schema of a data set of such rows."""
        return Features({field.name: _COLUMNS[str(field.type)] for field in fields(cls)})


def check_span(text: str, span: Span, field: str = "") -> None:
    """Make sure that a span of characters lies in the text and is not blank.

    Raises:
        DataError: it does not, or it is.
    """
    start, end = span
    if not 0 <= start < end <= len(text):
        problem = f"spans characters {start} to {end}, but the text has {len(text)}"
        raise DataError(problem, "give 0 <= start < end <= length", field=field)
    if not text[start:end].strip():
        raise DataError(f"spans characters {start} to {end}, which are blank", "mark a word", field=field)


def check_filled(fix: str, **texts: str) -> None:
    """Make sure that none of these texts is blank; `fix` says what to do when one is.

    Raises:
        DataError: one is; names it.
    """
    for name, text in texts.items():
        if not text.strip():
            raise DataError("is empty", fix, field=name)


def check_all_filled(fix: str, name: str, texts: tuple[str, ...]) -> None:
    """Make sure that there are texts in the field `name` and that none of them is blank.

    Raises:
        DataError: there is none, or one is blank; names it.
    """
    if not texts:
        raise DataError("is empty", fix, field=name)
    check_filled(fix, **{f"{name}[{number}]": text for number, text in enumerate(texts)})


def check_unicode(name: str, value: str) -> None:
    """Make sure that a text can be written as UTF-8.

    Raises:
        DataError: it holds half a character; names the field.
    """
    try:
        value.encode()
    except UnicodeEncodeError as error:
        problem = f"holds half a character at offset {error.start} (a lone surrogate)"
        raise DataError(problem, "save the file as UTF-8 again", field=name) from None
