"""One question with a blank: the top answers of each model, side by side."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from kadapter.errors import ConfigError
from kadapter.model import KnowledgeModel
from kadapter.probing.asking import check_can_ask
from kadapter.probing.batches import Prompt, log_probabilities
from kadapter.probing.encoding import log_likelihoods, terms, tokens_of
from kadapter.probing.items import BLANK
from kadapter.probing.language_model import LanguageModel
from kadapter.probing.plugged import both_of
from kadapter.probing.scoring import TOO_LONG, filled, limit_of, word_of

_BLANKS = re.compile(r"\[MASK\]|<mask>|\[Y\]", re.IGNORECASE)

POOL = 500
"""How many words a causal model proposes by what is before the blank; what is behind it then chooses among them."""

Answers = dict[str, list[dict[str, Any]]]
"""Model -> its answers, best first: `answer` and `probability`."""


@dataclass(frozen=True)
class QuestionOptions:
    """How a question is asked.

    Attributes:
        mean: whether likelihoods are per token.
    """

    mean: bool = False


def blanks_in(text: str) -> int:
    """Count the blanks in a text."""
    return len(_BLANKS.findall(text))


def ask_one(model: KnowledgeModel, text: str, top: int = 5, choices: Sequence[str] = (), mean: bool = False) -> Answers:
    """Give the top answers to a question without adapters and, if there are any, with them.

    Args:
        model: with a language-model head.
        text: with one blank: `[MASK]` or `<mask>`.
        top: how many answers.
        choices: what is chosen from, by the likelihood of the whole sentence; none for all words.
        mean: whether likelihoods are per token.

    Raises:
        ConfigError: the text has not one blank, is too long, or there is nothing before the blank that a causal model
            without a start token could go on from; a choice is empty or said twice.
        BackboneError: the backbone has no language-model head.
    """
    # Where the answer comes first, a causal model has nothing else to go on from.
    first = not _BLANKS.split(text)[0].strip()
    return answers_of(both_of(model, start=first), text, top, choices, mean)


def answers_of(
    models: Mapping[str, LanguageModel], text: str, top: int = 5, choices: Sequence[str] = (), mean: bool = False
) -> Answers:
    """Give what `ask_one` gives, of any models with one tokenizer; probabilities are among all words, or choices."""
    if top < 1:
        raise ConfigError(f"{top} answers are asked for; ask for 1 or more")
    if blanks_in(text) != 1:
        raise ConfigError(f"{text!r} has {blanks_in(text)} blanks; write [MASK] once, where the answer stands")
    if "" in map(str.strip, choices) or len(set(choices)) < len(choices):
        raise ConfigError(f"choices are {', '.join(map(repr, choices))}; give each once, and none that is empty")
    sentence, first = _BLANKS.sub(lambda _: BLANK, text), next(iter(models.values()))
    check_can_ask(first)
    if choices:
        return {name: _chosen(model, sentence, choices, mean)[:top] for name, model in models.items()}
    if first.causal and any(letter.isalnum() for letter in sentence.split(BLANK)[1]):
        # Both choose from what either proposes, or their probabilities could not be compared.
        pool = {answer["answer"]: None for model in models.values() for answer in _words(model, sentence, POOL)}
        named = [word for word in pool if word]
        return {name: _chosen(model, sentence, named, mean)[:top] for name, model in models.items()}
    return {name: _words(model, sentence, top) for name, model in models.items()}


def _words(model: LanguageModel, sentence: str, top: int) -> list[dict[str, Any]]:
    [(_, values)] = log_probabilities(model, [_prompt(model, sentence)])
    best = values[0].topk(min(top, values.shape[-1]))
    return [
        {"answer": word_of(model, int(token)), "probability": float(value.exp())}
        for value, token in zip(best.values, best.indices, strict=True)
    ]


def _prompt(model: LanguageModel, sentence: str) -> Prompt:
    before, after = sentence.split(BLANK)
    text = before.rstrip() if model.causal else f"{before}{model.tokenizer.mask_token}{after}"
    [tokens] = tokens_of(model, [text])
    if len(tokens.ids) > limit_of(model):
        raise ConfigError(f"the question has {len(tokens.ids)} tokens: {TOO_LONG} ({limit_of(model)})")
    if not model.causal:
        return Prompt(tokens.ids, (tokens.ids.index(int(model.tokenizer.mask_token_id)),))
    last = max(tokens.inside(None), default=0 if tokens.ids else -1)
    if last < 0:
        raise ConfigError(
            "nothing is before the blank, and a causal model only goes on; write the answer later, or --choice"
        )
    return Prompt(tokens.ids[: last + 1], (last,))


def _chosen(model: LanguageModel, sentence: str, choices: Sequence[str], mean: bool) -> list[dict[str, Any]]:
    sentences, _ = filled(sentence, choices)
    sequences = [terms(model, tokens) for tokens in tokens_of(model, sentences)]
    if not all(sequences):
        raise ConfigError("a choice alone has nothing that a causal model could go on from; write something before it")
    if max(len(term.ids) for sequence in sequences for term in sequence) > limit_of(model):
        raise ConfigError(f"the question is {TOO_LONG} ({limit_of(model)} tokens)")
    scores = [sum(shares) / (len(shares) if mean else 1) for shares in log_likelihoods(model, sequences)]
    shares = torch.tensor(scores, dtype=torch.float64).softmax(0).tolist()
    ranked = sorted(zip(choices, shares, strict=True), key=lambda pair: -pair[1])
    return [{"answer": choice, "probability": share} for choice, share in ranked]
