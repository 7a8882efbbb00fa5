"""Score a model on a few rows at hand, without a run: does what was shipped still do what its card says?"""

from __future__ import annotations

import torch
from datasets import Dataset

from kadapter import KnowledgeModel


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
