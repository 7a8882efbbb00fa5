"""The states of a batch, row by row: computed beside rows of the same length, or taken from where they are kept."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from itertools import cycle, groupby, islice
from typing import Literal, Protocol

import numpy as np
import torch
from torch import Tensor

from kadapter.adapter import HiddenStates
from kadapter.backbone import Backbone
from kadapter.features.calls import Calls
from kadapter.features.halved import Halved
from kadapter.features.rows import Row, input_names, lay, real_tokens, rows_of

Precision = Literal["float32", "bfloat16"]

TOKENS_AT_ONCE = 4096
"""In one pass of the backbone over rows of the same length, at most."""

ROWS_AT_LEAST, TOKENS_AT_LEAST = 2, 8
"""In one pass, the latter for each thread: matrix kernels take another way, to other last bits, for fewer."""


class Kept(Protocol):
    """Where states are kept."""

    def get(self, row: Row, state: int) -> Tensor | None:
        """Give one state of a row, (n, W); None when it is not kept."""


class FrozenStates:
    """A clean pass in which the states of a row do not depend on what it is batched with, to the last bit.

    Rows of the same length go through the backbone together, without padding; where they are few, some of them twice.
    Where batch-mates move the bits all the same (experts that work on the tokens of a batch together; matrix kernels of
    some processors), which is tried on the first batch, and for what is not rows, it is the backbone's own pass of the
    batch as it is.

    Attributes:
        backbone: a frozen one.
        precision: of the pass, and of the states that it gives.
        kept: where states are looked up first.
        apart: whether batch-mates leave the bits of a row as they are; None until it was tried.
    """

    def __init__(self, backbone: Backbone, precision: Precision = "float32") -> None:
        self.backbone, self.precision = backbone, precision
        self.kept: tuple[Kept, ...] = ()
        self._calls, self._halved = Calls(backbone), Halved(backbone)
        self.apart: bool | None = None

    @property
    def dtype(self) -> torch.dtype:
        """The numbers in which states are kept."""
        return torch.bfloat16 if self.precision == "bfloat16" else torch.float32

    @property
    def device(self) -> torch.device:
        """Where the backbone lies."""
        return next(self.backbone.parameters()).device

    def __call__(
        self,
        inputs: Mapping[str, Tensor],
        reads: frozenset[int],
        borrows: frozenset[int] = frozenset(),
        sequential_positions: bool = False,
    ) -> HiddenStates:
        """Give states and calls as `Backbone.forward` does; the states are zeros at padding."""
        rows = None if sequential_positions else rows_of(inputs, self.backbone.accepts)
        if rows is None:
            return self._plain(inputs, reads, borrows, sequential_positions)
        found = self._kept(rows, reads)
        if found is None:
            names = input_names(inputs, self.backbone.accepts)
            if not self.are_apart(rows, names, reads):
                return self._plain(inputs, reads, borrows, sequential_positions)
            found = self.computed(rows, names, reads)
        real = real_tokens(inputs)
        states = {state: lay(found[state], real, torch.float32) for state in reads}
        with self._precisely():
            calls = self._calls(inputs, borrows)
        return HiddenStates(states, real, self.backbone.info.causal, calls)

    def _plain(
        self, inputs: Mapping[str, Tensor], reads: frozenset[int], borrows: frozenset[int], sequential_positions: bool
    ) -> HiddenStates:
        return self.backbone(inputs, reads, borrows, sequential_positions)

    def _kept(self, rows: Sequence[Row], reads: frozenset[int]) -> dict[int, list[Tensor]] | None:
        """Give what is kept of these rows, if all of it is."""
        found: dict[int, list[Tensor]] = {state: [] for state in reads}
        for row in rows:
            for state, states in found.items():
                kept = next((it for place in self.kept if (it := place.get(row, state)) is not None), None)
                if kept is None:
                    return None
                states.append(kept)
        return found

    def are_apart(self, rows: Sequence[Row], names: Sequence[str], reads: frozenset[int]) -> bool:
        """Whether batch-mates leave the bits of a row as they are: tried once, on rows cut to the same length.

        On a GPU they seldom do, and many small passes are slow: there it is not tried.
        """
        if self.device.type != "cpu":
            return False
        if self.apart is None:
            lengths = sorted(row.shape[1] for row in rows)
            self.apart = all(
                self._are_apart([row[:, :length] for row in rows if row.shape[1] >= length], names, reads)
                for length in {lengths[0], lengths[len(lengths) // 2]}
            )
        return self.apart

    def _are_apart(self, mates: Sequence[Row], names: Sequence[str], reads: frozenset[int]) -> bool:
        mates = mates if len(mates) > ROWS_AT_LEAST else [*mates] * (ROWS_AT_LEAST + 1)
        together = self.computed(mates, names, reads)
        alone = {number: self.computed([mates[number]], names, reads) for number in (0, len(mates) - 1)}
        return all(
            torch.equal(together[state][number], own[state][0]) for number, own in alone.items() for state in reads
        )

    def computed(self, rows: Sequence[Row], names: Sequence[str], reads: frozenset[int]) -> dict[int, list[Tensor]]:
        """Run the backbone over rows, those of the same length together: state -> (n, W) for each row."""
        found: dict[int, list[Tensor]] = {state: [torch.empty(0)] * len(rows) for state in reads}
        for numbers in _groups(rows):
            stacked = torch.from_numpy(np.stack([rows[number] for number in _enough(numbers, rows)], axis=1))
            batch = {name: values.to(self.device) for name, values in zip(names, stacked, strict=True)}
            with self._precisely(), torch.inference_mode():
                states = self.backbone(batch, reads)
            for state in reads:
                for number, own in zip(numbers, states[state].to(self.dtype), strict=False):
                    found[state][number] = own
        return found

    @contextmanager
    def _precisely(self) -> Iterator[None]:
        half = self.precision == "bfloat16"
        weights = self._halved.reading() if half else nullcontext()
        with torch.autocast(self.device.type, torch.bfloat16, enabled=half), weights:
            yield


def _groups(rows: Sequence[Row]) -> Iterator[list[int]]:
    """Give the numbers of rows of the same length, not too many at once."""
    by_length = sorted(range(len(rows)), key=lambda number: rows[number].shape[1])
    for length, numbers in groupby(by_length, key=lambda number: rows[number].shape[1]):
        same, at_once = list(numbers), max(1, TOKENS_AT_ONCE // length)
        yield from (same[start : start + at_once] for start in range(0, len(same), at_once))


def _enough(numbers: Sequence[int], rows: Sequence[Row]) -> Sequence[int]:
    """Give the numbers of rows of the same length, from the start again until a pass over them has enough."""
    tokens = TOKENS_AT_LEAST * torch.get_num_threads()
    least = max(ROWS_AT_LEAST, math.ceil(tokens / rows[numbers[0]].shape[1]))
    return [*islice(cycle(numbers), max(least, len(numbers)))]
