"""Language modelling: tokens of a text are guessed by the backbone's own language-model head, over composed features.

Written so, knowledge shows without any head of its own: in cloze questions (K-Adapter, arXiv 2002.01808, section 4.4,
LAMA) and in what the backbone generates.
"""

from __future__ import annotations

import random
from abc import abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from kadapter import Backbone, BackboneError, ConfigError, Encoded, Task
from kadapter.builtin.tasks.asked import AskedHead, FreshHead, laid_out
from kadapter.builtin.tasks.checks import check, check_max_length
from kadapter.builtin.tasks.encoding import LOST, encode_rows
from kadapter.builtin.tasks.losses import mean_of_asked
from kadapter.builtin.tasks.padding import IGNORED, pad_tokens, pad_values
from kadapter.builtin.tasks.words import is_cut, length_limit

if TYPE_CHECKING:
    from datasets import Dataset, DatasetDict
    from transformers import BatchEncoding, PreTrainedTokenizerBase

Objective = Literal["text", "cloze", "entities"]

_SPANS: Mapping[str, Sequence[tuple[str, str]]] = {
    "text": (),
    "cloze": (("start", "end"),),
    "entities": (("subject_start", "subject_end"), ("object_start", "object_end")),
}
"""Objective -> the columns of the spans that it asks one of."""


@dataclass(frozen=True)
class LanguageModellingConfig:
    """Options of language modelling.

    Attributes:
        objective: what is asked of a row: tokens anywhere in its `text`; the span of a `cloze`, such as the object of
            a fact; or one of the `entities` of a sentence, drawn by the seed (salient span masking).
        hold: weight of a term that holds rows whose column `hold` is true to what the bare backbone says of them, the
            Kullback-Leibler divergence from it; they teach nothing else. 0 looks for no such column.
        max_length: in tokens; what is longer is cut off, and counted.
        seed: of what is drawn.
    """

    objective: Objective = "text"
    hold: float = 0.0
    max_length: int = 256
    seed: int = 0

    def __post_init__(self) -> None:
        check(self, "hold", 0 <= self.hold < float("inf"), "0 or more")
        check_max_length(self)


