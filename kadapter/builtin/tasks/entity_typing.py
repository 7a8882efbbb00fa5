"""Entity typing: of which types is the marked mention? A mention may have several, or none.

Input format and features follow K-Adapter (arXiv 2002.01808, section 4.1): a marker on both sides of the mention,
and the features at the first one. On a causal backbone that marker sees only what stands before the mention.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from kadapter import Encoded, Task
from kadapter.builtin.tasks.checks import check_dropout, check_marker, check_max_length, fitted_labels
from kadapter.builtin.tasks.encoding import encode_rows
from kadapter.builtin.tasks.markers import MarkerHead, Span, encode_marked
from kadapter.builtin.tasks.padding import pad_tokens, padding_before

if TYPE_CHECKING:
    from datasets import Dataset, DatasetDict
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True)
class EntityTypingConfig:
    """Options of entity typing.

    Attributes:
        labels: the types; filled from the data.
        marker: stands before and after the mention.
        always: whether the likeliest type is predicted even where none is likelier than not; so FIGER is scored,
            OpenEntity is not.
        max_length: in tokens; a text whose markers do not fit is left out and counted.
        dropout: probability, before the linear layer.
    """

    labels: tuple[str, ...] = ()
    marker: str = "@"
    always: bool = False
    max_length: int = 256
    dropout: float = 0.1

    def __post_init__(self) -> None:
        check_marker(self, "marker")
        check_max_length(self)
        check_dropout(self)


class EntityTyping(Task):
    """Any number of types for each marked mention."""

    name: ClassVar[str] = "entity-typing"
    Config: ClassVar[type] = EntityTypingConfig
    metric: ClassVar[str] = "micro_f1"
    columns: ClassVar[tuple[str, ...]] = ("text", "start", "end", "types")
    fields: ClassVar[frozenset[str]] = frozenset({"markers"})
    examples: ClassVar[Sequence[Mapping[str, Any]]] = (
        {
            "rows": [
                {"text": "the harbour of the old town is full", "start": 4, "end": 11, "types": ["place"]},
                {"text": "who ? nobody knows", "start": 6, "end": 12, "types": ["artist", "person"]},
                {"text": "a river", "start": 0, "end": 7, "types": ["place"]},
                {"text": "so bread", "start": 3, "end": 8, "types": []},
            ]
        },
    )

    @classmethod
    def fit(cls, config: EntityTypingConfig, splits: DatasetDict) -> EntityTypingConfig:
        """Give `config` with the types of all splits as labels, unless labels are given.

        Raises:
            ConfigError: types are not among the labels given.
        """
        found = {kind for rows in splits.values() for kind in chain.from_iterable(rows["types"])}
        return replace(config, labels=fitted_labels(config.labels, found, "types"))

    def encode(self, rows: Dataset, tokenizer: PreTrainedTokenizerBase) -> Encoded:
        """Give `input_ids`, the position of the first marker and `labels`: the numbers of the types.

        Markers past `max_length` cannot be seen: these rows are left out.
        """
        from datasets import Value

        number = {label: index for index, label in enumerate(self.config.labels)}
        columns = {name: [Value("int64")] for name in ("input_ids", "markers", "labels")}

        def encoded(row: Mapping[str, Any]) -> dict[str, Any] | str:
            span = Span(row["start"], row["end"], self.config.marker)
            tokens, markers = encode_marked(row["text"], [span], tokenizer, self.config.max_length)
            if min(markers) < 0:
                return f"marker past {self.config.max_length} tokens"
            return {"input_ids": tokens, "markers": markers, "labels": [number[kind] for kind in row["types"]]}

        return encode_rows(rows, encoded, columns)

    def collate(self, examples: Sequence[Mapping[str, Any]], tokenizer: PreTrainedTokenizerBase) -> dict[str, Tensor]:
        """Pad to the longest: `input_ids`, `attention_mask` (B, T), `markers` (B, 1); `labels` (B, types), 0 or 1."""
        batch = pad_tokens(examples, tokenizer)
        batch["markers"] = torch.tensor([e["markers"] for e in examples]) + padding_before(batch["attention_mask"])
        batch["labels"] = torch.zeros(len(examples), len(self.config.labels))
        for row, example in zip(batch["labels"], examples, strict=True):
            row[example["labels"]] = 1
        return batch

    def head(self, width: int) -> nn.Module:
        """Give the linear head over the features at the first marker."""
        return MarkerHead(width, 1, len(self.config.labels), self.config.dropout)

    def loss(self, logits: Tensor, batch: Mapping[str, Tensor]) -> Tensor:
        """Give the binary cross-entropy, the mean over the types."""
        return functional.binary_cross_entropy_with_logits(logits, batch["labels"].to(logits.dtype))

    def predictions(self, logits: Tensor, batch: Mapping[str, Tensor]) -> Tensor:
        """Give 1 for each type that is likelier than not, and for the likeliest with `always`, else 0: (B, types)."""
        chosen = logits > 0
        if self.config.always:
            chosen = chosen.scatter(1, logits.argmax(1, keepdim=True), True)
        return chosen.long()

    def best_logits(self, logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Give the best there are: above 0 for the types of the mention, below it for the others."""
        return 2 * labels - 1

    def metrics(self, predictions: np.ndarray, labels: np.ndarray, examples: Dataset) -> dict[str, float]:
        """Give precision, recall and F1 over all pairs of mention and type (micro), and more.

        `macro_f1` is the mean over the types that are true or predicted of some mention. `loose_macro_f1` and
        `strict_accuracy` are those of Ling and Weld (AAAI 2012): from precision and recall as means over the mentions,
        0 where nothing is predicted or true; and the share of mentions with exactly the right types.
        """
        from sklearn.metrics import accuracy_score, f1_score, precision_score, recall_score

        # A column of zeros changes nothing; with a single one scikit-learn would score "not of this type" as well.
        true, said = (np.pad(part.astype(int), ((0, 0), (0, 1))) for part in (labels, predictions))
        over = {average: {"average": average, "zero_division": 0} for average in ("micro", "samples")}
        occurring = np.flatnonzero((true | said).any(0))
        macro = f1_score(true, said, labels=occurring, average="macro", zero_division=0) if len(occurring) else 0
        loose = [float(score(true, said, **over["samples"])) for score in (precision_score, recall_score)]
        return {
            "micro_f1": float(f1_score(true, said, **over["micro"])),
            "micro_precision": float(precision_score(true, said, **over["micro"])),
            "micro_recall": float(recall_score(true, said, **over["micro"])),
            "macro_f1": float(macro),
            "loose_macro_f1": 2 * loose[0] * loose[1] / (sum(loose) or 1),
            "strict_accuracy": float(accuracy_score(true, said)),
        }
