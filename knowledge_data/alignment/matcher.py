"""Finding names in a text: from left to right, the longest first, never inside a word."""

from __future__ import annotations

from collections import defaultdict
from typing import NamedTuple

from knowledge_data.alignment.names import Meanings, Names
from knowledge_data.alignment.words import Word, words
from knowledge_data.row import Span


class Mention(NamedTuple):
    """Where a text names something: characters, half-open; and the entities that the name may mean."""

    start: int
    end: int
    entities: tuple[str, ...]

    @property
    def span(self) -> Span:
        """Where it stands."""
        return self.start, self.end


class Matcher:
    """Finds names. Where one has begun, the longest is taken, and the next is looked for behind it.

    A name that is written exactly as it was given is preferred to one of as many words in another case.
    """

    def __init__(self, names: Names) -> None:
        self._cased, self._folded = names.cased, names.folded
        self._lengths_cased, self._lengths_folded = _lengths(names.cased), _lengths(names.folded)

    def find(self, text: str) -> list[Mention]:
        """The mentions in a text, in their order; no two overlap."""
        found, at, there = [], 0, words(text)
        while at < len(there):
            length, entities = self._longest(there, at)
            if length:
                found.append(Mention(there[at][1][0], there[at + length - 1][1][1], entities))
            at += length or 1
        return found

    def _longest(self, there: list[Word], at: int) -> tuple[int, tuple[str, ...]]:
        """How many words the longest name has that begins at word `at`, and what it means; 0 for none."""
        word = there[at][0]
        cased = _match(self._cased, self._lengths_cased.get(word, ()), there, at, folds=False)
        folded = _match(self._folded, self._lengths_folded.get(word.casefold(), ()), there, at, folds=True)
        return cased if cased[0] >= folded[0] else folded


def _match(
    names: Meanings, lengths: tuple[int, ...], there: list[Word], at: int, folds: bool
) -> tuple[int, tuple[str, ...]]:
    for length in lengths:
        if at + length <= len(there):
            key = " ".join([word for word, _ in there[at : at + length]])
            entities = names.get(key.casefold() if folds else key)
            if entities is not None:
                return length, entities
    return 0, ()


def _lengths(names: Meanings) -> dict[str, tuple[int, ...]]:
    """The first word of names -> how many words these have, the longest first: what a trie would say at its root."""
    lengths: defaultdict[str, set[int]] = defaultdict(set)
    for key in names:
        first, *others = key.split(" ")
        lengths[first].add(1 + len(others))
    return {first: tuple(sorted(counts, reverse=True)) for first, counts in lengths.items()}
