"""Sequence classification: one label for a text, or for a pair of texts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from kadapter import Encoded, Task
from kadapter.builtin.tasks.checks import check_dropout, check_max_length, fitted_labels
from kadapter.builtin.tasks.encoding import LOST, encode_rows
from kadapter.builtin.tasks.padding import pad_tokens
from kadapter.builtin.tasks.pairs import token_columns
from kadapter.builtin.tasks.pooling import Pool, PooledHead
from kadapter.builtin.tasks.words import is_cut, length_limit

if TYPE_CHECKING:
    import numpy as np
    from datasets import Dataset, DatasetDict
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True)
class SequenceClassificationConfig:
    """Options of sequence classification.

    Attributes:
        labels: filled from the data.
        pool: the feature of a text: "mean" over its tokens, that of the "first" or of the "last" one.
        max_length: in tokens; of a pair, the longer text is cut first; what was cut is counted.
        dropout: probability, before the linear layer.
    """

    labels: tuple[str, ...] = ()
    pool: Pool = "mean"
    max_length: int = 256
    dropout: float = 0.1

    def __post_init__(self) -> None:
        check_max_length(self)
        check_dropout(self)


class SequenceClassification(Task):
    """One label for each text or pair of texts."""

    name: ClassVar[str] = "sequence-classification"
    Config: ClassVar[type] = SequenceClassificationConfig
    metric: ClassVar[str] = "accuracy"
    columns: ClassVar[tuple[str, ...]] = ("text", "text_pair", "label")
    fields: ClassVar[frozenset[str]] = frozenset({"attention_mask"})
    examples: ClassVar[Sequence[Mapping[str, Any]]] = (
        {
            "rows": [
                {"text": "the harbour is full of small boats", "text_pair": "a river runs by", "label": "yes"},
                {"text": "bread", "text_pair": "", "label": "no"},
                {"text": "who painted the bridge ?", "text_pair": "nobody knows .", "label": "no"},
                {"text": "old town", "text_pair": "", "label": "yes"},
            ]
        },
    )

    @classmethod
    def fit(cls, config: SequenceClassificationConfig, splits: DatasetDict) -> SequenceClassificationConfig:
        """Give `config` with the labels of all splits, unless labels are given.

        Raises:
            ConfigError: the rows have others than those given.
        """
        found = {label for rows in splits.values() for label in rows.unique("label")}
        return replace(config, labels=fitted_labels(config.labels, found, "labels"))

    def encode(self, rows: Dataset, tokenizer: PreTrainedTokenizerBase) -> Encoded:
        """Give `input_ids`, `token_type_ids` when the tokenizer gives them, and `labels`, a number each.

        An empty `text_pair` is none. A text without tokens is left out.
        """
        from datasets import Value

        number = {label: index for index, label in enumerate(self.config.labels)}
        names, limit = token_columns(tokenizer), length_limit(tokenizer, self.config.max_length)

        def encoded(row: Mapping[str, Any]) -> dict[str, Any] | str:
            texts = (row["text"], row["text_pair"] or None)
            encoding = tokenizer(*texts, truncation="longest_first", max_length=limit)
            if not encoding["input_ids"]:
                return "no tokens"
            tokens = {name: encoding[name] for name in names}
            return {**tokens, "labels": number[row["label"]], LOST: int(is_cut(encoding))}

        columns = {**{name: [Value("int64")] for name in names}, "labels": Value("int64")}
        return encode_rows(rows, encoded, columns, f"texts cut at {self.config.max_length} tokens")

    def collate(self, examples: Sequence[Mapping[str, Any]], tokenizer: PreTrainedTokenizerBase) -> dict[str, Tensor]:
        """Pad to the longest: `input_ids`, `attention_mask`, perhaps `token_type_ids`, (B, T) each; `labels` (B)."""
        batch = pad_tokens(examples, tokenizer)
        batch["labels"] = torch.tensor([e["labels"] for e in examples])
        return batch

    def head(self, width: int) -> nn.Module:
        """Give the linear head over the pooled features: logits (B, labels)."""
        return PooledHead(width, len(self.config.labels), self.config.pool, self.config.dropout)

    def loss(self, logits: Tensor, batch: Mapping[str, Tensor]) -> Tensor:
        """Give the cross-entropy."""
        return functional.cross_entropy(logits, batch["labels"])

    def metrics(self, predictions: np.ndarray, labels: np.ndarray, examples: Dataset) -> dict[str, float]:
        """Give accuracy, and macro F1: the mean over the labels that are true or predicted somewhere."""
        from sklearn.metrics import accuracy_score, f1_score

        predicted = predictions.argmax(-1)
        return {
            "accuracy": float(accuracy_score(labels, predicted)),
            "macro_f1": float(f1_score(labels, predicted, average="macro", zero_division=0)),
        }
