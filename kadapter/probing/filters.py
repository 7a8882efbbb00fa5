"""What is left out of a probe, and why: what was taught, and what names give away (LAMA-UHN, Poerner et al. 2020)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence

from kadapter.probing.items import BLANK, Item
from kadapter.probing.language_model import LanguageModel
from kadapter.probing.scoring import Answer, ask, prepare

IN_NAME = "answer that stands in the subject"
BY_NAME = "answer that the subject's name suggests"

NAMES_SUGGEST = 3
"""An answer is suggested when it is among the first so many."""

_KINDS = {
    "/people/person/place_of_birth": "city",
    "/people/deceased_person/place_of_death": "city",
    "P19": "city",
    "P20": "city",
    "P27": "country",
    "P103": "language",
    "P1412": "language",
}
"""Relations of persons whose names give something away -> what kind of thing."""


def in_names(model: LanguageModel, items: Sequence[Item], scoring: str) -> dict[int, str]:
    """Find items whose right answer is part of the subject's name, whatever the case: Apple of Apple Watch."""
    return {
        number: IN_NAME
        for number, item in enumerate(items)
        if any(right.casefold() in item.subject.casefold() for right in item.right)
    }


def by_names(model: LanguageModel, items: Sequence[Item], scoring: str) -> dict[int, str]:
    """Find items whose right answer the model would guess from a word of the subject's name alone.

    It is asked what a word of the name is common in, as LAMA-UHN does for relations of persons with places and
    languages, and the answer must be among the first three. Where no more than three choices are wrong, that would say
    next to nothing, and nothing is suggested.
    """
    questions = defaultdict[int, list[Item]](list)
    for number, item in enumerate(items):
        if item.relation in _KINDS and item.subject:
            questions[number] = [_on_word(item, word) for word in item.subject.split()]
    flat = [
        (number, prepare(model, item, item.sentences[0], scoring)) for number in questions for item in questions[number]
    ]
    asked = [(number, question) for number, question in flat if not isinstance(question, str)]
    answers = ask(model, [question for _, question in asked])
    return {n: BY_NAME for (n, _), answer in zip(asked, answers, strict=True) if _suggested(answer)}


def _suggested(answer: Answer) -> bool:
    return answer.rank <= NAMES_SUGGEST < answer.choices - answer.right


def _on_word(item: Item, word: str) -> Item:
    sentence = f"{word} is a common name in the following {_KINDS[item.relation]}: {BLANK}."
    return Item(item.relation, item.right, item.choices, (sentence,))


Filter = Callable[[LanguageModel, Sequence[Item], str], Mapping[int, str]]
"""Takes the bare model, items, and how they are scored; gives the number of each to leave out, and why."""

FILTERS: Mapping[str, Filter] = {"string": in_names, "name": by_names}
"""Name -> filter."""
