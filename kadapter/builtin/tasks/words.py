"""Sentences that come in words: which token does a word begin with?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from transformers import BatchEncoding, PreTrainedTokenizerBase


class EncodedWords(NamedTuple):
    """Words as tokens.

    Attributes:
        input_ids: the tokens, special ones included.
        firsts: for each word the place of its first token in `input_ids`; None for a word that was cut off, or
            that has no token of its own.
    """

    input_ids: list[int]
    firsts: list[int | None]


def length_limit(tokenizer: PreTrainedTokenizerBase, max_length: int) -> int:
    """Give the most tokens that task and tokenizer both allow."""
    # A tokenizer without a limit of its own says so by a huge number.
    return min(max_length, tokenizer.model_max_length)


def is_cut(encoding: BatchEncoding) -> bool:
    """Say whether a text, or one of a pair, was cut off."""
    return bool(encoding.encodings and encoding.encodings[0].overflowing)


def encode_words(words: Sequence[str], tokenizer: PreTrainedTokenizerBase, max_length: int) -> EncodedWords:
    """Tokenize words joined by spaces; what does not fit into `max_length` tokens is cut off between two words."""
    limit = length_limit(tokenizer, max_length)
    encoding, firsts, lasts = _tokenized(words, tokenizer, limit)
    if is_cut(encoding):
        whole = _whole(lasts)
        encoding, firsts, _ = _tokenized(words[:whole], tokenizer, limit)
        firsts += [None] * (len(words) - whole)
    return EncodedWords(encoding["input_ids"], _distinct(firsts))


def _tokenized(
    words: Sequence[str], tokenizer: PreTrainedTokenizerBase, limit: int
) -> tuple[BatchEncoding, list[int | None], list[int | None]]:
    """Give the tokens, and the first and the last token of each word."""
    encoding = tokenizer(" ".join(words), truncation=True, max_length=limit)
    firsts, lasts, start = [], [], 0
    for word in words:
        # A tokenizer may drop single characters (controls, accents): ask for the next one then.
        places = [encoding.char_to_token(at) for at in range(start, start + len(word))]
        found = [place for place in places if place is not None]
        firsts.append(found[0] if found else None)
        lasts.append(places[-1] if places else None)
        start += len(word) + 1
    return encoding, firsts, lasts


def _whole(lasts: Sequence[int | None]) -> int:
    """Count the words up to the last one whose last character has a token."""
    return max((number for number, last in enumerate(lasts, start=1) if last is not None), default=0)


def _distinct(firsts: Sequence[int | None]) -> list[int | None]:
    """Leave a token to the first of the words that begin with it."""
    return [None if first in firsts[:number] else first for number, first in enumerate(firsts)]
