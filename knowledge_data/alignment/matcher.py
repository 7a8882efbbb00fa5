"""Finding names in a text: from left to right, the longest first, never inside a word."""

from __future__ import annotations

from collections import defaultdict
from typing import NamedTuple

from knowledge_data.alignment.names import Meanings, Names
from knowledge_data.alignment.words import words
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
        self._cased, self._folded = _Table(names.cased), _Table(names.folded)

    def find(self, text: str) -> list[Mention]:
        """The mentions in a text, in their order; no two overlap."""
        there = words(text)
        spelled = [word for word, _ in there]
        folded = [word.casefold() for word in spelled]
        found, at = list[Mention](), 0
        while at < len(there):
            cased, other = self._cased.longest(spelled, at), self._folded.longest(folded, at)
            length, entities = cased if cased[0] >= other[0] else other
            if length:
                found.append(Mention(there[at][1][0], there[at + length - 1][1][1], entities))
            at += length or 1
        return found


class _Table:
    """Names, and how many words those have that begin with the same two: a trie, but for its first step only."""

    def __init__(self, names: Meanings) -> None:
        lengths: defaultdict[str, set[int]] = defaultdict(set)
        for key in names:
            first, *others = key.split(" ")
            if others:
                lengths[f"{first} {others[0]}"].add(1 + len(others))
        self._names = names
        self._lengths = {start: tuple(sorted(counts, reverse=True)) for start, counts in lengths.items()}

    def longest(self, spelled: list[str], at: int) -> tuple[int, tuple[str, ...]]:
        """How many words the longest name has that begins at word `at`, and what it means; 0 for none."""
        for length in self._lengths.get(" ".join(spelled[at : at + 2]), ()):
            entities = self._names.get(" ".join(spelled[at : at + length]))
            # The last words of a text are fewer than asked for.
            if entities is not None and at + length <= len(spelled):
                return length, entities
        entities = self._names.get(spelled[at])
        return (1, entities) if entities is not None else (0, ())
