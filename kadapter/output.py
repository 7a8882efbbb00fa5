"""What a pass of a `KnowledgeModel` gives."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor
from transformers.utils.generic import ModelOutput


@dataclass
class KnowledgeOutput(ModelOutput):
    """What a pass gives.

    Attributes:
        loss: a scalar, when the model has a task and the batch has labels.
        logits: of the task's head, when the batch has the fields that it reads.
        last_hidden_state: (B, T, W), composed.
        backbone_hidden_state: (B, T, W), the backbone's own last state; None when nobody asked for it: beside an
            adapter that edits, whose composition is "alone".
        features: adapter name -> (B, T, W).
    """

    loss: Tensor | None = None
    logits: Tensor | None = None
    last_hidden_state: Tensor | None = None
    backbone_hidden_state: Tensor | None = None
    features: dict[str, Tensor] | None = None
