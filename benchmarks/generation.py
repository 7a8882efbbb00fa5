"""What writing costs: a prompt, and each token after it, with a cache and without; beside the bare language model.

A random model of the shape of SmolLM2-135M, with a small vocabulary, in float32; greedy; medians of interleaved rounds
after warm-up. The bare model is transformers' own class and loop, to which nobody listens. Without a cache, each token
costs a pass over the prompt and all that was written.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedModel

from benchmarks.models import QUICK, Shape, plugged
from benchmarks.reporting import ratios
from kadapter import Backbone, KnowledgeModel
from kadapter.testing import tiny_tokenizer

ADAPTERS: dict[str, dict[str, Any]] = {"k-adapter": {"type": "k-adapter"}, "standard": {"type": "standard", "size": 48}}
SMOLLM = Shape(layers=30, width=576, batch=1, repetitions=5)
WRITTEN = 16


def measure(quick: bool) -> dict[str, Any]:
    """Time every row in turn, over and over, for one prompt and for four."""
    shapes = {"quick": QUICK} if quick else {f"{rows} x 64": replace(SMOLLM, batch=rows) for rows in (1, 4)}
    table: dict[str, Mapping[str, float]] = {}
    for name, shape in shapes.items():
        table |= {f"{name}: {row}": figures for row, figures in measured(shape, 3 if quick else WRITTEN).items()}
    setting = {"written": WRITTEN, **{name: shape.said() for name, shape in shapes.items()}}
    return {"setting": setting, "rows": table}


def measured(shape: Shape, count: int) -> dict[str, dict[str, float]]:
    """Give seconds of the prompt and its first token, and of each token after it, and their ratios to the bare model's.

    Without a cache, all stand beside the bare model with one.
    """
    bare = language_model(shape)
    backbone = Backbone(deepcopy(bare.base_model), tiny_tokenizer(), language_model=lambda causal: deepcopy(bare))
    models: dict[str, Any] = {"bare model": bare}
    models["nothing plugged"] = KnowledgeModel(backbone).eval()
    models |= {name: plugged(backbone, options) for name, options in ADAPTERS.items()}
    prompt = shape.inputs()
    rows = {
        (f"{name}{', no cache' * (not cache)}", tokens): partial(write, model, prompt, tokens, cache)
        for name, model in models.items()
        for cache in (True, False)
        for tokens in (1, 1 + count)
    }
    taken = shape.timed(rows)
    each = {name: (seconds - taken[name, 1]) / count for (name, tokens), seconds in taken.items() if tokens > 1}
    prompts = {name: taken[name, 1] for name in each}
    first, later = ratios(prompts, "bare model"), ratios(each, "bare model")
    return {
        f"{name}, {part}": figures[name] for part, figures in (("prompt", first), ("token", later)) for name in each
    }


def language_model(shape: Shape) -> PreTrainedModel:
    """Give a random one, in evaluation mode."""
    config = LlamaConfig(
        vocab_size=1000,
        num_hidden_layers=shape.layers,
        hidden_size=shape.width,
        intermediate_size=8 * shape.width // 3,
        num_attention_heads=max(shape.width // 64, 1),
        num_key_value_heads=max(shape.width // 192, 1),
        tie_word_embeddings=True,
    )
    return LlamaForCausalLM(config).eval()


def write(model: Any, prompt: Mapping[str, torch.Tensor], tokens: int, cache: bool) -> None:
    """Generate so many tokens, no more and no fewer."""
    model.generate(
        **prompt, max_new_tokens=tokens, min_new_tokens=tokens, do_sample=False, use_cache=cache, pad_token_id=0
    )
