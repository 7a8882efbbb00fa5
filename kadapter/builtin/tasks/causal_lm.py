"""Causal language modelling: which token comes next?"""

from __future__ import annotations

import random
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from kadapter.builtin.tasks.language_modelling import LanguageModelling, LanguageModellingConfig
from kadapter.builtin.tasks.padding import IGNORED

if TYPE_CHECKING:
    from transformers import BatchEncoding, PreTrainedTokenizerBase

_ROWS = [
    {"text": "the harbour of the old town is full of small boats"},
    {"text": "a river runs by"},
]
_CLOZES = [
    {"text": "the river runs by the old town", "start": 4, "end": 9, "hold": False},
    {"text": "a boat in the harbour", "start": 14, "end": 21, "hold": False},
]


class CausalLM(LanguageModelling):
    """The next tokens."""

    name: ClassVar[str] = "causal-lm"
    Config: ClassVar[type] = LanguageModellingConfig
    causal: ClassVar[bool] = True
    examples: ClassVar[Sequence[Mapping[str, Any]]] = (
        {"rows": _ROWS},
        {
            "rows": [*_CLOZES, {"text": "who painted the bridge ?", "start": 0, "end": 0, "hold": True}],
            "objective": "cloze",
            "hold": 1.0,
        },
    )

    def askable(self, encoding: BatchEncoding) -> list[int]:
        """Give the places that may be asked: not the first one, before which there is nothing."""
        return [place for place in super().askable(encoding) if place > 0]

    def drawn(self, places: list[int], random: random.Random) -> list[int]:
        """Give all places."""
        return places

    def ask(
        self, tokens: list[int], places: Collection[int], tokenizer: PreTrainedTokenizerBase
    ) -> tuple[list[int], list[int]]:
        """Leave the tokens as they are, up to the last one that is asked: what comes behind it changes nothing."""
        kept = tokens[: max(places) + 1]
        return kept, [token if place in places else IGNORED for place, token in enumerate(kept)]
