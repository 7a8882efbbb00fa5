"""Scoring which word is the head of which: biaffine, or by one attention head as in the paper."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional


class HeadOfWords(nn.Module):
    """Scores every word and the root as the head of every token, and the relations to each."""

    def __init__(self, scorer: nn.Module, width: int, inner: int, relations: int, dropout: float) -> None:
        super().__init__()
        self.scorer = scorer
        self.root = nn.Parameter(torch.randn(width) * width**-0.5)
        self.relations = RelationScorer(width, inner, relations, dropout) if relations else None

    def forward(self, hidden: Tensor, batch: Mapping[str, Tensor]) -> Tensor:
        """Map (B, T, W) and `words` (B, T) to logits (B, T, T + 1, 1 + R).

        Along the third dimension stand the candidates: 0 is the root, k + 1 token k. The last one holds the score of
        the candidate as head (the lowest number there is for a token that begins no word), then those of the
        relations.
        """
        candidates = torch.cat([self.root.expand(len(hidden), 1, -1), hidden], 1)
        impossible = functional.pad(~batch["words"], (1, 0))[:, None]
        scores = self.scorer(hidden, candidates, batch["words"]).float()
        # Not infinity: times zero it would be no number.
        scores = scores.masked_fill(impossible, torch.finfo(scores.dtype).min)[..., None]
        if self.relations is None:
            return scores
        return torch.cat([scores, self.relations(hidden, candidates).float()], -1)


def _projected(width: int, inner: int, dropout: float) -> nn.Module:
    return nn.Sequential(nn.Dropout(dropout), nn.Linear(width, inner), nn.GELU(), nn.Dropout(dropout))


class BiaffineScorer(nn.Module):
    """d U h + u h, on projections of word and head (Dozat and Manning 2017, arXiv 1611.01734, section 3.1)."""

    def __init__(self, width: int, inner: int, dropout: float) -> None:
        super().__init__()
        self.word, self.candidate = (_projected(width, inner, dropout) for _ in range(2))
        self.bilinear = nn.Linear(inner, inner)
        self.prior = nn.Linear(inner, 1, bias=False)

    def forward(self, hidden: Tensor, candidates: Tensor, words: Tensor) -> Tensor:
        """Map (B, T, W) and (B, T + 1, W) to scores (B, T, T + 1)."""
        heads = self.candidate(candidates)
        scale = heads.shape[-1] ** -0.5
        return scale * self.bilinear(self.word(hidden)) @ heads.mT + self.prior(heads).mT


class AttentionScorer(nn.Module):
    """The paper's: a transformer block's attention with one head, then a linear layer.

    The published code (`lin-adapter.py`) maps to a fixed number of positions, so that no longer sentence can be
    read. Here the result is compared with every candidate instead.
    """

    def __init__(self, width: int, inner: int, dropout: float) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(width, 1, dropout=dropout, batch_first=True)
        self.norm = nn.LayerNorm(width)
        self.dense, self.candidate = nn.Linear(width, width), nn.Linear(width, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, hidden: Tensor, candidates: Tensor, words: Tensor) -> Tensor:
        """Map (B, T, W) and (B, T + 1, W) to scores (B, T, T + 1); tokens that begin a word are attended to."""
        mixed = self.attention(hidden, hidden, hidden, key_padding_mask=~words, need_weights=False)[0]
        word = self.dropout(self.dense(self.norm(hidden + self.dropout(mixed))))
        return hidden.shape[-1] ** -0.5 * word @ self.candidate(candidates).mT


class RelationScorer(nn.Module):
    """One biaffine score for each relation between a word and a candidate (arXiv 1611.01734, section 3.1)."""

    def __init__(self, width: int, inner: int, relations: int, dropout: float) -> None:
        super().__init__()
        inner = min(inner, 64)  # R matrices of this size: the relation is an easier choice than the head
        self.word, self.candidate = (_projected(width, inner, dropout) for _ in range(2))
        self.bilinear = nn.Parameter(torch.randn(relations, inner, inner) / inner)
        self.linear_word, self.linear_candidate = (nn.Linear(inner, relations) for _ in range(2))

    def forward(self, hidden: Tensor, candidates: Tensor) -> Tensor:
        """Map (B, T, W) and (B, T + 1, W) to (B, T, T + 1, R)."""
        word, candidate = self.word(hidden), self.candidate(candidates)
        pairs = torch.einsum("bti,rij,bcj->btcr", word, self.bilinear, candidate)
        return pairs + self.linear_word(word)[:, :, None] + self.linear_candidate(candidate)[:, None]
