"""Losses over what is asked, where not everything is."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

from kadapter.builtin.tasks.padding import IGNORED


def mean_of_asked(logits: Tensor, labels: Tensor) -> Tensor:
    """Give the cross-entropy of logits (N, classes) for labels (N), the mean over those that are not `IGNORED`.

    Of a batch in which nothing is asked the mean would not be a number, and one such step would spoil all weights;
    here it is 0.
    """
    total = functional.cross_entropy(logits, labels, ignore_index=IGNORED, reduction="sum")
    return total / (labels != IGNORED).sum().clamp(min=1)
