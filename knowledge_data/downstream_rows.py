"""The rows of downstream tasks: tagged words, typed mentions, labelled texts, questions with choices or answers."""

from __future__ import annotations

import re
import reprlib
from dataclasses import dataclass

from knowledge_data.errors import DataError
from knowledge_data.row import Row, check_all_filled, check_filled, check_span

_TAG = re.compile(r"O|[BI]-\S+")

RIGHT_CHOICE_TWICE = "the right choice stands there twice"


@dataclass(frozen=True)
class TaggedRow(Row):
    """The words of one sentence, each with a tag: O, or `B-type` and `I-type` for the first and further words.

    Attributes:
        words: at least one.
        tags: one for each word.

    Raises:
        DataError: there is no word, one is blank, there are more or fewer tags than words, or a tag is none of
            these or continues no mention of its type.
    """

    words: tuple[str, ...]
    tags: tuple[str, ...]

    def __post_init__(self) -> None:
        check_all_filled("give a word", "words", self.words)
        if len(self.words) != len(self.tags):
            raise DataError(f"has {len(self.tags)} tags for {len(self.words)} words", "tag each word", field="tags")
        for number, (before, tag) in enumerate(zip(("O", *self.tags), self.tags, strict=False)):
            check_tag(before, tag, f"tags[{number}]")
        super().__post_init__()


@dataclass(frozen=True)
class TypingRow(Row):
    """One mention of an entity in a text, and the types that it has.

    Attributes:
        text: the sentence.
        start, end: where the mention stands: characters, half-open.
        types: one or more, sorted.

    Raises:
        DataError: the span is empty, blank or outside the text, or a type is missing, empty or given twice.
    """

    text: str
    start: int
    end: int
    types: tuple[str, ...]

    def __post_init__(self) -> None:
        check_span(self.text, (self.start, self.end), "mention")
        check_all_filled("give the mention a type", "types", self.types)
        if list(self.types) != sorted(set(self.types)):
            raise DataError(f"is {self.types}", "sort the types and give each once", field="types")
        super().__post_init__()


@dataclass(frozen=True)
class TextRow(Row):
    """A text and nothing else.

    Attributes:
        text: the text.

    Raises:
        DataError: it is empty.
    """

    text: str

    def __post_init__(self) -> None:
        check_filled("give the text", text=self.text)
        super().__post_init__()


@dataclass(frozen=True)
class LabelledRow(Row):
    """A text or a pair of texts, and its label.

    Attributes:
        text: the text, or the first of the pair.
        text_pair: the second; empty when there is none.
        label: what it is said to be.

    Raises:
        DataError: text or label are empty.
    """

    text: str
    text_pair: str
    label: str

    def __post_init__(self) -> None:
        check_filled("give the text", text=self.text)
        check_filled("give it a name", label=self.label)
        super().__post_init__()


@dataclass(frozen=True)
class ChoiceRow(Row):
    """A context, perhaps a question about it, and choices of which one is right.

    Attributes:
        context: what is told, or the beginning that a choice completes.
        question: empty when there is none.
        choices: two or more.
        label: which one is right, counted from 0.

    Raises:
        DataError: the context or a choice is empty, there are fewer than two choices, or the label is none of them.
    """

    context: str
    question: str
    choices: tuple[str, ...]
    label: int

    def __post_init__(self) -> None:
        check_filled("say what is asked", context=self.context)
        check_all_filled("give each choice a text", "choices", self.choices)
        if len(self.choices) < 2:
            raise DataError("has only one", "give two or more", field="choices")
        if not 0 <= self.label < len(self.choices):
            raise DataError(f"is {self.label} but there are {len(self.choices)} choices", "count from 0", field="label")
        super().__post_init__()

    @property
    def flaw(self) -> str:
        """The right choice stands there twice: nobody can tell which one is meant."""
        return RIGHT_CHOICE_TWICE if self.choices.count(self.choices[self.label]) > 1 else ""


@dataclass(frozen=True)
class AnswerRow(Row):
    """A question about a context, answered by a piece of the context, or not at all.

    Attributes:
        id: names the question.
        question: what is asked.
        context: where the answer stands, if it does.
        answers: the pieces that are right; none when the context does not answer the question.
        starts: where each begins in the context, counted in characters.

    Raises:
        DataError: id, question, context or an answer are empty, or an answer does not stand where it is said to.
    """

    id: str
    question: str
    context: str
    answers: tuple[str, ...]
    starts: tuple[int, ...]

    def __post_init__(self) -> None:
        check_filled("give it a text", id=self.id, question=self.question, context=self.context)
        if len(self.answers) != len(self.starts):
            problem = f"has {len(self.starts)} places for {len(self.answers)} answers"
            raise DataError(problem, "place each answer", field="starts")
        for number, (answer, start) in enumerate(zip(self.answers, self.starts, strict=True)):
            self._check_answer(answer, start, f"answers[{number}]")
        super().__post_init__()

    def _check_answer(self, answer: str, start: int, field: str) -> None:
        check_filled("leave it out", **{field: answer})
        there = self.context[start : start + len(answer)] if start >= 0 else ""
        if there != answer:
            problem = f"is {reprlib.repr(answer)} but the context says {reprlib.repr(there)} at character {start}"
            raise DataError(problem, "count characters from 0", field=field)


def check_tag(before: str, tag: str, field: str) -> None:
    """Make sure that a tag is O, `B-type` or `I-type`, and that it may follow the tag `before`.

    Raises:
        DataError: it is another one, or an I that continues no mention of its type.
    """
    if not _TAG.fullmatch(tag):
        raise DataError(f"is {reprlib.repr(tag)}", "write O, B-type or I-type", field=field)
    if tag.startswith("I-") and before[1:] != tag[1:]:
        fix = f"begin the mention with B-{tag[2:]}"
        raise DataError(f"is {tag!r} after {before!r}, which it does not continue", fix, field=field)
