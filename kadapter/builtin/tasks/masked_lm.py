"""Masked language modelling: which tokens did the text have where a mask stands now?"""

from __future__ import annotations

import random
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from kadapter import ConfigError
from kadapter.builtin.tasks.checks import check
from kadapter.builtin.tasks.language_modelling import LanguageModelling, LanguageModellingConfig
from kadapter.builtin.tasks.padding import IGNORED

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True)
class MaskedLMConfig(LanguageModellingConfig):
    """Options of masked language modelling, beside those of language modelling.

    Attributes:
        mask_probability: of each token of a `text`; at least one is masked. Which ones is drawn once for each text, so
            that every epoch asks the same and a store of frozen states serves them all.
        head: the backbone's `own`, frozen; or a `fresh` one, which is trained: the paper's way to LAMA, with all else
            frozen (`training.trains: [head]`).
    """

    mask_probability: float = 0.15
    head: Literal["own", "fresh"] = "own"

    def __post_init__(self) -> None:
        super().__post_init__()
        check(self, "mask_probability", 0 < self.mask_probability <= 1, "above 0 and at most 1")
        if self.hold and self.head == "fresh":
            raise ConfigError("task: hold needs `head: own`; a fresh head has nothing to be held to")


_ROWS = [
    {"text": "the harbour of the old town is full of small boats"},
    {"text": "a river runs by"},
    {"text": "bread"},
]
_CLOZES = [
    {"text": "the river runs by the old town", "start": 4, "end": 9, "hold": False},
    {"text": "small boats", "start": 0, "end": 5, "hold": False},
]


class MaskedLM(LanguageModelling):
    """The tokens behind masks."""

    name: ClassVar[str] = "masked-lm"
    Config: ClassVar[type] = MaskedLMConfig
    causal: ClassVar[bool] = False
    examples: ClassVar[Sequence[Mapping[str, Any]]] = (
        {"rows": _ROWS},
        {"rows": _ROWS, "head": "fresh"},
        {
            "rows": [*_CLOZES, {"text": "who painted the bridge ?", "start": 0, "end": 0, "hold": True}],
            "objective": "cloze",
            "hold": 1.0,
        },
    )

    def check_tokenizer(self, tokenizer: PreTrainedTokenizerBase) -> None:
        """Raise ConfigError when there is no mask."""
        if tokenizer.mask_token_id is None:
            raise ConfigError("the backbone's tokenizer has no mask token; take a masked backbone, or task 'causal-lm'")

    def drawn(self, places: list[int], random: random.Random) -> list[int]:
        """Draw each place with `mask_probability`; one, if none was drawn."""
        return [p for p in places if random.random() < self.config.mask_probability] or [random.choice(places)]

    def ask(
        self, tokens: list[int], places: Collection[int], tokenizer: PreTrainedTokenizerBase
    ) -> tuple[list[int], list[int]]:
        """Put masks in these places."""
        masked = [tokenizer.mask_token_id if place in places else token for place, token in enumerate(tokens)]
        return masked, [token if place in places else IGNORED for place, token in enumerate(tokens)]
