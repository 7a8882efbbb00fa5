"""A row with something to fill in: a sentence, and the piece of it that is hidden."""

from __future__ import annotations

from dataclasses import dataclass

from knowledge_data.row import Row, check_filled, check_span


@dataclass(frozen=True)
class ClozeRow(Row):
    """A sentence that states a fact, whose object is to be guessed. What hides it is the reader's affair.

    Attributes:
        text: the sentence, whole.
        start, end: where the object stands: characters, half-open.
        relation: which relation the sentence states.
        subject_id, object_id: the entities.
        phrasing: the template that the text was made from.

    Raises:
        DataError: the span is empty, blank or outside the text, or a name is empty.
    """

    text: str
    start: int
    end: int
    relation: str
    subject_id: str
    object_id: str
    phrasing: str = ""

    def __post_init__(self) -> None:
        check_span(self.text, (self.start, self.end), "object")
        ids = {"subject_id": self.subject_id, "object_id": self.object_id}
        check_filled("give it a name", relation=self.relation, **ids)
        super().__post_init__()
