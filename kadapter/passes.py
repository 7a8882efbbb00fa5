"""Which passes of the backbone the plugged adapters need: a clean one for all that read, one for those that edit."""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Protocol

import torch
from torch import Tensor

from kadapter.adapter import Adapter, HiddenStates
from kadapter.sites import Site
from kadapter.taps import Editor, below, first_edited

Rows = Mapping[str, Tensor]
"""Adapter -> the numbers of the rows of a batch that it is asked for, (B',)."""


class Passes(Protocol):
    """What runs passes, clean and edited: a backbone, or one that goes on from earlier passes."""

    def __call__(
        self,
        inputs: Mapping[str, Tensor],
        reads: frozenset[int],
        borrows: frozenset[int] = ...,
        sequential_positions: bool = ...,
        editor: Editor | None = ...,
        clean: HiddenStates | None = ...,
        rows: Tensor | None = ...,
    ) -> HiddenStates:
        """Give the states `reads` and the calls of the layers `borrows`, as `Backbone.forward` does."""


class CleanPass(Protocol):
    """What gives the states of a clean pass: a frozen backbone, or what was kept of one."""

    def __call__(
        self, inputs: Mapping[str, Tensor], reads: frozenset[int], borrows: frozenset[int], sequential_positions: bool
    ) -> HiddenStates:
        """Give the states `reads` and the calls of the layers `borrows`, as `Backbone.forward` does."""


def run(
    backbone: Passes,
    batch: Mapping[str, Tensor],
    adapters: Mapping[str, Adapter],
    reads: frozenset[int] = frozenset(),
    rows: Rows | None = None,
    exact: bool = True,
    clean: CleanPass | None = None,
) -> tuple[Mapping[int, Tensor], dict[str, Tensor]]:
    """Give the states of the clean pass that were asked for, and the features of every adapter by name.

    Adapters that edit have the clean pass in common up to the lowest layer that they edit. When nobody asks for more
    of it than the only one of them goes through itself, there is no clean pass.

    Args:
        backbone: runs as often as needed.
        batch: its inputs, (B, T) each.
        adapters: name -> adapter.
        reads: states of the clean pass that somebody else asks for.
        rows: what each adapter is asked for; None asks all of them for the whole batch.
        exact: whether each adapter works by itself. Otherwise those that edit, and whose lowest edited layer is the
            same, go side by side, as one widened batch, and those of a type that read, as the type knows how: quicker,
            and right to float tolerance.
        clean: what gives the clean pass where all adapters only read; None is the backbone.

    Returns:
        State number -> (B, T, W), and adapter -> features, (B, T, W), or (B', T, W) for B' rows.
    """
    for adapter in adapters.values():
        adapter.begin()
    only_read = not any(adapter.edits for adapter in adapters.values())
    source = clean if clean is not None and only_read else backbone
    states = _clean_pass(source, batch, adapters.values(), reads)
    features = {name: _picked(given, rows, name) for name, given in _read(adapters, states, exact)} if states else {}
    for group in _groups(adapters, exact):
        features |= _side_by_side(backbone, batch, {name: adapters[name] for name in group}, states, rows)
    return (states.states if states else {}), {name: features[name] for name in adapters}


def _clean_pass(
    source: CleanPass, batch: Mapping[str, Tensor], adapters: Collection[Adapter], reads: frozenset[int]
) -> HiddenStates | None:
    """Run what is read, and what several that edit have in common."""
    reading = [adapter for adapter in adapters if not adapter.edits]
    editing = [adapter for adapter in adapters if adapter.edits]
    shared = _all(below(adapter, adapter.reads) for adapter in editing)
    if not reads and not reading and (len(editing) < 2 or not shared):
        return None
    asked = _all([reads, shared, *(adapter.reads for adapter in reading)])
    borrows = _all(adapter.borrows for adapter in reading)
    return source(batch, asked, borrows, any(adapter.sequential_positions for adapter in reading))


