"""From sentences to what is read of a model: which tokens, seen after or among which others."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from kadapter.probing.batches import Prompt, log_probabilities
from kadapter.probing.language_model import LanguageModel

Span = tuple[int, int]


class Term(NamedTuple):
    """The share of one token in a likelihood: a model sees `ids`, and gives `token` a probability where `at` is."""

    ids: tuple[int, ...]
    at: int
    token: int


@dataclass(frozen=True)
class Tokens:
    """A sentence as tokens.

    Attributes:
        ids: of all tokens, special ones too.
        spans: where each stands in the sentence: characters, half-open.
        words: the number of the word that each belongs to; None for special ones.
        special: whether each is one that the tokenizer adds.
    """

    ids: tuple[int, ...]
    spans: tuple[Span, ...]
    words: tuple[int | None, ...]
    special: tuple[bool, ...]

    def inside(self, span: Span | None) -> list[int]:
        """Give the numbers of the tokens that have a character in the span; of all but special ones without one."""
        real = [number for number, special in enumerate(self.special) if not special]
        if span is None:
            return real
        return [n for n in real if self.spans[n][0] < span[1] and span[0] < self.spans[n][1]]


def tokens_of(model: LanguageModel, sentences: Sequence[str]) -> list[Tokens]:
    """Cut sentences into tokens, with whatever special ones the tokenizer adds by itself, and the model's start."""
    start = () if model.start is None else (model.start,)
    told = model.tokenizer(list(sentences), return_offsets_mapping=True, return_special_tokens_mask=True)
    return [
        Tokens(
            (*start, *told["input_ids"][row]),
            (*((0, 0) for _ in start), *map(tuple, told["offset_mapping"][row])),
            (*(None for _ in start), *told.word_ids(row)),
            (*(True for _ in start), *map(bool, told["special_tokens_mask"][row])),
        )
        for row in range(len(sentences))
    ]


def terms(model: LanguageModel, tokens: Tokens, span: Span | None = None, words: bool = True) -> list[Term]:
    """Give the shares of the tokens inside the span in the log-likelihood of a sentence.

    A causal model sees what is before a token; the first token, which has nothing before it, has no share. A masked
    one sees the whole sentence without that token and without what follows of the same word: pseudo-log-likelihood
    (Salazar et al. 2020) as Kauf and Ivanova (2023) corrected it; or, without `words`, without that token alone.
    """
    numbers = tokens.inside(span)
    if model.causal:
        seen = tokens.ids[: max(numbers, default=0)]
        return [Term(seen, number - 1, tokens.ids[number]) for number in numbers if number]
    mask = _mask(model)
    return [Term(_hidden(tokens, number, mask, words), number, tokens.ids[number]) for number in numbers]


def _hidden(tokens: Tokens, number: int, mask: int, words: bool) -> tuple[int, ...]:
    word = tokens.words[number] if words else None
    return tuple(
        mask if n == number or (n > number and tokens.words[n] == word and word is not None) else token
        for n, token in enumerate(tokens.ids)
    )


def _mask(model: LanguageModel) -> int:
    return int(model.tokenizer.mask_token_id)


def log_likelihoods(model: LanguageModel, sequences: Sequence[Sequence[Term]]) -> list[list[float]]:
    """Give the log-probability of each term of each sequence; what several terms see is run once."""
    places = defaultdict[tuple[int, ...], list[tuple[int, int, Term]]](list)
    for number, sequence in enumerate(sequences):
        for place, term in enumerate(sequence):
            places[term.ids].append((number, place, term))
    found = [[0.0] * len(sequence) for sequence in sequences]
    for wanted, values in _read(model, list(places.values())):
        for (number, place, _), value in zip(wanted, values, strict=True):
            found[number][place] = value
    return found


Wanted = list[tuple[int, int, Term]]


def _read(model: LanguageModel, groups: Sequence[Wanted]) -> Iterator[tuple[Wanted, list[float]]]:
    """Run each group, whose terms see the same, once."""
    positions = [sorted({term.at for _, _, term in group}) for group in groups]
    prompts = [Prompt(group[0][2].ids, tuple(at)) for group, at in zip(groups, positions, strict=True)]
    for number, values in log_probabilities(model, prompts):
        row = {at: row for row, at in enumerate(prompts[number].at)}
        rows, tokens = zip(*((row[term.at], term.token) for _, _, term in groups[number]), strict=True)
        yield groups[number], values[list(rows), list(tokens)].tolist()
