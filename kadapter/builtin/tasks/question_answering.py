"""Extractive question answering: which span of the context answers the question, if any does?

The spans are scored as BERT scores them on SQuAD (arXiv 1810.04805, sections 4.2 and 4.3): a number for each token
as a start, one as an end. "No answer" is said by the first token of a window. On a causal backbone that token
sees nothing, so its number is a threshold that all contexts share.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from kadapter import Encoded, Task
from kadapter.builtin.tasks.checks import check, check_dropout, check_max_length
from kadapter.builtin.tasks.encoding import LOST, encode_rows
from kadapter.builtin.tasks.losses import mean_of_asked
from kadapter.builtin.tasks.padding import IGNORED, pad_values, padding_before
from kadapter.builtin.tasks.pairs import pad_parts, token_columns
from kadapter.builtin.tasks.windows import ELSEWHERE, Windows, by_question, encode_windows, places, ranks

if TYPE_CHECKING:
    import numpy as np
    from datasets import Dataset, DatasetDict
    from transformers import PreTrainedTokenizerBase

EMPTY = (0, 0)
"""The span that says that there is no answer; no token of a context ends at 0."""

NEVER = -1e4
"""The logit of a token that cannot be an answer; finite, also in half precision."""


@dataclass(frozen=True)
class QuestionAnsweringConfig:
    """Options of question answering.

    Attributes:
        unanswerable: whether a question may have no answer, as in SQuAD 2; null fills it from the data.
        max_length: in tokens, of a question with a window of its context.
        stride: how many tokens of the context two windows share, at most half of those that fit.
        max_answer_tokens: longer spans are never predicted.
        dropout: probability, before the linear layer.
    """

    unanswerable: bool | None = None
    max_length: int = 384
    stride: int = 128
    max_answer_tokens: int = 30
    dropout: float = 0.1

    def __post_init__(self) -> None:
        check_max_length(self)
        check(self, "stride", self.stride >= 0, "0 tokens or more")
        check(self, "max_answer_tokens", self.max_answer_tokens >= 1, "1 token or more")
        check_dropout(self)


def _row(question: str, context: str, *answers: str) -> dict[str, Any]:
    starts = [context.index(answer) for answer in answers]
    return {"id": question, "question": question, "context": context, "answers": list(answers), "starts": starts}


_ANSWERED = (
    _row("what is full ?", "the harbour of the old town is full of small boats , and who knows the bridge", "harbour"),
    _row("who ?", "a river runs by the old town . nobody knows a river by the harbour of the old town", "town"),
    _row("what ?", "bread", "bread"),
)
_UNANSWERED = (_row("who painted it ?", "a river runs by and by and by"), _row("where ?", "bread"))


class QuestionAnswering(Task):
    """A span of the context for each question; an example is a question with all windows of its context."""

    name: ClassVar[str] = "question-answering"
    Config: ClassVar[type] = QuestionAnsweringConfig
    metric: ClassVar[str] = "f1"
    columns: ClassVar[tuple[str, ...]] = ("id", "question", "context", "answers", "starts")
    fields: ClassVar[frozenset[str]] = frozenset({"owners", "offsets"})
    examples: ClassVar[Sequence[Mapping[str, Any]]] = (
        {"max_length": 14, "stride": 4, "rows": _ANSWERED},
        {"max_length": 16, "stride": 4, "rows": (*_ANSWERED, *_UNANSWERED)},
    )

    @classmethod
    def fit(cls, config: QuestionAnsweringConfig, splits: DatasetDict) -> QuestionAnsweringConfig:
        """Give `config` with `unanswerable`: whether any question has no answer, unless it is given."""
        if config.unanswerable is not None:
            return config
        return replace(config, unanswerable=any(not a for rows in splits.values() for a in rows["answers"]))

    def encode(self, rows: Dataset, tokenizer: PreTrainedTokenizerBase) -> Encoded:
        """Give `input_ids` and the like, `offsets` and `labels` for each window; and what `metrics` reads.

        A window is asked for the first answer when it has all of it. One that has not is asked for "no answer", its
        first token, when there may be none, and else nothing. An answer that no window has is lost: nothing is asked.
        """
        from datasets import Value

        columns = {
            **{name: [[Value("int64")]] for name in token_columns(tokenizer)},
            "offsets": [[[Value("int32")]]],
            "labels": [[Value("int64")]],
            "id": Value("string"),
            "context": Value("string"),
            "answers": [Value("string")],
        }
        return encode_rows(rows, lambda row: self._encode_row(row, tokenizer), columns, "answers that no window has")

    def _encode_row(self, row: Mapping[str, Any], tokenizer: PreTrainedTokenizerBase) -> dict[str, Any] | str:
        if len(row["answers"]) != len(row["starts"]):
            return "not as many starts as answers"
        if not row["answers"] and not self.config.unanswerable:
            return "question without an answer"
        config = self.config
        windows = encode_windows(row["question"], row["context"], tokenizer, config.max_length, config.stride)
        if windows is None:
            return f"no context beside the question within {config.max_length} tokens"
        labels, lost = self._labels(row, windows)
        kept = {name: row[name] for name in ("id", "context", "answers")}
        return {**windows.tokens, **kept, "offsets": self._open(windows), "labels": labels, LOST: lost}

    def _labels(self, row: Mapping[str, Any], windows: Windows) -> tuple[list[list[int]], int]:
        """Give the first and last token of what each window is asked for, and how many answers are lost."""
        nothing, otherwise = [IGNORED, IGNORED], [0, 0] if self.config.unanswerable else [IGNORED, IGNORED]
        if not row["answers"]:
            return [otherwise for _ in windows.offsets], 0
        start = row["starts"][0]
        found = places((start, start + len(row["answers"][0])), windows.offsets)
        if not any(found):
            return [nothing for _ in found], 1
        return [place or otherwise for place in found], 0

    def _open(self, windows: Windows) -> list[list[tuple[int, int]]]:
        """Give the offsets, those of the first token `EMPTY` when there may be no answer."""
        return [[EMPTY, *offsets[1:]] if self.config.unanswerable else offsets for offsets in windows.offsets]

    def collate(self, examples: Sequence[Mapping[str, Any]], tokenizer: PreTrainedTokenizerBase) -> dict[str, Tensor]:
        """Pad to the longest window of N each, one row for each window.

        `input_ids`, `attention_mask` (sum of N, T); `owners` (sum of N), the question of each; `offsets`
        (sum of N, T, 2), `ELSEWHERE` at tokens that cannot be an answer; `labels` (B, most N, 2), tokens or `IGNORED`.
        """
        batch = pad_parts(examples, tokenizer)
        offsets = list(chain.from_iterable(e["offsets"] for e in examples))
        batch["offsets"] = pad_values(offsets, batch["attention_mask"], fill=ELSEWHERE)
        counts = torch.tensor([len(e["labels"]) for e in examples])
        batch["owners"] = torch.arange(len(examples)).repeat_interleave(counts)
        labels = torch.tensor(list(chain.from_iterable(e["labels"] for e in examples)))
        moved = labels + padding_before(batch["attention_mask"])
        batch["labels"] = by_question(torch.where(labels == IGNORED, labels, moved), batch["owners"], IGNORED)
        return batch

    def head(self, width: int) -> nn.Module:
        """Give the linear head over every token: logits of starts and ends (B, most N, T, 2)."""
        return SpanHead(width, self.config.dropout)

    def loss(self, logits: Tensor, batch: Mapping[str, Tensor]) -> Tensor:
        """Give the cross-entropy over the tokens of a window, the mean over all starts and ends that are asked."""
        return mean_of_asked(logits.movedim(-1, 2).flatten(0, 2), batch["labels"].flatten())

    def predictions(self, logits: Tensor, batch: Mapping[str, Tensor]) -> Tensor:
        """Give the best span over all windows of each question, in characters of the context: (B, 2).

        `EMPTY` when "no answer" has more in every window than the best span has.
        """
        owners, offsets = batch["owners"], batch["offsets"]
        windows = logits[owners, ranks(owners)].float()
        scores, spans = self._best_spans(windows, offsets)
        best, window = by_question(scores, owners, -torch.inf).max(1)
        chosen = by_question(spans, owners, 0).take_along_dim(window[:, None, None], 1)[:, 0]
        silent = windows.sum(-1).masked_fill(offsets[..., 1] != 0, torch.inf).amin(1)
        none = by_question(silent, owners, torch.inf).amin(1)
        answered = (best >= none) | none.isinf()
        return chosen * answered[:, None]

    def _best_spans(self, logits: Tensor, offsets: Tensor) -> tuple[Tensor, Tensor]:
        """Give the score (sum of N) and the characters (sum of N, 2) of the best span of each window."""
        most = self.config.max_answer_tokens
        starts, ends = logits.masked_fill(offsets[..., 1:] <= 0, -torch.inf).unbind(-1)
        ends = functional.pad(ends, (0, most - 1), value=-torch.inf).unfold(1, most, 1)
        best, place = (starts[..., None] + ends).flatten(1).max(1)
        first = place // most
        last = first + place % most
        ends_of_span = [(offsets[..., 0], first), (offsets[..., 1], last)]
        return best, torch.cat([characters.gather(1, at[:, None]) for characters, at in ends_of_span], 1)

    def part(self, sizes: Sequence[int], padding_side: str) -> tuple[slice | list[int], ...]:
        """Say where they stand: padding comes after the windows, and beside the tokens."""
        windows, *rest = sizes
        return (slice(windows), *super().part(rest, padding_side)[:1], slice(None))

    def best_logits(self, logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Give the best there are: start and end of the answer stand out in every window that holds it."""
        best = logits * 0
        for question, window, side in zip(*(labels >= 0).nonzero(), strict=True):
            best[question, window, labels[question, window, side], side] = 9
        return best

    def metrics(self, predictions: np.ndarray, labels: np.ndarray, examples: Dataset) -> dict[str, float]:
        """Give exact match and F1 over words as SQuAD scores them, against the best of a question's answers.

        As SQuAD 2 does it, the one right answer to a question without any is none.
        """
        from torchmetrics.functional.text import squad

        given: list[Any] = []
        wanted: list[Any] = []
        columns = (predictions, examples["context"], examples["answers"])
        for number, (span, context, answers) in enumerate(zip(*columns, strict=True)):
            given.append({"id": str(number), "prediction_text": context[slice(*span)]})
            wanted.append({"id": str(number), "answers": {"answer_start": [], "text": answers or [""]}})
        return {name: value.item() / 100 for name, value in squad(given, wanted).items()}


class SpanHead(nn.Module):
    """Linear(W → 2) over every token: how good a start of the answer, how good an end."""

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        # A bias would be the same for all tokens.
        self.linear = nn.Linear(width, 2, bias=False)

    def forward(self, hidden: Tensor, batch: Mapping[str, Tensor]) -> Tensor:
        """Map (sum of N, T, W), `owners` and `offsets` to logits (B, most N, T, 2)."""
        logits = self.linear(self.dropout(hidden))
        closed = batch["offsets"][..., :1] == ELSEWHERE
        return by_question(logits.masked_fill(closed, NEVER), batch["owners"], NEVER)
