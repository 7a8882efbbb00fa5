"""Tiny language models with random weights, masked and causal, and facts to ask them for."""

import functools
from dataclasses import dataclass
from typing import Any

import pytest
import torch

from kadapter.probing.items import Item


@dataclass
class Tiny:
    """A language model of transformers."""

    model: Any
    tokenizer: Any
    causal: bool
    batches: int = 0
    start: int | None = None

    def logits(self, input_ids, attention_mask):
        self.batches += 1
        return self.model(input_ids=input_ids, attention_mask=attention_mask).logits


@functools.cache
def _tiny_lm(family):
    from transformers import AutoModelForCausalLM, AutoModelForMaskedLM

    from kadapter.testing import tiny_backbone
    from kadapter.testing.backbones import fill_randomly, tiny_tokenizer

    causal = family in ("gpt2", "llama")
    config = tiny_backbone(family).model.config
    with torch.random.fork_rng():
        model = (AutoModelForCausalLM if causal else AutoModelForMaskedLM).from_config(config)
    fill_randomly(model)
    return Tiny(model.eval(), tiny_tokenizer(), causal)


@pytest.fixture(scope="session")
def tiny_lm():
    """Gives the tiny language model of a family, always the same one."""
    return _tiny_lm


@pytest.fixture(params=["bert", "roberta", "gpt2", "llama"])
def lm(request):
    return _tiny_lm(request.param)


@pytest.fixture
def masked():
    return _tiny_lm("bert")


@pytest.fixture
def causal():
    return _tiny_lm("llama")


TOWNS = ("harbour", "bridge", "old town", "river")


@pytest.fixture
def items():
    """Facts in two phrasings, of two relations, with answers of one word and of two."""
    said = ("{} runs by the [Y].", "near the [Y] is {}")
    people = ("who", "nobody", "bread", "small boats", "a boat")
    return [
        Item(f"r{number % 2}", (TOWNS[number % 4],), TOWNS, tuple(s.format(person) for s in said), person)
        for number, person in enumerate(people)
    ]
