"""Multiple choice: which of the choices answers the question about the context?

A context and a question with each of its choices are encoded as pairs, and each pair gets one number, as in
K-Adapter's question answering on CosmosQA (arXiv 2002.01808, section 4.2).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from kadapter import ConfigError, Encoded, Task
from kadapter.builtin.tasks.checks import check, check_dropout, check_max_length
from kadapter.builtin.tasks.encoding import LOST, encode_rows
from kadapter.builtin.tasks.pairs import pad_parts, room_beside, token_columns
from kadapter.builtin.tasks.pooling import Pool, PooledHead
from kadapter.builtin.tasks.words import is_cut, length_limit

if TYPE_CHECKING:
    import numpy as np
    from datasets import Dataset, DatasetDict
    from transformers import BatchEncoding, PreTrainedTokenizerBase


@dataclass(frozen=True)
class MultipleChoiceConfig:
    """Options of multiple choice.

    Attributes:
        choices: how many choices each question has; filled from the data.
        pool: the feature of a choice: "mean" over its tokens and those before it, or that of the "first" or "last".
        max_length: in tokens; only contexts are cut, and counted; a question with a choice that leaves no room for
            the context is left out and counted.
        dropout: probability, before the linear layer.
    """

    choices: int = 0
    pool: Pool = "mean"
    max_length: int = 256
    dropout: float = 0.1

    def __post_init__(self) -> None:
        check(self, "choices", self.choices >= 0, "how many choices each question has, 0 to fill it from the data")
        check_max_length(self)
        check_dropout(self)


class MultipleChoice(Task):
    """One right choice for each question."""

    name: ClassVar[str] = "multiple-choice"
    Config: ClassVar[type] = MultipleChoiceConfig
    metric: ClassVar[str] = "accuracy"
    columns: ClassVar[tuple[str, ...]] = ("context", "question", "choices", "label")
    fields: ClassVar[frozenset[str]] = frozenset({"attention_mask"})
    examples: ClassVar[Sequence[Mapping[str, Any]]] = (
        {
            "rows": [
                {
                    "context": "the old town is full",
                    "question": "of ?",
                    "choices": ["bread", "small boats"],
                    "label": 1,
                },
                {"context": "a river runs by", "question": "who ?", "choices": ["the river", "nobody"], "label": 0},
                {"context": "bread", "question": "", "choices": ["a", "the harbour"], "label": 1},
            ]
        },
    )

    @classmethod
    def fit(cls, config: MultipleChoiceConfig, splits: DatasetDict) -> MultipleChoiceConfig:
        """Give `config` with the number of choices.

        Raises:
            ConfigError: the rows do not all have the same number, or not the one given.
        """
        found = {len(choices) for rows in splits.values() for choices in rows["choices"]}
        if len(found | ({config.choices} - {0})) > 1:
            given = f", and the task is given {config.choices}" if config.choices else ""
            numbers = " or ".join(map(str, sorted(found)))
            raise ConfigError(f"questions have {numbers} choices{given}; all must have the same number")
        return replace(config, choices=config.choices or max(found, default=0))

    def encode(self, rows: Dataset, tokenizer: PreTrainedTokenizerBase) -> Encoded:
        """Give `input_ids`, a token list for each choice, `token_type_ids` likewise, and `labels`, the right one.

        Questions whose label is no choice, or with a choice too long to see any context, are left out.
        """
        from datasets import Value

        names = token_columns(tokenizer)
        columns = {**{name: [[Value("int64")]] for name in names}, "labels": Value("int64")}

        def encoded(row: Mapping[str, Any]) -> dict[str, Any] | str:
            if not 0 <= row["label"] < self.config.choices:
                return "label is no choice"
            pairs = [self._encode_choice(row, choice, tokenizer) for choice in row["choices"]]
            whole = [pair for pair in pairs if pair is not None]
            if len(whole) < len(pairs):
                return f"choice past {self.config.max_length} tokens"
            tokens = {name: [pair[name] for pair in whole] for name in names}
            return {**tokens, "labels": row["label"], LOST: int(any(map(is_cut, whole)))}

        return encode_rows(rows, encoded, columns, f"contexts cut at {self.config.max_length} tokens")

    def _encode_choice(
        self, row: Mapping[str, Any], choice: str, tokenizer: PreTrainedTokenizerBase
    ) -> BatchEncoding | None:
        """Give the tokens of context, question and choice; None when there is no room for the context."""
        asked = f"{row['question']} {choice}".strip()
        if room_beside(asked, tokenizer, self.config.max_length) < 1:
            return None
        limit = length_limit(tokenizer, self.config.max_length)
        return tokenizer(row["context"], asked, truncation="only_first", max_length=limit)

    def collate(self, examples: Sequence[Mapping[str, Any]], tokenizer: PreTrainedTokenizerBase) -> dict[str, Tensor]:
        """Pad to the longest of C choices each: `input_ids`, `attention_mask` (B·C, T), `labels` (B)."""
        batch = pad_parts(examples, tokenizer)
        batch["labels"] = torch.tensor([e["labels"] for e in examples])
        return batch

    def head(self, width: int) -> nn.Module:
        """Give the linear head over the pooled features of each choice: logits (B, C)."""
        return ChoiceHead(width, self.config)

    def loss(self, logits: Tensor, batch: Mapping[str, Tensor]) -> Tensor:
        """Give the cross-entropy."""
        return functional.cross_entropy(logits, batch["labels"])

    def metrics(self, predictions: np.ndarray, labels: np.ndarray, examples: Dataset) -> dict[str, float]:
        """Give accuracy."""
        return {"accuracy": float((predictions.argmax(-1) == labels).mean())}


class ChoiceHead(PooledHead):
    """Linear(W → 1) over the pooled features of each choice."""

    def __init__(self, width: int, config: MultipleChoiceConfig) -> None:
        # A bias would be the same for all choices.
        super().__init__(width, 1, config.pool, config.dropout, bias=False)
        self.choices = config.choices

    def forward(self, hidden: Tensor, batch: Mapping[str, Tensor]) -> Tensor:
        """Map (B·C, T, W) and `attention_mask` (B·C, T) to logits (B, C)."""
        return super().forward(hidden, batch).view(-1, self.choices)
