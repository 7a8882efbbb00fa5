"""Whether the states that a run reads come from the feature store, and which data sets it keeps there."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from kadapter.errors import StorageError
from kadapter.features import FeatureStore, Row, RowSet, input_names, rows_of
from kadapter.model import KnowledgeModel
from kadapter.progress import tell
from kadapter.recipe import Training
from kadapter.trainer import KnowledgeTrainer

if TYPE_CHECKING:
    from datasets import Dataset

KEPT = ("train", "validation")
"""The splits that every epoch goes through."""

_AT_ONCE = 256


@contextmanager
def states_kept(trainer: KnowledgeTrainer, training: Training) -> Iterator[dict[str, float]]:
    """Let a trainer read the states of a frozen backbone from the feature store for the length of a `with`.

    Where that is not asked for, cannot be or does not pay, it reads them from the backbone: the same numbers.

    Yields:
        What it cost: `store_bytes` that are read from, `store_seconds` until they were there; nothing without a store.

    Raises:
        StorageError: a store that was asked for by name cannot be used.
    """
    store = _store(trainer.knowledge_model, training)
    with ExitStack() as open_until_the_end:
        costs: dict[str, float] = {}
        try:
            if store is not None:
                costs = open_until_the_end.enter_context(_filled(store, trainer, training))
        except StorageError as error:
            if training.store != "auto":
                raise
            tell(f"no feature store: {error}")
        yield costs


def _store(model: KnowledgeModel, training: Training) -> FeatureStore | None:
    """Give the store that a run may use; None when it is to do without, or would find nothing there."""
    if training.store == "off":
        return None
    if obstacle := _obstacle(model):
        if training.store != "auto":
            tell(f"no feature store: {obstacle}")
        return None
    store = FeatureStore(None if training.store == "auto" else training.store, training.store_limit)
    return store if _pays(training) or store.entries() else None


def _pays(training: Training) -> bool:
    """Whether states are used more than once, as far as this run knows."""
    return training.store != "auto" or training.epochs > 1


def _obstacle(model: KnowledgeModel) -> str | None:
    """Say why the states that a model reads are not those of its rows."""
    if not model.backbone.frozen:
        return "the backbone is trained"
    for name, adapter in model.by_name().items():
        if adapter.edits:
            return f"adapter '{name}' edits the backbone"
        if adapter.sequential_positions:
            return f"adapter '{name}' looks at padding"
    return None


@contextmanager
def _filled(store: FeatureStore, trainer: KnowledgeTrainer, training: Training) -> Iterator[dict[str, float]]:
    """Compute what is not there, and let the trainer read it."""
    started = time.perf_counter()
    model, frozen = trainer.knowledge_model, trainer.frozen
    reads = model.reads.union(*(adapter.reads for adapter in model.by_name().values()))
    sets = [_rows(trainer, trainer.examples.splits[split]) for split in KEPT]
    with store.opened(frozen, [rows for rows in sets if rows is not None]) as folders:
        if not reads or None in sets or not (_pays(training) or not any(folder.lacks(reads) for folder in folders)):
            yield {}
            return
        store.fill(folders, reads, frozen)
        frozen.kept = tuple(folders)
        try:
            size = sum(folder.bytes_for(len(reads)) for folder in folders)
            yield {"store_bytes": size, "store_seconds": round(time.perf_counter() - started, 1)}
        finally:
            frozen.kept = ()


def _rows(trainer: KnowledgeTrainer, split: Dataset) -> RowSet | None:
    """Give the rows of a split as the backbone gets them; None when its batches are not rows."""
    accepts = trainer.knowledge_model.backbone.accepts
    rows: list[Row] = []
    names: tuple[str, ...] = ()
    for start in range(0, len(split), _AT_ONCE):
        batch = trainer.data_collator(split.select(range(start, min(start + _AT_ONCE, len(split)))).to_list())
        found, names = rows_of(batch, accepts), input_names(batch, accepts)
        if found is None:
            return None
        rows += found
    return RowSet(rows, names)
