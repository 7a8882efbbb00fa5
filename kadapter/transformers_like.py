"""What transformers' Trainer and pipelines ask of a model."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import torch

if TYPE_CHECKING:
    from transformers import PretrainedConfig

    from kadapter.backbone import Backbone


class TransformersLike:
    """Answers what Trainer and pipelines ask, in the backbone's stead.

    Attributes:
        backbone: a transformers model whose layers are known.
        accepts_loss_kwargs: no: the loss is a mean, whatever else `forward` takes.
        base_model_prefix: named in errors only.
    """

    backbone: Backbone
    accepts_loss_kwargs: ClassVar[bool] = False
    base_model_prefix: ClassVar[str] = "backbone"

    @property
    def config(self) -> PretrainedConfig:
        """The backbone's."""
        return self.backbone.model.config

    @property
    def device(self) -> torch.device:
        """Where the backbone is."""
        return self.backbone.model.device

    @property
    def dtype(self) -> torch.dtype:
        """In which the backbone computes."""
        return self.backbone.model.dtype

    def can_generate(self) -> bool:
        """Say whether text can be generated: by a causal backbone."""
        return self.backbone.info.causal
