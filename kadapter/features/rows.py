"""Rows: what a backbone is told of each text of a batch, without padding."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import accumulate
from typing import Any

import numpy as np
import torch
from torch import Tensor

Row = np.ndarray[Any, np.dtype[np.int64]]
"""The numbers of one text, (I, n) for I inputs of n tokens; the first input is `input_ids`."""


def input_names(batch: Mapping[str, Tensor], accepts: Collection[str]) -> tuple[str, ...]:
    """Name the inputs of a batch that make up its rows, `input_ids` first."""
    others = sorted(name for name in batch if name in accepts and name not in ("input_ids", "attention_mask"))
    return ("input_ids", *others)


def rows_of(batch: Mapping[str, Tensor], accepts: Collection[str]) -> list[Row] | None:
    """Give the rows of a batch; None when it says more than that: no number for each token, or holes in a text.

    Args:
        batch: `input_ids` (B, T), perhaps `attention_mask` (B, T), and others.
        accepts: the names of the inputs that the backbone takes.
    """
    tokens = batch["input_ids"]
    inputs = [batch[name] for name in input_names(batch, accepts)]
    mask = real_tokens(batch)
    by_token = all(value.shape == tokens.shape and not value.is_floating_point() for value in inputs)
    if not by_token or mask.shape != tokens.shape or not _whole(mask):
        return None
    numbers = torch.stack(inputs, dim=1).cpu().numpy().astype(np.int64, copy=False)
    return [row[:, real] for row, real in zip(numbers, mask.cpu().numpy(), strict=True)]


def real_tokens(batch: Mapping[str, Tensor]) -> Tensor:
    """Say which tokens are real, (B, T)."""
    return batch.get("attention_mask", torch.ones_like(batch["input_ids"])).bool()


def _whole(mask: Tensor) -> bool:
    """Whether the real tokens of each row are side by side, and there are any."""
    numbers = mask.int()
    first, last = numbers.argmax(1), mask.shape[1] - 1 - numbers.flip(1).argmax(1)
    return bool((mask.any(1) & (numbers.sum(1) == last - first + 1)).all())


def lay(states: Sequence[Tensor], real: Tensor, dtype: torch.dtype) -> Tensor:
    """Lay the states of rows, (n, W) each, over the real tokens of a batch, (B, T): (B, T, W), zeros at padding."""
    laid = torch.zeros(*real.shape, states[0].shape[-1], dtype=dtype, device=real.device)
    laid[real] = torch.cat(list(states)).to(real.device, dtype)
    return laid


def digest(row: Row) -> bytes:
    """Give 16 bytes that stand for a row."""
    return hashlib.blake2b(np.ascontiguousarray(row).tobytes(), digest_size=16, salt=bytes([row.shape[0]])).digest()


class RowSet:
    """The different rows of a data set in an order of their own: by length, whatever order the data set has.

    Attributes:
        names: of the inputs that make up a row.
        rows: every row once.
        numbers: digest of a row -> its place in `rows`.
        ends: the number of tokens up to the end of each row.
        content_hash: 16 hexadecimal digits that stand for the inputs' names and all rows.
    """

    def __init__(self, rows: Iterable[Row], names: Sequence[str]) -> None:
        unique = {digest(row): row for row in rows}
        ordered = sorted(unique.items(), key=lambda pair: (pair[1].shape[1], pair[0]))
        self.names = tuple(names)
        self.rows = [row for _, row in ordered]
        self.numbers = {key: number for number, (key, _) in enumerate(ordered)}
        self.ends = list(accumulate(row.shape[1] for row in self.rows))
        self.content_hash = hashlib.sha256(b"".join([*map(str.encode, names), *self.numbers])).hexdigest()[:16]

    @property
    def tokens(self) -> int:
        """How many tokens they have together."""
        return self.ends[-1] if self.ends else 0

    def cut(self, tokens: int) -> list[range]:
        """Cut it into runs of rows with about so many tokens each, one row at least."""
        runs: list[range] = []
        start, begun = 0, 0
        for number, end in enumerate(self.ends, start=1):
            if end - begun >= tokens or number == len(self.ends):
                runs.append(range(start, number))
                start, begun = number, end
        return runs
