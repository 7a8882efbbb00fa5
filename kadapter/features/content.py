"""What the states of a backbone depend on, beside its rows: every weight bit for bit, and the configuration."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from itertools import chain
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def content_hash(model: PreTrainedModel) -> str:
    """Give 16 hexadecimal digits that stand for a model.

    A fingerprint would not do: it samples the weights of the layers and of the input embeddings, so that it outlasts
    other precisions and names, and says nothing of norms around the layers, positions, or how a layer computes.
    """
    found = hashlib.sha256(json.dumps(_configuration(model), sort_keys=True, default=str).encode())
    for name, tensor in _tensors(model):
        found.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        found.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return found.hexdigest()[:16]


def _configuration(model: PreTrainedModel) -> dict[str, Any]:
    said = {key: value for key, value in model.config.to_dict().items() if key != "_name_or_path"}
    return {**said, "attention": getattr(model.config, "_attn_implementation", None)}


def _tensors(model: PreTrainedModel) -> Iterator[tuple[str, Tensor]]:
    return chain(model.named_parameters(), model.named_buffers())
