"""Which passes of the backbone the plugged adapters need: a clean one for all that read, one for each that edits."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from kadapter.adapter import Adapter, HiddenStates
from kadapter.backbone import Backbone
from kadapter.taps import below


def run(
    backbone: Backbone,
    batch: Mapping[str, Tensor],
    adapters: Mapping[str, Adapter],
    reads: frozenset[int] = frozenset(),
) -> tuple[Mapping[int, Tensor], dict[str, Tensor]]:
    """Give the states of the clean pass that were asked for, and the features of every adapter by name, (B, T, W) each.

    Adapters that edit have the clean pass in common up to the lowest layer that they edit. When nobody asks for more
    of it than the only one of them goes through itself, there is no clean pass.

    Args:
        backbone: runs as often as needed.
        batch: its inputs, (B, T) each.
        adapters: name -> adapter.
        reads: states of the clean pass that somebody else asks for.
    """
    reading = [adapter for adapter in adapters.values() if not adapter.edits]
    editing = [adapter for adapter in adapters.values() if adapter.edits]
    clean = None
    if reads or reading or len(editing) > 1:
        asked = reads.union(*(adapter.reads for adapter in reading), *(below(adapter) for adapter in editing))
        borrows = frozenset().union(*(adapter.borrows for adapter in reading))
        clean = backbone(batch, asked, borrows, any(adapter.sequential_positions for adapter in reading))
    features = {name: _features(backbone, batch, adapter, clean) for name, adapter in adapters.items()}
    return (clean.states if clean is not None else {}), features


def _features(backbone: Backbone, batch: Mapping[str, Tensor], adapter: Adapter, clean: HiddenStates | None) -> Tensor:
    adapter.begin()
    features: Tensor = adapter(_states(backbone, batch, adapter, clean))
    return features


def _states(
    backbone: Backbone, batch: Mapping[str, Tensor], adapter: Adapter, clean: HiddenStates | None
) -> HiddenStates:
    """Give an adapter the clean pass, or one of its own if it edits."""
    if clean is not None and not adapter.edits:
        return clean
    reads, borrows = frozenset(adapter.reads), frozenset(adapter.borrows)
    return backbone(batch, reads, borrows, adapter.sequential_positions, adapter, clean)
