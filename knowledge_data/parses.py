"""The row that every source of parsed sentences gives: words, and the head of each."""

from __future__ import annotations

from dataclasses import dataclass

from knowledge_data.errors import DataError
from knowledge_data.row import Row, check_all_filled

ROOT = 0
"""The head of a word that hangs from no other."""


@dataclass(frozen=True)
class ParseRow(Row):
    """One sentence and its dependency tree. Words are counted from 1; several may hang from the root.

    Attributes:
        words: the syntactic words.
        heads: for each word the number of its head, 0 for the root.
        relations: for each word its relation to its head, such as `nsubj` or `acl:relcl`.
        upos: for each word its part of speech, such as `NOUN` or `PUNCT`.

    Raises:
        WrongHead: a head is no word of the sentence, is the word itself, or its words hang in a circle.
        DataError: there is no word, one is blank, heads, relations or parts of speech are more or fewer than the
            words, or a text is no valid Unicode.
    """

    words: tuple[str, ...]
    heads: tuple[int, ...]
    relations: tuple[str, ...]
    upos: tuple[str, ...]

    def __post_init__(self) -> None:
        check_all_filled("give a word", "words", self.words)
        for name in ("heads", "relations", "upos"):
            if len(getattr(self, name)) != len(self.words):
                problem = f"has {len(getattr(self, name))} entries for {len(self.words)} words"
                raise DataError(problem, "give one for each word", field=name)
        self._check_heads()
        super().__post_init__()

    def _check_heads(self) -> None:
        for number, head in enumerate(self.heads, start=1):
            if not 0 <= head <= len(self.words):
                raise WrongHead(number, f"is {head} but the sentence has {len(self.words)} words")
            if head == number:
                raise WrongHead(number, f"is {head}, the word itself")
        circle = _circle(self.heads)
        if circle:
            raise WrongHead(circle[0], f"closes a circle: {' → '.join(map(str, circle))}")


class WrongHead(DataError):
    """The head of a word cannot be what it is.

    Attributes:
        word: the number of the word, from 1.
    """

    def __init__(self, word: int, problem: str) -> None:
        self.word = word
        super().__init__(problem, "count words from 1; 0 is the root", field="head")


def _circle(heads: tuple[int, ...]) -> list[int]:
    """Give the words of a circle, the first one again at the end; nothing when every word leads to the root."""
    sound: set[int] = {ROOT}
    for word in range(1, len(heads) + 1):
        path: list[int] = []
        while word not in sound:
            if word in path:
                return [*path[path.index(word) :], word]
            path.append(word)
            word = heads[word - 1]
        sound.update(path)
    return []
