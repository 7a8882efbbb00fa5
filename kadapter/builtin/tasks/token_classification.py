"""Token classification: which words name an entity, and of which type? Tags in BIO, as CoNLL-2003 has them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import TYPE_CHECKING, Any, ClassVar

from torch import Tensor, nn
from torch.nn import functional

from kadapter import ConfigError, Encoded, Task
from kadapter.builtin.tasks.checks import check_dropout, check_max_length, fitted_labels
from kadapter.builtin.tasks.encoding import LOST, encode_rows
from kadapter.builtin.tasks.padding import IGNORED, pad_tokens, pad_values
from kadapter.builtin.tasks.words import encode_words

if TYPE_CHECKING:
    import numpy as np
    from datasets import Dataset, DatasetDict
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True)
class TokenClassificationConfig:
    """Options of token classification.

    Attributes:
        labels: the tags, "O" and "B-…" and "I-…"; filled from the data.
        max_length: in tokens; words that do not fit are cut off and counted.
        dropout: probability, before the linear layer.
    """

    labels: tuple[str, ...] = ()
    max_length: int = 256
    dropout: float = 0.1

    def __post_init__(self) -> None:
        check_max_length(self)
        check_dropout(self)


class TokenClassification(Task):
    """A tag for each word, asked at its first token."""

    name: ClassVar[str] = "token-classification"
    Config: ClassVar[type] = TokenClassificationConfig
    metric: ClassVar[str] = "f1"
    columns: ClassVar[tuple[str, ...]] = ("words", "tags")
    examples: ClassVar[Sequence[Mapping[str, Any]]] = (
        {
            "rows": [
                {"words": ["who", "painted", "the", "old", "bridge"], "tags": ["O", "O", "O", "B-place", "I-place"]},
                {"words": ["zyx", "qwv", "runs", "by"], "tags": ["B-person", "I-person", "O", "O"]},
                {"words": ["bread"], "tags": ["O"]},
            ]
        },
    )

    @classmethod
    def fit(cls, config: TokenClassificationConfig, splits: DatasetDict) -> TokenClassificationConfig:
        """Give `config` with the tags of all splits as labels, unless labels are given.

        Raises:
            ConfigError: tags are not in BIO, or not among the labels given.
        """
        found = {tag for rows in splits.values() for tag in chain.from_iterable(rows["tags"])}
        if strange := sorted(tag for tag in found if not re.fullmatch(r"O|[BI]-.+", tag)):
            raise ConfigError(f"tags {strange} are not in BIO; they must be 'O', 'B-…' or 'I-…'")
        return replace(config, labels=fitted_labels(config.labels, found, "tags"))

    def encode(self, rows: Dataset, tokenizer: PreTrainedTokenizerBase) -> Encoded:
        """Give `input_ids` and `labels`: a tag's number at a word's first token, `IGNORED` elsewhere.

        Words past `max_length` are lost; a sentence with no word left, or not as many tags as words, is left out.
        """
        from datasets import Value

        number = {label: index for index, label in enumerate(self.config.labels)}
        columns = {"input_ids": [Value("int64")], "labels": [Value("int64")]}
        lost = f"words past {self.config.max_length} tokens"
        return encode_rows(rows, lambda row: self._encode_row(row, number, tokenizer), columns, lost)

    def _encode_row(
        self, row: Mapping[str, Any], number: Mapping[str, int], tokenizer: PreTrainedTokenizerBase
    ) -> dict[str, Any] | str:
        if len(row["words"]) != len(row["tags"]):
            return "not as many tags as words"
        tokens, firsts = encode_words(row["words"], tokenizer, self.config.max_length)
        labels = [IGNORED] * len(tokens)
        for first, tag in zip(firsts, row["tags"], strict=True):
            if first is not None:
                labels[first] = number[tag]
        seen = [first for first in firsts if first is not None]
        if not seen:
            return f"no word within {self.config.max_length} tokens"
        return {"input_ids": tokens, "labels": labels, LOST: len(firsts) - len(seen)}

    def collate(self, examples: Sequence[Mapping[str, Any]], tokenizer: PreTrainedTokenizerBase) -> dict[str, Tensor]:
        """Pad to the longest: `input_ids`, `attention_mask`, `labels`, (B, T) each."""
        batch = pad_tokens(examples, tokenizer)
        batch["labels"] = pad_values([e["labels"] for e in examples], batch["attention_mask"])
        return batch

    def head(self, width: int) -> nn.Module:
        """Give the linear head over every token: logits (B, T, labels)."""
        return TokenHead(width, len(self.config.labels), self.config.dropout)

    def loss(self, logits: Tensor, batch: Mapping[str, Tensor]) -> Tensor:
        """Give the cross-entropy over the words."""
        return functional.cross_entropy(logits.flatten(0, 1), batch["labels"].flatten(), ignore_index=IGNORED)

    def predictions(self, logits: Tensor, batch: Mapping[str, Tensor]) -> Tensor:
        """Give the number of the best tag of each token, (B, T)."""
        return logits.argmax(-1)

    def metrics(self, predictions: np.ndarray, labels: np.ndarray, examples: Dataset) -> dict[str, float]:
        """Give precision, recall and F1 over whole entities, and accuracy over words.

        Entities are counted as CoNLL's script counts them, which is seqeval's default: right are those with the
        right type and the right words; an I- that follows nothing of its type begins an entity.
        """
        from seqeval.metrics import accuracy_score, f1_score, precision_score, recall_score

        true, predicted = self._tags(labels, labels), self._tags(predictions, labels)
        return {
            "f1": float(f1_score(true, predicted, zero_division=0)),
            "precision": float(precision_score(true, predicted, zero_division=0)),
            "recall": float(recall_score(true, predicted, zero_division=0)),
            "accuracy": float(accuracy_score(true, predicted)),
        }

    def _tags(self, numbers: np.ndarray, labels: np.ndarray) -> list[list[str]]:
        """Say the tags of each sentence, of the words that are asked."""
        asked = zip(numbers, labels != IGNORED, strict=True)
        return [[self.config.labels[number] for number in row[words]] for row, words in asked]


class TokenHead(nn.Module):
    """Linear(W → labels) over every token."""

    def __init__(self, width: int, labels: int, dropout: float) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(width, labels)

    def forward(self, hidden: Tensor, batch: Mapping[str, Tensor]) -> Tensor:
        """Map (B, T, W) to logits (B, T, labels)."""
        return self.linear(self.dropout(hidden))
