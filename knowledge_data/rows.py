"""The row that every source of relations gives: a text, two marked spans and the relation between them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from datasets import Dataset

from knowledge_data.errors import DataError
from knowledge_data.row import Row, Span, check_filled, check_span

OVERLAP = "subject and object overlap"

NO_RELATION = "no_relation"

_BATCH = 10_000


@dataclass(frozen=True)
class RelationRow(Row):
    """One text with a marked subject and object. Offsets count characters; ends are exclusive.

    Attributes:
        text: the sentence or passage.
        subject_start, subject_end: where the subject stands in `text`.
        object_start, object_end: where the object stands in `text`.
        relation: the label; `no_relation` for a pair that has none.
        subject_id, object_id: Wikidata id when the source has one, else the case-folded surface form.
        phrasing: the template that the text was made from; empty for text that people wrote.

    Raises:
        DataError: a span is empty, blank or outside the text; a name is empty; a string is no valid Unicode.
    """

    text: str
    subject_start: int
    subject_end: int
    object_start: int
    object_end: int
    relation: str
    subject_id: str
    object_id: str
    phrasing: str = ""

    def __post_init__(self) -> None:
        check_span(self.text, self.subject, "subject")
        check_span(self.text, self.object, "object")
        ids = {"subject_id": self.subject_id, "object_id": self.object_id}
        check_filled("give it a name", relation=self.relation, **ids)
        super().__post_init__()

    @classmethod
    def of_spans(
        cls,
        text: str,
        subject: Span,
        object_: Span,
        relation: str,
        ids: tuple[str, str] = ("", ""),
        phrasing: str = "",
    ) -> RelationRow:
        """The row for two character spans. An empty id becomes the case-folded surface form."""
        subject_id, object_id = (
            identifier or text[slice(*span)].casefold()
            for identifier, span in zip(ids, (subject, object_), strict=True)
        )
        return cls(text, *subject, *object_, relation, subject_id, object_id, phrasing)

    @property
    def subject(self) -> Span:
        """Where the subject stands: character offsets, half-open."""
        return self.subject_start, self.subject_end

    @property
    def object(self) -> Span:
        """Where the object stands: character offsets, half-open."""
        return self.object_start, self.object_end

    @property
    def overlaps(self) -> bool:
        """Whether subject and object share a character."""
        return self.subject_start < self.object_end and self.object_start < self.subject_end

    @property
    def flaw(self) -> str:
        """Subject and object overlap: where both stand, no model can tell which is which."""
        return OVERLAP if self.overlaps else ""


RELATION_FEATURES = RelationRow.features()


def join_tokens(tokens: Sequence[str], *spans: Span) -> tuple[str, list[Span]]:
    """The tokens joined by single spaces, and each inclusive token span as a half-open character span.

    Raises:
        DataError: a span is reversed or leaves the sentence.
    """
    for first, last in spans:
        if not 0 <= first <= last < len(tokens):
            raise DataError(f"token span ({first}, {last}) leaves the sentence of {len(tokens)} tokens")
    starts = [0]
    for token in tokens:
        starts.append(starts[-1] + len(token) + 1)
    return " ".join(tokens), [(starts[first], starts[last + 1] - 1) for first, last in spans]


def columns(rows: Dataset, *names: str) -> Iterator[tuple[Any, ...]]:
    """The values of these columns, row by row.

    Raises:
        DataError: the rows have no such column.
    """
    missing = [name for name in names if name not in rows.column_names]
    if missing:
        fix = f"give rows that have it; these have: {', '.join(rows.column_names)}"
        raise DataError(f"the rows have no column {missing[0]!r}", fix)
    return _columns(rows.select_columns(list(names)), names)


def _columns(rows: Dataset, names: tuple[str, ...]) -> Iterator[tuple[Any, ...]]:
    # Batch by batch, so that rows which lie in a file stay there.
    for batch in rows.with_format("arrow").iter(_BATCH):
        yield from zip(*(batch[name].to_pylist() for name in names), strict=True)
