"""Tiny backbones with random weights, of every family: real models and a real tokenizer, made without any file."""

from __future__ import annotations

import string
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from tokenizers import Tokenizer, decoders, normalizers, pre_tokenizers, processors
from tokenizers.models import WordPiece
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel, PreTrainedTokenizerFast

from kadapter import Backbone
from kadapter.lm_head import auto_class

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

_SIZE: Mapping[str, Any] = {
    "hidden_size": 32,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "max_position_embeddings": 128,
}
_HEADS: Mapping[str, Any] = {"num_key_value_heads": 2, "head_dim": 8}

_TWO_STACKS: Mapping[str, Any] = {
    "d_model": 32,
    "encoder_layers": 4,
    "encoder_attention_heads": 4,
    "encoder_ffn_dim": 64,
    "decoder_layers": 1,
    "decoder_attention_heads": 4,
    "decoder_ffn_dim": 64,
}

FAMILIES: Mapping[str, Mapping[str, Any]] = {
    "bart": _TWO_STACKS,
    "bert": {},
    "bloom": {"intermediate_size": 128},
    "camembert": {},
    "deberta": {},
    "deberta-v2": {},
    "distilbert": {"hidden_dim": 64},
    "electra": {"embedding_size": 16},
    "ernie": {},
    "falcon": {"ffn_hidden_size": 64},
    "gemma": _HEADS,
    "gemma2": {**_HEADS, "sliding_window": 4},
    "gpt2": {"n_inner": 64},
    "gpt_neox": {},
    "granite": _HEADS,
    "llama": _HEADS,
    "megatron-bert": {},
    "mistral": _HEADS,
    "mixtral": {**_HEADS, "num_local_experts": 8, "intermediate_size": 16},
    "modernbert": {},
    "mpnet": {},
    "olmo2": _HEADS,
    "opt": {"ffn_dim": 64, "word_embed_proj_dim": 32},
    "phi": {},
    "qwen2": _HEADS,
    "qwen3": _HEADS,
    "roberta": {},
    "stablelm": _HEADS,
    "starcoder2": _HEADS,
    "t5": {"d_ff": 64, "d_kv": 8},
    "xlm-roberta": {},
}
"""Family, as transformers names it -> what its configuration needs beside width 32, 4 layers and 4 heads."""

SENTENCES = (
    "the harbour of the old town is full of small boats",
    "a river runs by",
    "who painted the bridge ? nobody knows .",
    "bread",
)
"""Sentences of different lengths, which the tokenizer knows in part."""

_SPECIAL = {"bos_token": "<s>", "pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>", "mask_token": "<mask>"}


def tiny_tokenizer() -> PreTrainedTokenizerBase:
    """Give a fast WordPiece tokenizer: letters and digits, and some words; lower case, `<s>` … `</s>` around a text."""
    words = sorted({word for sentence in SENTENCES for word in sentence.split() if len(word) > 1})
    letters = string.ascii_lowercase + string.digits
    vocabulary = [*_SPECIAL.values(), *string.punctuation, *letters, *(f"##{letter}" for letter in letters), *words]
    tokenizer = Tokenizer(WordPiece({token: i for i, token in enumerate(vocabulary)}, unk_token="<unk>"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    ends = [(token, vocabulary.index(token)) for token in ("<s>", "</s>")]
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A </s>", special_tokens=ends)
    more = {"cls_token": "<s>", "sep_token": "</s>", "model_max_length": 120}
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, **_SPECIAL, **more)


def tiny_backbone(family: str, seed: int = 0) -> Backbone:
    """Give a backbone of a family of `FAMILIES`: width 32, 4 layers, 4 heads; the same weights for the same seed.

    No weight is as it would be at the start of a training: biases and norms are random too, so that each matters.
    """
    tokenizer = tiny_tokenizer()
    whole = partial(_tiny_language_model, family, seed, tokenizer)
    return Backbone(_tiny_model(family, seed, tokenizer), tokenizer, name=f"tiny-{family}", language_model=whole)


def save_tiny_backbone(family: str, folder: Path, seed: int = 0, causal: bool | None = None) -> Path:
    """Save the model and tokenizer of `tiny_backbone` for `load_backbone` or the command line; give `folder`.

    Args:
        family: of `FAMILIES`.
        folder: is made when it is not there.
        seed: of the weights.
        causal: save it with its language-model head, causal or masked; None saves none.
    """
    tokenizer = tiny_tokenizer()
    make = _tiny_model if causal is None else partial(_tiny_language_model, causal=causal)
    make(family, seed, tokenizer).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def tiny_batch(
    backbone: Backbone, sentences: Sequence[str] = SENTENCES, padding_side: str | None = None
) -> dict[str, Tensor]:
    """Give `input_ids` and `attention_mask`, (B, T) each, of some sentences, padded to the longest."""
    side = padding_side or backbone.tokenizer.padding_side
    batch = backbone.tokenizer(list(sentences), padding=True, padding_side=side, return_tensors="pt")
    return {name: batch[name] for name in ("input_ids", "attention_mask")}


def fill_randomly(module: nn.Module, seed: int = 0) -> None:
    """Give every parameter random values of a scale that suits its width; the same for the same seed."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            scale = parameter.shape[-1] ** -0.5 if parameter.dim() else 1.0
            parameter.copy_(scale * torch.randn(parameter.shape, generator=generator))


def _tiny_model(family: str, seed: int, tokenizer: PreTrainedTokenizerBase) -> PreTrainedModel:
    return _filled(AutoModel, _tiny_config(family, tokenizer), seed)


def _tiny_language_model(family: str, seed: int, tokenizer: PreTrainedTokenizerBase, causal: bool) -> PreTrainedModel:
    """Give the tiny model of that family and seed with a language-model head."""
    config = _tiny_config(family, tokenizer)
    whole = _filled(auto_class(config, causal), config, seed)
    with torch.random.fork_rng():
        fill_randomly(whole.base_model, seed)
    return whole


def _tiny_config(family: str, tokenizer: PreTrainedTokenizerBase) -> PretrainedConfig:
    special = {f"{name}_token_id": getattr(tokenizer, f"{name}_token_id") for name in ("bos", "eos", "pad")}
    return AutoConfig.for_model(family, vocab_size=len(tokenizer), **{**_SIZE, **special, **FAMILIES[family]})


def _filled(auto: Any, config: PretrainedConfig, seed: int) -> PreTrainedModel:
    # Whoever asks for a tiny backbone keeps their own random numbers.
    with torch.random.fork_rng():
        model = auto.from_config(config)
    fill_randomly(model, seed)
    return model
