"""Relation classification: which relation does the sentence state between its two marked spans?

Input format and features follow K-Adapter's pretraining (arXiv 2002.01808, section 3.4): markers around
subject and object, and the features at the first marker of each. On a causal backbone a marker sees only what
stands before it: that of the subject not the subject, that of the object not the object.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from kadapter import Encoded, Task
from kadapter.builtin.tasks.checks import check_dropout, check_marker, check_max_length, fitted_labels
from kadapter.builtin.tasks.encoding import encode_rows
from kadapter.builtin.tasks.markers import MarkerHead, Span, encode_marked
from kadapter.builtin.tasks.padding import pad_tokens, padding_before

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
        check_marker(self, "subject_marker")
        check_marker(self, "object_marker")
        check_max_length(self)
        check_dropout(self)


def _row(text: str, subject: str, object_: str, relation: str) -> dict[str, Any]:
    spans = (("subject", subject), ("object", object_))
    starts = {f"{name}_start": text.index(words) for name, words in spans}
    ends = {f"{name}_end": text.index(words) + len(words) for name, words in spans}
    return {"text": text, **starts, **ends, "relation": relation}


class RelationClassification(Task):
    """One relation for each sentence with two marked spans."""

    name: ClassVar[str] = "relation-classification"
    Config: ClassVar[type] = RelationClassificationConfig
    metric: ClassVar[str] = "accuracy"
    columns: ClassVar[tuple[str, ...]] = (
        "text", "subject_start", "subject_end", "object_start", "object_end", "relation",
    )  # fmt: skip
    fields: ClassVar[frozenset[str]] = frozenset({"markers"})
    examples: ClassVar[Sequence[Mapping[str, Any]]] = (
        {
            "rows": [
                _row("the river feeds the harbour of the old town", "river", "harbour", "feeds"),
                _row("who knows the bridge ? a river runs by", "river", "bridge", "no_relation"),
                _row("bread feeds boats", "bread", "boats", "feeds"),
            ]
        },
    )

    @classmethod
    def fit(cls, config: RelationClassificationConfig, splits: DatasetDict) -> RelationClassificationConfig:
        """Give `config` with the relations of all splits as labels, unless labels are given."""
        found = {relation for rows in splits.values() for relation in rows.unique("relation")}
        return replace(config, labels=fitted_labels(config.labels, found, "relations"))

    def encode(self, rows: Dataset, tokenizer: PreTrainedTokenizerBase) -> Encoded:
        """Give `input_ids`, the positions of both markers and `labels`.

        Spans that overlap cannot be marked, and markers past `max_length` cannot be seen: these are left out.
        """
        from datasets import Value

        number = {label: index for index, label in enumerate(self.config.labels)}
        columns = {**{name: [Value("int64")] for name in ("input_ids", "markers")}, "labels": Value("int64")}

        def encoded(row: Mapping[str, Any]) -> dict[str, Any] | str:
            subject, object_ = spans = [self._span(row, role) for role in ("subject", "object")]
            if subject.start < object_.end and object_.start < subject.end:
                return "subject and object overlap"
            tokens, markers = encode_marked(row["text"], spans, tokenizer, self.config.max_length)
            if min(markers) < 0:
                return f"marker past {self.config.max_length} tokens"
            return {"input_ids": tokens, "markers": markers, "labels": number[row["relation"]]}

        return encode_rows(rows, encoded, columns)

    def _span(self, row: Mapping[str, Any], role: str) -> Span:
        return Span(row[f"{role}_start"], row[f"{role}_end"], getattr(self.config, f"{role}_marker"))

    def collate(self, examples: Sequence[Mapping[str, Any]], tokenizer: PreTrainedTokenizerBase) -> dict[str, Tensor]:
        """Pad to the longest: `input_ids`, `attention_mask` (B, T), `markers` (B, 2), `labels` (B)."""
        batch = pad_tokens(examples, tokenizer)
        batch["markers"] = torch.tensor([e["markers"] for e in examples]) + padding_before(batch["attention_mask"])
        batch["labels"] = torch.tensor([e["labels"] for e in examples])
        return batch

    def head(self, width: int) -> nn.Module:
        """Give the linear head over the features at both markers."""
        return MarkerHead(width, 2, len(self.config.labels), self.config.dropout)

    def loss(self, logits: Tensor, batch: Mapping[str, Tensor]) -> Tensor:
        """Give the cross-entropy."""
        return functional.cross_entropy(logits, batch["labels"])

    def metrics(self, predictions: np.ndarray, labels: np.ndarray, examples: Dataset) -> dict[str, float]:
        """Give accuracy, micro F1 with and without `no_relation`, and macro F1."""
        from sklearn.metrics import accuracy_score, f1_score

        predicted, every = predictions.argmax(-1), range(len(self.config.labels))
        positive = [i for i in every if self.config.labels[i] != self.config.no_relation]
        return {
            "accuracy": float(accuracy_score(labels, predicted)),
            "micro_f1": float(f1_score(labels, predicted, labels=list(every), average="micro", zero_division=0)),
            "micro_f1_positive": float(f1_score(labels, predicted, labels=positive, average="micro", zero_division=0)),
            "macro_f1": float(f1_score(labels, predicted, average="macro", zero_division=0)),
        }
