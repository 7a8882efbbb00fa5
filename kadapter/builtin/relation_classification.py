"""Relation classification: which relation does the sentence state between its two marked spans?

Input format and features follow K-Adapter's pretraining (arXiv 2002.01808, section 3.4): markers around
subject and object, and the features at the first marker of each.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from kadapter import ConfigError, Encoded, Task

if TYPE_CHECKING:
    import numpy as np
    from datasets import Dataset, DatasetDict
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True)
class RelationClassificationConfig:
    """Options of relation classification.

    Attributes:
        labels: the relations; filled from the data.
        no_relation: the label that stands for "none of them", left out of `micro_f1_positive`.
        subject_marker: stands before and after the subject.
        object_marker: stands before and after the object.
        max_length: in tokens; a sentence whose markers do not fit is left out and counted.
        dropout: probability, before the linear layer.
    """

    labels: tuple[str, ...] = ()
    no_relation: str = "no_relation"
    subject_marker: str = "@"
    object_marker: str = "#"
    max_length: int = 128
    dropout: float = 0.1

    def __post_init__(self) -> None:
        for name in ("subject_marker", "object_marker"):
            if not getattr(self, name).strip():
                raise ConfigError(f"task: {name} is {getattr(self, name)!r}; it must be a character or more")
        if self.max_length < 1:
            raise ConfigError(f"task: max_length is {self.max_length}; it must be 1 token or more")
        if not 0 <= self.dropout < 1:
            raise ConfigError(f"task: dropout is {self.dropout}; it must be at least 0 and under 1")


class RelationClassification(Task):
    """One relation for each sentence with two marked spans."""

    name: ClassVar[str] = "relation-classification"
    Config: ClassVar[type] = RelationClassificationConfig
    metric: ClassVar[str] = "accuracy"
    columns: ClassVar[tuple[str, ...]] = (
        "text", "subject_start", "subject_end", "object_start", "object_end", "relation",
    )  # fmt: skip

    fields: ClassVar[frozenset[str]] = frozenset({"markers"})

    @classmethod
    def fit(cls, config: RelationClassificationConfig, splits: DatasetDict) -> RelationClassificationConfig:
        """Give `config` with the relations of all splits as labels, unless labels are given."""
        found = {relation for rows in splits.values() for relation in rows.unique("relation")}
        if config.labels and not found <= set(config.labels):
            raise ConfigError(f"relations {sorted(found - set(config.labels))} are not among the labels given")
        return replace(config, labels=config.labels or tuple(sorted(found)))

    def encode(self, rows: Dataset, tokenizer: PreTrainedTokenizerBase) -> Encoded:
        """Give `input_ids`, the positions of both markers and `labels`.

        Spans that overlap cannot be marked, and markers past `max_length` cannot be seen: these are left out.
        """
        number = {label: index for index, label in enumerate(self.config.labels)}
        apart = rows.filter(_apart, input_columns=list(self.columns[1:5]))
        examples = apart.map(
            lambda row: {**self._encode_row(row, tokenizer), "labels": number[row["relation"]]},
            remove_columns=rows.column_names,
        )
        fitting = examples.filter(lambda row: min(row["markers"]) >= 0)
        overlapping, late = len(rows) - len(apart), len(examples) - len(fitting)
        reasons = {"subject and object overlap": overlapping, f"marker past {self.config.max_length} tokens": late}
        return Encoded(fitting, +Counter(reasons))

    def _encode_row(self, row: Mapping[str, Any], tokenizer: PreTrainedTokenizerBase) -> dict[str, Any]:
        text, subject, object_, end = self._mark(row)
        # A tokenizer without a limit of its own says so by a huge number.
        limit = min(self.config.max_length, tokenizer.model_max_length)
        encoding = tokenizer(text, truncation=True, max_length=limit)
        places = [encoding.char_to_token(at) for at in (subject, object_, end - 1)]
        return {"input_ids": encoding["input_ids"], "markers": [-1, -1] if None in places else places[:2]}

    def _mark(self, row: Mapping[str, Any]) -> tuple[str, int, int, int]:
        """Put the markers into the text; say where those of subject and object begin and where the last one ends."""
        spans = sorted((row[f"{role}_start"], row[f"{role}_end"], role) for role in ("subject", "object"))
        text, done, begins = "", 0, {}
        for start, end, role in spans:
            marker = getattr(self.config, f"{role}_marker")
            text += row["text"][done:start]
            begins[role] = len(text)
            text += f"{marker} {row['text'][start:end]} {marker}"
            done = end
        return text + row["text"][done:], begins["subject"], begins["object"], len(text)

    def collate(self, examples: Sequence[Mapping[str, Any]], tokenizer: PreTrainedTokenizerBase) -> dict[str, Tensor]:
        """Pad to the longest: `input_ids`, `attention_mask` (B, T), `markers` (B, 2), `labels` (B)."""
        batch = dict(tokenizer.pad([{"input_ids": e["input_ids"]} for e in examples], return_tensors="pt"))
        left = tokenizer.padding_side == "left"
        shifts = (batch["attention_mask"] == 0).sum(1, keepdim=True) if left else 0
        batch["markers"] = torch.tensor([e["markers"] for e in examples]) + shifts
        batch["labels"] = torch.tensor([e["labels"] for e in examples])
        return batch

    def head(self, width: int) -> nn.Module:
        """Give the linear head over the features at both markers."""
        return MarkerHead(width, len(self.config.labels), self.config.dropout)

    def loss(self, logits: Tensor, batch: Mapping[str, Tensor]) -> Tensor:
        """Give the cross-entropy."""
        return functional.cross_entropy(logits, batch["labels"])

    def metrics(self, logits: np.ndarray, labels: np.ndarray) -> dict[str, float]:
        """Give accuracy, micro F1 with and without `no_relation`, and macro F1."""
        from sklearn.metrics import accuracy_score, f1_score

        predicted, every = logits.argmax(-1), range(len(self.config.labels))
        positive = [i for i in every if self.config.labels[i] != self.config.no_relation]
        return {
            "accuracy": float(accuracy_score(labels, predicted)),
            "micro_f1": float(f1_score(labels, predicted, labels=list(every), average="micro", zero_division=0)),
            "micro_f1_positive": float(f1_score(labels, predicted, labels=positive, average="micro", zero_division=0)),
            "macro_f1": float(f1_score(labels, predicted, average="macro", zero_division=0)),
        }


def _apart(subject_start: int, subject_end: int, object_start: int, object_end: int) -> bool:
    return subject_end <= object_start or object_end <= subject_start


class MarkerHead(nn.Module):
    """Linear(2W → labels) over the features at the first subject and object marker."""

    def __init__(self, width: int, labels: int, dropout: float) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(2 * width, labels)

    def forward(self, hidden: Tensor, batch: Mapping[str, Tensor]) -> Tensor:
        """Map (B, T, W) and `markers` (B, 2) to logits (B, labels)."""
        rows = torch.arange(len(hidden), device=hidden.device)[:, None]
        return self.linear(self.dropout(hidden[rows, batch["markers"]].flatten(1)))
