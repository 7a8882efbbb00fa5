"""Going through a probe: its items asked of every model, chunk by chunk, with a bar."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from kadapter.errors import ConfigError
from kadapter.probing.items import Item
from kadapter.probing.language_model import LanguageModel
from kadapter.probing.scoring import Answer, Question, ask, prepare
from kadapter.progress import stepping

CHUNK = 2000
"""Of what is compared, so that a probe of millions of sentences is not in memory at once."""


@dataclass(frozen=True)
class Result:
    """An item that was asked.

    Attributes:
        item: what was asked.
        sentences: the phrasings in which it could be asked.
        answers: for each model, what it said to each of these.
    """

    item: Item
    sentences: tuple[str, ...]
    answers: Mapping[str, Sequence[Answer]]


@dataclass
class Asked:
    """What came of a probe.

    Attributes:
        results: one for each item that could be asked.
        unasked: items that could not, by reason.
        phrasings: phrasings that could not, of items that could, by reason.
    """

    results: list[Result] = field(default_factory=list)
    unasked: Counter[str] = field(default_factory=Counter)
    phrasings: Counter[str] = field(default_factory=Counter)


def check_can_ask(model: LanguageModel) -> None:
    """Raise ConfigError unless a model can be asked."""
    if not model.causal and model.tokenizer.mask_token_id is None:
        raise ConfigError("the tokenizer of this masked model has no mask token; save the one it was trained with")


def ask_all(models: Mapping[str, LanguageModel], items: Sequence[Item], scoring: str, mean: bool = False) -> Asked:
    """Ask models with one tokenizer the same.

    Args:
        models: name -> model.
        items: what to ask.
        scoring: one of `SCORINGS`.
        mean: whether likelihoods are per token.
    """
    first, asked = next(iter(models.values())), Asked()
    chunks = list(_chunks(items, scoring))
    with stepping("probing", len(chunks) * len(models)) as step:
        for chunk in chunks:
            ready = [(item, *_prepared(first, item, scoring, asked)) for item in chunk]
            ready = [(item, sentences, questions) for item, sentences, questions in ready if questions]
            flat = [question for _, _, questions in ready for question in questions]
            said = dict[str, Iterator[Answer]]()
            for name, model in models.items():
                said[name] = iter(ask(model, flat, mean))
                step()
            for item, sentences, questions in ready:
                answers = {name: [next(found) for _ in questions] for name, found in said.items()}
                asked.results.append(Result(item, tuple(sentences), answers))
    return asked


def _chunks(items: Sequence[Item], scoring: str) -> Iterator[list[Item]]:
    chunk, size = list[Item](), 0
    for item in items:
        chunk.append(item)
        size += len(item.sentences) * (1 if scoring == "token" else len(item.choices))
        if size >= CHUNK:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk


def _prepared(model: LanguageModel, item: Item, scoring: str, asked: Asked) -> tuple[list[str], list[Question]]:
    """Give the phrasings in which an item can be asked; count those in which it cannot."""
    made = [(sentence, prepare(model, item, sentence, scoring)) for sentence in item.sentences]
    ready = [(sentence, question) for sentence, question in made if isinstance(question, Question)]
    reasons = [reason for _, reason in made if isinstance(reason, str)]
    if ready:
        asked.phrasings.update(reasons)
    else:
        asked.unasked[reasons[0]] += 1
    return [sentence for sentence, _ in ready], [question for _, question in ready]
