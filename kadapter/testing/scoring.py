"""Score a model on a few rows at hand, without a run: does what was shipped still do what its card says?"""

from __future__ import annotations

from pathlib import Path

import torch
from datasets import Dataset, concatenate_datasets

from kadapter import KnowledgeModel, default_registry


def rows_of(source: str, path: Path) -> Dataset:
    """Give all rows that an installed source reads from a path, its splits together.

    Raises:
        UnknownNameError: nobody registered that source.
        knowledge_data.DataError: the data is not what it should be.
    """
    splits = default_registry().sources[source]().load(path, seed=0).splits
    return concatenate_datasets([splits[name] for name in ("train", "validation", "test")])


def score_rows(model: KnowledgeModel, rows: Dataset) -> dict[str, float]:
    """Give the metrics of a model with a task on rows, all in one batch.

    Args:
        model: in evaluation mode.
        rows: with the columns that the task reads; few enough for the memory.

    Raises:
        ValueError: the model has no task.
    """
    if model.task is None:
        raise ValueError("the model has no task to be scored by; load that of a run")
    examples = model.task.encode(rows, model.backbone.tokenizer).examples
    batch = model.task.collate(list(examples), model.backbone.tokenizer)
    with torch.no_grad():
        logits = model(**batch).logits
    return model.task.metrics(model.task.predictions(logits, batch).numpy(), batch["labels"].numpy(), examples)
