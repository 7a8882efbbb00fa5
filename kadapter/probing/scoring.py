"""Asking: every phrasing of every item becomes an answer, and the rank of the right one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import NamedTuple

import torch
from torch import Tensor

from kadapter.probing.batches import Prompt, log_probabilities
from kadapter.probing.encoding import Span, Term, log_likelihoods, terms, tokens_of
from kadapter.probing.items import BLANK, Item
from kadapter.probing.language_model import LanguageModel

SCORINGS = ("token", "object", "sentence")

SEVERAL_TOKENS = "answer of several tokens"
TEXT_FOLLOWS = "text after the blank, which a causal model does not see"
TOO_LONG = "longer than the model takes"
NOTHING_READ = "nothing to tell apart"
NOTHING_BEFORE = "nothing before the answer, which a causal model goes on from"
NOT_A_CHOICE = "no right answer among the choices"


class Answer(NamedTuple):
    """What a model says to one phrasing.

    Attributes:
        said: its best answer.
        rank: of the best right answer, 1 the first; what a wrong one shares counts against it.
        choices: among how many.
        right: how many of these are right.
    """

    said: str
    rank: int
    choices: int
    right: int


@dataclass(frozen=True)
class Question:
    """One phrasing of an item, ready to be asked.

    Attributes:
        choices: what is compared; none for all words of the vocabulary.
        right: numbers of the right ones among these; or tokens.
        sequences: for each choice, what is read.
        prompt: what is read when there are no choices.
    """

    choices: tuple[str, ...]
    right: frozenset[int]
    sequences: tuple[tuple[Term, ...], ...] = ()
    prompt: Prompt | None = None

    @property
    def longest(self) -> int:
        """How many tokens its longest input has."""
        seen = (term.ids for sequence in self.sequences for term in sequence)
        return max(map(len, seen), default=0) if self.prompt is None else len(self.prompt.ids)


def prepare(model: LanguageModel, item: Item, sentence: str, scoring: str) -> Question | str:
    """Make a question of a sentence with a blank, or say why there is none. `scoring` is one of `SCORINGS`."""
    made = _of_vocabulary(model, item, sentence) if scoring == "token" else _of_list(model, item, sentence, scoring)
    return TOO_LONG if isinstance(made, Question) and made.longest > limit_of(model) else made


def limit_of(model: LanguageModel) -> int:
    """Give how many tokens a model takes."""
    return int(model.tokenizer.model_max_length)


def filled(sentence: str, answers: Sequence[str]) -> tuple[list[str], list[Span]]:
    """Put each answer in the blank; give the sentences and where the answer stands in each."""
    before, after = sentence.split(BLANK)
    return [f"{before}{a}{after}" for a in answers], [(len(before), len(before) + len(a)) for a in answers]


def _of_list(model: LanguageModel, item: Item, sentence: str, scoring: str) -> Question | str:
    right = frozenset(number for number, choice in enumerate(item.choices) if choice in item.right)
    if not right:
        return NOT_A_CHOICE
    sentences, spans = filled(sentence, item.choices)
    whole = scoring == "sentence" or item.whole
    cut = [(tokens, None if whole else span) for tokens, span in zip(tokens_of(model, sentences), spans, strict=True)]
    sequences = tuple(tuple(terms(model, tokens, span)) for tokens, span in cut)
    if not whole and any(len(s) < len(t.inside(span)) for s, (t, span) in zip(sequences, cut, strict=True)):
        return NOTHING_BEFORE
    return Question(item.choices, right, sequences) if all(sequences) else NOTHING_READ


def _of_vocabulary(model: LanguageModel, item: Item, sentence: str) -> Question | str:
    sentences, spans = filled(sentence, item.right)
    if model.causal and any(letter.isalnum() for letter in sentence.split(BLANK)[1]):
        return TEXT_FOLLOWS
    cut = zip(tokens_of(model, sentences), spans, strict=True)
    # Without what follows of its word: where only spaces part words, that is the full stop.
    single = [terms(model, tokens, span, words=False) for tokens, span in cut if len(tokens.inside(span)) == 1]
    if not single:
        return SEVERAL_TOKENS
    read = [found[0] for found in single if found]
    if not read:
        return NOTHING_BEFORE
    first = read[0]
    # Where a name changes how its neighbours are cut, it answers another question.
    right = frozenset(term.token for term in read if term[:2] == first[:2])
    return Question((), right, prompt=Prompt(first.ids, (first.at,)))


def ask(model: LanguageModel, questions: Sequence[Question], mean: bool = False) -> list[Answer]:
    """Ask them all, batched.

    Args:
        model: what is asked.
        questions: as `prepare` made them, for a model with the same tokenizer.
        mean: whether likelihoods are per token, so that long choices have no drawback.
    """
    answers = dict(_ask_vocabulary(model, questions)) | dict(_ask_lists(model, questions, mean))
    return [answers[number] for number in range(len(questions))]


def _ask_vocabulary(model: LanguageModel, questions: Sequence[Question]) -> Iterator[tuple[int, Answer]]:
    asked = [(number, question.prompt) for number, question in enumerate(questions) if question.prompt is not None]
    for at, values in log_probabilities(model, [prompt for _, prompt in asked]):
        number, _ = asked[at]
        yield number, _open(model, questions[number], values[0])


def _open(model: LanguageModel, question: Question, values: Tensor) -> Answer:
    said = word_of(model, int(values.argmax()))
    right = sorted(question.right)
    return Answer(said, rank_of(values, right), len(values), len(right))


def word_of(model: LanguageModel, token: int) -> str:
    """Give a token as a word."""
    return str(model.tokenizer.decode([token])).strip()


def _ask_lists(model: LanguageModel, questions: Sequence[Question], mean: bool) -> list[tuple[int, Answer]]:
    numbers = [number for number, question in enumerate(questions) if question.choices]
    sequences = [sequence for number in numbers for sequence in questions[number].sequences]
    scores = iter([fmean(shares) if mean else sum(shares) for shares in log_likelihoods(model, sequences)])
    return [
        (number, _closed(questions[number], [next(scores) for _ in questions[number].choices])) for number in numbers
    ]


def _closed(question: Question, scores: Sequence[float]) -> Answer:
    values, right = torch.tensor(scores, dtype=torch.float64), sorted(question.right)
    return Answer(question.choices[int(values.argmax())], rank_of(values, right), len(values), len(right))


def rank_of(values: Tensor, right: Sequence[int]) -> int:
    """Give the rank of the best right one, 1 the first; other right ones do not count, what is level counts against,
    and so does what is no number.

    Args:
        values: (N,)
        right: numbers of the right ones.
    """
    wrong = torch.ones_like(values, dtype=torch.bool)
    wrong[list(right)] = False
    return 1 + int((~(values[wrong] < values[list(right)].max())).sum())