class LanguageModelling(Task):
    """What masked and causal language modelling have in common.

    Attributes:
        causal: the kind of backbone.
    """

    metric: ClassVar[str] = "accuracy"
    not_fractions: ClassVar[frozenset[str]] = frozenset({"perplexity"})
    may_read: ClassVar[frozenset[str]] = frozenset({"asked"})
    composition: ClassVar[str] = "residual"
    causal: ClassVar[bool]

    @property
    def columns(self) -> tuple[str, ...]:  # type: ignore[override]
        """The text, the spans that the objective asks, and the mark of what is held."""
        spans = (column for span in _SPANS[self.config.objective] for column in span)
        return ("text", *spans, *(("hold",) if self.holds else ()))

    @property
    def holds(self) -> bool:
        """Whether some rows are held to what the bare backbone says of them."""
        return bool(self.config.hold > 0)

    @classmethod
    def fit(cls, config: Any, splits: DatasetDict) -> Any:
        """Give `config`: the data decides nothing."""
        return config

    def encode(self, rows: Dataset, tokenizer: PreTrainedTokenizerBase) -> Encoded:
        """Give `input_ids`, `labels`, the token at each place that is asked, else `IGNORED`; and `held`.

        Raises:
            ConfigError: the tokenizer is not of a backbone for this task.
        """
        from datasets import Value

        self.check_tokenizer(tokenizer)
        numbers = [Value("int64")]
        columns = {"input_ids": numbers, "labels": numbers, "held": Value("bool")}
        lost = f"texts cut at {self.config.max_length} tokens"
        return encode_rows(rows, lambda row: self._encode_row(row, tokenizer), columns, lost)

    def check_tokenizer(self, tokenizer: PreTrainedTokenizerBase) -> None:
        """Raise ConfigError where the tokenizer lacks what the task needs."""

    def _encode_row(self, row: Mapping[str, Any], tokenizer: PreTrainedTokenizerBase) -> dict[str, Any] | str:
        limit = length_limit(tokenizer, self.config.max_length)
        encoding = tokenizer(
            row["text"],
            truncation=True,
            max_length=limit,
            return_offsets_mapping=True,
            return_special_tokens_mask=True,
        )
        held = self.holds and bool(row["hold"])
        drawn = random.Random(f"{self.config.seed} {row['text']}")
        places = self.askable(encoding)
        spans = [] if held else [(row[start], row[end]) for start, end in _SPANS[self.config.objective]]
        if spans:
            places = _in_span(encoding, places, spans, drawn)
        elif places:
            places = self.drawn(places, drawn)
        if not places:
            return self._unasked(encoding, spans)
        tokens, labels = self.ask(encoding["input_ids"], set(places), tokenizer)
        return {"input_ids": tokens, "labels": labels, "held": held, LOST: int(is_cut(encoding))}

    def _unasked(self, encoding: BatchEncoding, spans: Sequence[tuple[int, int]]) -> str:
        """Say why nothing is asked of a text, or of these spans of it."""
        if self.causal and spans and all(0 in _inside(encoding, span) for span in spans):
            return "nothing before what is asked, which a causal model goes on from"
        return f"nothing to ask within {self.config.max_length} tokens"

    def askable(self, encoding: BatchEncoding) -> list[int]:
        """Give the places that may be asked: those of the text's own tokens."""
        return [place for place, special in enumerate(encoding["special_tokens_mask"]) if not special]

    @abstractmethod
    def drawn(self, places: list[int], random: random.Random) -> list[int]:
        """Choose from all places of a text, of which there are some."""

    @abstractmethod
    def ask(
        self, tokens: list[int], places: Collection[int], tokenizer: PreTrainedTokenizerBase
    ) -> tuple[list[int], list[int]]:
        """Give the tokens that go into the backbone, and the label of each."""

    def collate(self, examples: Sequence[Mapping[str, Any]], tokenizer: PreTrainedTokenizerBase) -> dict[str, Tensor]:
        """Pad to the longest: `input_ids`, `attention_mask`, (B, T) each; `asked`, `labels` and `held`, (B, K).

        `asked` are the places whose logits are wanted, at most K of each text; -1 fills up.
        """
        batch = pad_tokens(examples, tokenizer)
        labels = self._shifted(pad_values([e["labels"] for e in examples], batch["attention_mask"]))
        batch["asked"], batch["labels"] = laid_out(labels)
        if self.holds:
            held = torch.tensor([[bool(e["held"])] for e in examples])
            batch["held"] = held & (batch["asked"] >= 0)
            batch["labels"] = batch["labels"].masked_fill(held, IGNORED)
        return batch

    def _shifted(self, labels: Tensor) -> Tensor:
        """Put each label where it is predicted: on a causal backbone, at the token before; (B, T)."""
        return functional.pad(labels[:, 1:], (0, 1), value=IGNORED) if self.causal else labels

    def head(self, width: int) -> nn.Module:
        """Give none: it takes a backbone.

        Raises:
            ConfigError: always.
        """
        raise ConfigError(f"the head of task '{self.name}' is the backbone's own; ask for it by `head_for`")

    def head_for(self, backbone: Backbone) -> nn.Module:
        """Give the backbone's own head: logits (B, T, V), or (B, K, V) where a batch says what is `asked`.

        Raises:
            BackboneError: the backbone is of the other kind, or has no such head.
        """
        if backbone.info.causal != self.causal:
            kind, other = ("causal", "masked-lm") if self.causal else ("masked", "causal-lm")
            raise BackboneError(
                f"task '{self.name}' needs a {kind} backbone, and '{backbone.info.name}' is none; take task '{other}'"
            )
        fresh = getattr(self.config, "head", "own") == "fresh"
        return AskedHead(backbone, FreshHead(backbone) if fresh else None)

    def loss(self, logits: Tensor, batch: Mapping[str, Tensor]) -> Tensor:
        """Give the cross-entropy over what is asked; without `asked`, labels are (B, T), as transformers has them."""
        labels = batch["labels"] if "asked" in batch else self._shifted(batch["labels"])
        there = labels != IGNORED
        return mean_of_asked(logits[there].float(), labels[there])

    def hold_loss(self, logits: Tensor, bare: Tensor, batch: Mapping[str, Tensor]) -> Tensor:
        """Give `hold` times the mean divergence of what is held from what the bare backbone says."""
        held = batch["held"] if "held" in batch else logits.new_zeros(logits.shape[:2], dtype=torch.bool)
        ours, theirs = (given[held].float().log_softmax(-1) for given in (logits, bare))
        total = functional.kl_div(ours, theirs, reduction="sum", log_target=True)
        return self.config.hold * total / held.sum().clamp(min=1)

    def predictions(self, logits: Tensor, batch: Mapping[str, Tensor]) -> Tensor:
        """Give the best token, and the log-likelihood of the right one, of everything that is asked: (B, K, 2)."""
        labels = batch["labels"] if "asked" in batch else self._shifted(batch["labels"])
        right = logits.float().log_softmax(-1).gather(-1, labels.clamp(min=0)[..., None])[..., 0]
        return torch.stack([logits.argmax(-1).float(), right], -1)

    def part(self, sizes: Sequence[int], padding_side: str) -> tuple[slice | list[int], ...]:
        """Say where the logits of an example stand: what is asked comes first, whichever side tokens are padded."""
        return tuple(slice(size) for size in sizes)

    def metrics(self, predictions: np.ndarray, labels: np.ndarray, examples: Dataset) -> dict[str, float]:
        """Give accuracy over tokens, how many texts have all tokens right, and likelihood: 1 / perplexity."""
        asked = labels != IGNORED
        right = (predictions[..., 0] == labels) | ~asked
        likelihood = float(np.exp(predictions[..., 1][asked].mean(dtype=np.float64)))
        return {
            "accuracy": float(right[asked].mean()),
            "whole": float(right.all(-1)[asked.any(-1)].mean()),
            "likelihood": likelihood,
            "perplexity": 1 / max(likelihood, np.finfo(np.float64).tiny),
        }


def _in_span(
    encoding: BatchEncoding, places: Sequence[int], spans: Sequence[tuple[int, int]], drawn: random.Random
) -> list[int]:
    """Give the places of one of the spans that have any; none where a token of it cannot be asked."""
    found = []
    for span in spans:
        inside = _inside(encoding, span)
        if inside and set(inside) <= set(places) and encoding["offset_mapping"][inside[-1]][1] >= span[1]:
            found.append(inside)
    return drawn.choice(found) if found else []


def _inside(encoding: BatchEncoding, span: tuple[int, int]) -> list[int]:
    """Give the places of the tokens that have a character of a span."""
    start, end = span
    return [place for place, (first, last) in enumerate(encoding["offset_mapping"]) if first < end and last > start]
