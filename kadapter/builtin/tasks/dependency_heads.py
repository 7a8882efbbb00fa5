"""Dependency heads: which word of the sentence, or the root, does each word hang from?

The pretraining task of K-Adapter's linguistic adapter (arXiv 2002.01808, section 3.4). A word is read, and predicted
as a head, at its first token.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from kadapter import Encoded, Task
from kadapter.builtin.tasks.checks import check, check_dropout, check_max_length, fitted_labels
from kadapter.builtin.tasks.encoding import LOST, encode_rows
from kadapter.builtin.tasks.head_scorers import AttentionScorer, BiaffineScorer, HeadOfWords
from kadapter.builtin.tasks.losses import mean_of_asked
from kadapter.builtin.tasks.padding import IGNORED, pad_tokens, pad_values, padding_before
from kadapter.builtin.tasks.words import encode_words

if TYPE_CHECKING:
    import numpy as np
    from datasets import Dataset, DatasetDict
    from transformers import PreTrainedTokenizerBase

_UNREACHABLE = -1
"""Stands for a head that has no token in what is left of the sentence: not trained on, and scored as missed."""

_PUNCTUATION = "PUNCT"


@dataclass(frozen=True)
class DependencyHeadsConfig:
    """Options of dependency heads.

    Attributes:
        scorer: "biaffine" (Dozat and Manning 2017), or "attention": the paper's, one attention head and a linear
            layer, which scores the words of the sentence instead of a fixed number of positions.
        relations: whether the relation to the head is learned too.
        labels: the relations, without subtypes; filled from the data.
        width: of the biaffine scorer's projections, and of those that score relations.
        max_length: in tokens; what is longer is cut off between two words.
        dropout: probability.
    """

    scorer: Literal["biaffine", "attention"] = "biaffine"
    relations: bool = False
    labels: tuple[str, ...] = ()
    width: int = 256
    max_length: int = 256
    dropout: float = 0.1

    def __post_init__(self) -> None:
        check(self, "labels", self.relations or not self.labels, "left out unless relations are learned")
        check(self, "width", self.width >= 1, "1 or more")
        check_max_length(self)
        check_dropout(self)


_ROWS = [
    {
        "words": ["who", "painted", "the", "bridge", "?"],
        "heads": [2, 0, 4, 2, 2],
        "relations": ["nsubj", "root", "det", "obj", "punct"],
        "upos": ["PRON", "VERB", "DET", "NOUN", "PUNCT"],
    },
    {"words": ["boats"], "heads": [0], "relations": ["root"], "upos": ["NOUN"]},
    {
        "words": ["zyxwv", "runs", "by"],
        "heads": [2, 0, 2],
        "relations": ["nsubj", "root", "advmod"],
        "upos": ["PROPN", "VERB", "ADV"],
    },
]


class DependencyHeads(Task):
    """The head of every word, and perhaps the relation to it."""

    name: ClassVar[str] = "dependency-heads"
    Config: ClassVar[type] = DependencyHeadsConfig
    metric: ClassVar[str] = "uas"
    columns: ClassVar[tuple[str, ...]] = ("words", "heads", "relations", "upos")
    fields: ClassVar[frozenset[str]] = frozenset({"words"})
    examples: ClassVar[Sequence[Mapping[str, Any]]] = ({"rows": _ROWS}, {"rows": _ROWS, "relations": True})

    @classmethod
    def fit(cls, config: DependencyHeadsConfig, splits: DatasetDict) -> DependencyHeadsConfig:
        """Give `config` with the relations of all splits as labels, if relations are learned and none are given."""
        if not config.relations:
            return config
        found = {_universal(r) for rows in splits.values() for r in chain.from_iterable(rows["relations"])}
        return replace(config, labels=fitted_labels(config.labels, found, "relations"))

    def encode(self, rows: Dataset, tokenizer: PreTrainedTokenizerBase) -> Encoded:
        """Give `input_ids`, and for every token `words`, whether a word begins there, and `labels`.

        Words past `max_length` and words without a token of their own are lost, and so are those whose head is one of
        them; a sentence with no word left is left out.
        """
        from datasets import Value

        numbers = [Value("int64")]
        columns = {"input_ids": numbers, "words": [Value("bool")], "labels": [numbers]}
        lost = f"words that have, or whose head has, no token within {self.config.max_length}"
        return encode_rows(rows, lambda row: self._encode_row(row, tokenizer), columns, lost)

    def _encode_row(self, row: Mapping[str, Any], tokenizer: PreTrainedTokenizerBase) -> dict[str, Any] | str:
        tokens, firsts = encode_words(row["words"], tokenizer, self.config.max_length)
        labels = [[IGNORED] * 3 for _ in tokens]
        for first, label in zip(firsts, self._labels(row, firsts), strict=True):
            if first is not None:
                labels[first] = label
        words = [label[0] != IGNORED for label in labels]
        if not any(words):
            return f"no word within {self.config.max_length} tokens"
        asked = sum(label[0] >= 0 for label in labels)
        return {"input_ids": tokens, "words": words, "labels": labels, LOST: len(firsts) - asked}

    def _labels(self, row: Mapping[str, Any], firsts: Sequence[int | None]) -> Iterator[list[int]]:
        """Give for each word: the head (0 the root, k + 1 the word at token k), the relation, and if it counts."""
        place = [0, *(_UNREACHABLE if first is None else first + 1 for first in firsts)]
        number = {label: index for index, label in enumerate(self.config.labels)}
        for head, relation, upos in zip(row["heads"], row["relations"], row["upos"], strict=True):
            yield [place[head], number.get(_universal(relation), IGNORED), int(upos != _PUNCTUATION)]

    def collate(self, examples: Sequence[Mapping[str, Any]], tokenizer: PreTrainedTokenizerBase) -> dict[str, Tensor]:
        """Pad to the longest: `input_ids`, `attention_mask`, `words` (B, T), `labels` (B, T, 3)."""
        batch = pad_tokens(examples, tokenizer)
        mask = batch["attention_mask"]
        batch["words"] = pad_values([e["words"] for e in examples], mask, fill=False)
        batch["labels"] = pad_values([e["labels"] for e in examples], mask)
        heads = batch["labels"][..., 0]
        heads += (heads > 0) * padding_before(mask)
        return batch

    def head(self, width: int) -> nn.Module:
        """Give the scorer of heads, and of relations when there are any."""
        kind = {"biaffine": BiaffineScorer, "attention": AttentionScorer}[self.config.scorer]
        scorer = kind(width, self.config.width, self.config.dropout)
        return HeadOfWords(scorer, width, self.config.width, len(self.config.labels), self.config.dropout)

    def loss(self, logits: Tensor, batch: Mapping[str, Tensor]) -> Tensor:
        """Give the cross-entropy of the heads, plus that of the relations to the right heads."""
        heads, relations = batch["labels"][..., 0], batch["labels"][..., 1]
        known = heads >= 0
        loss = mean_of_asked(logits[..., 0][known], heads[known])
        if not self.config.labels:
            return loss
        chosen = _of_heads(logits[..., 1:], heads.clamp(min=0))
        return loss + mean_of_asked(chosen[known], relations[known])

    def predictions(self, logits: Tensor, batch: Mapping[str, Tensor]) -> Tensor:
        """Give the best head of each token, and the best relation to it: (B, T, 2)."""
        heads = logits[..., 0].argmax(-1)
        relations = _of_heads(logits[..., 1:], heads).argmax(-1) if self.config.labels else torch.zeros_like(heads)
        return torch.stack([heads, relations], -1)

    def part(self, sizes: Sequence[int], padding_side: str) -> tuple[slice | list[int], ...]:
        """Say where they stand: the root comes first among the candidates, wherever the padding is."""
        tokens, candidates, _ = sizes
        places = [0, *range(1 - candidates, 0)] if padding_side == "left" else [*range(candidates)]
        return (*super().part([tokens], padding_side), places)

    def best_logits(self, logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Give the best there are: each word's head stands out, and at it the relation."""
        best = logits * 0
        for row, word in zip(*(labels[..., 0] >= 0).nonzero(), strict=True):
            head, relation, _ = labels[row, word]
            best[row, word, head, [0, 1 + relation] if relation >= 0 else 0] = 1
        return best

    def metrics(self, predictions: np.ndarray, labels: np.ndarray, examples: Dataset) -> dict[str, float]:
        """Give the shares of words with the right head (UAS) and with head and relation right (LAS).

        Over all words that have a token, as the scorer of the CoNLL 2018 shared task counts them, and without
        punctuation (by part of speech). Subtypes of relations do not count, as there. A head that is lost counts as
        missed; a word that is lost is not asked, so scores of a test set suit only a `max_length` that cuts nothing.
        """
        words = labels[..., 0] != IGNORED
        right = {"uas": predictions[..., 0] == labels[..., 0]}
        if self.config.labels:
            right["las"] = right["uas"] & (predictions[..., 1] == labels[..., 1])
        counted = {"": words, "_without_punctuation": words & (labels[..., 2] == 1)}
        return {
            f"{name}{suffix}": float(hits[among].mean()) if among.any() else 0.0
            for suffix, among in counted.items()
            for name, hits in right.items()
        }


def _universal(relation: str) -> str:
    """Drop the subtype, which is the language's own: `acl:relcl` becomes `acl`."""
    return relation.partition(":")[0]


def _of_heads(relations: Tensor, heads: Tensor) -> Tensor:
    """Choose the relation scores (B, T, T + 1, R) that belong to one head of each token (B, T): (B, T, R)."""
    index = heads[..., None, None].expand(*heads.shape, 1, relations.shape[-1])
    return relations.gather(2, index).squeeze(2)
