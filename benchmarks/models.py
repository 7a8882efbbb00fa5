"""What the benchmarks time: a random model of BERT-base's shape with one adapter, its passes and its steps."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from transformers import BertConfig, BertModel

from kadapter import Backbone, KnowledgeModel
from kadapter.testing import fill_randomly, tiny_tokenizer


def bert(layers: int) -> BertModel:
    """Give a random model of BERT-base's shape, in evaluation mode."""
    return BertModel(BertConfig(vocab_size=1000, num_hidden_layers=layers)).eval()


def bert_backbone(layers: int) -> Backbone:
    """Give it as a backbone."""
    return Backbone(bert(layers), tiny_tokenizer())


def plugged(backbone: Backbone, options: Mapping[str, Any], seed: int = 0) -> KnowledgeModel:
    """Give a model with one adapter, filled at random, in evaluation mode."""
    model = KnowledgeModel(backbone)
    model.plug("it", options)
    fill_randomly(model.adapters, seed)
    model.recompose(model.usual_composition("sum"))
    return model.eval()


def whole(layers: int) -> KnowledgeModel:
    """Give a model of which everything is trained."""
    model = KnowledgeModel(bert_backbone(layers))
    model.backbone.thaw()
    return model


def forward(model: torch.nn.Module, tokens: torch.Tensor) -> Callable[[], object]:
    """Give a pass without gradient."""

    def run() -> object:
        with torch.no_grad():
            return model(input_ids=tokens)

    return run


def step(model: KnowledgeModel, tokens: torch.Tensor) -> Callable[[], object]:
    """Give a step of training on the mean of the last state."""
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-4)

    def run() -> None:
        model.train()
        model(input_ids=tokens).last_hidden_state.mean().backward()
        optimizer.step()
        optimizer.zero_grad()
        model.eval()

    return run