def _read(adapters: Mapping[str, Adapter], clean: HiddenStates, exact: bool) -> Iterator[tuple[str, Tensor]]:
    """Give the features of those that only read, (B, T, W)."""
    reading = {name: adapter for name, adapter in adapters.items() if not adapter.edits}
    if exact:
        yield from ((name, adapter(clean.within(name))) for name, adapter in reading.items())
        return
    for kind in {type(adapter): None for adapter in reading.values()}:
        same = {name: adapter for name, adapter in reading.items() if type(adapter) is kind}
        yield from zip(same, kind.together(list(same.values()), clean), strict=True)


def _all(several: Iterable[Iterable[int]]) -> frozenset[int]:
    return frozenset(number for numbers in several for number in numbers)


def _groups(adapters: Mapping[str, Adapter], exact: bool) -> Collection[Sequence[str]]:
    """Say which of those that edit have a pass in common."""
    groups: dict[Hashable, list[str]] = {}
    for name, adapter in adapters.items():
        # How a layer was called is told for the batch as a whole.
        alone = exact or adapter.borrows or adapter.sequential_positions
        if adapter.edits:
            groups.setdefault(name if alone else first_edited(adapter), []).append(name)
    return groups.values()


def _side_by_side(
    backbone: Passes,
    batch: Mapping[str, Tensor],
    editors: Mapping[str, Adapter],
    clean: HiddenStates | None,
    rows: Rows | None,
) -> dict[str, Tensor]:
    """Give what these adapters make of a pass that they edit, each its own rows of it."""
    [first, *others] = adapters = list(editors.values())
    reads, borrows = _all(a.reads for a in adapters), frozenset(first.borrows)
    if rows is None and not others:
        states = backbone(batch, reads, borrows, first.sequential_positions, first, clean)
        return {name: first(states.within(name)) for name in editors}
    everybody = torch.arange(len(batch["input_ids"]), device=batch["input_ids"].device)
    asked = [everybody if rows is None else rows[name] for name in editors]
    sizes = [len(numbers) for numbers in asked]
    branches = Branches([Branch(adapter, adapter.edits, size) for adapter, size in zip(adapters, sizes, strict=True)])
    states = backbone(batch, reads, borrows, first.sequential_positions, branches, clean, torch.cat(asked))
    # How layers were called is for the one that borrows, which is alone.
    parts = _split(states, sizes) if others else [states]
    return {name: adapter(part) for (name, adapter), part in zip(editors.items(), parts, strict=True)}


def _split(states: HiddenStates, sizes: Sequence[int]) -> Iterator[HiddenStates]:
    """Give the first rows, the next ones, and so on, as many as `sizes` says."""
    ends = list(accumulate(sizes))
    for rows in map(slice, [0, *ends], ends):
        kept = {number: state[rows] for number, state in states.states.items()}
        yield HiddenStates(kept, states.attention_mask[rows], states.causal)


def _picked(features: Tensor, rows: Rows | None, name: str) -> Tensor:
    return features if rows is None else features[rows[name]]


@dataclass(frozen=True)
class Branch:
    """An adapter that edits so many rows of a widened batch, at these sites.

    The sites are those of this pass: an adapter that is asked for others in the next one may have its layers computed
    again for the gradient in between.
    """

    adapter: Adapter
    edits: frozenset[Site]
    rows: int


class Branches:
    """Adapters that edit side by side, each its own rows of a widened batch: to the pass, they are one editor."""

    def __init__(self, branches: Sequence[Branch]) -> None:
        self.branches = branches
        self.edits = frozenset[Site]().union(*(branch.edits for branch in branches))

    def edit(self, site: Site, hidden: Tensor, entering: Tensor, norm: Callable[[Tensor], Tensor]) -> Tensor:
        """Let each adapter edit its rows: (the sum of all rows, T, W)."""
        sizes = [branch.rows for branch in self.branches]
        parts = zip(self.branches, hidden.split(sizes), entering.split(sizes), strict=True)
        edited = [
            branch.adapter.edit(site, rows, entered, norm) if site in branch.edits else norm(rows)
            for branch, rows, entered in parts
        ]
        return torch.cat(edited)
