"""How many parameters a standard adapter has: 2 W m + m + W for a bottleneck, and those of the norms that it copies."""

import pytest
import torch
from transformers import BertConfig, BertModel

from kadapter import Backbone, build_adapter
from kadapter.testing import FAMILIES, tiny_tokenizer

LAYERS, WIDTH = 4, 32
"""Of a tiny backbone."""

PRESETS = ["houlsby", "pfeiffer", "parallel", "double_seq_bn", "seq_bn", "par_bn"]


def size(module):
    return sum(weight.numel() for weight in module.parameters())


def bottleneck(width, m):
    return width * m + m + m * width + width


@pytest.fixture(scope="module")
def bert_base():
    """A model of the shape of BERT-base, with few words."""
    config = BertConfig(vocab_size=100, max_position_embeddings=16)
    return Backbone(BertModel(config), tiny_tokenizer(), "bert-base")


@pytest.mark.parametrize(
    ("options", "parameters"),
    [
        # Two norms a layer, and a bottleneck of the same size before each.
        ({"preset": "houlsby"}, 12 * 2 * (2 * 768 * 64 + 64 + 768) + 24 * 2 * 768),
        ({"preset": "houlsby", "size": 8}, 12 * 2 * (2 * 768 * 8 + 8 + 768) + 24 * 2 * 768),
        ({"preset": "houlsby", "size": 256}, 12 * 2 * (2 * 768 * 256 + 256 + 768) + 24 * 2 * 768),
        # W / 16 = 48 after feed-forward alone; W / 2 = 384 beside it.
        ({"preset": "pfeiffer"}, 12 * (2 * 768 * 48 + 48 + 768)),
        ({"preset": "seq_bn"}, 894_528),
        ({"preset": "parallel"}, 12 * (2 * 768 * 384 + 384 + 768)),
        ({"preset": "par_bn"}, 7_091_712),
        ({"preset": "double_seq_bn"}, 12 * 2 * (2 * 768 * 48 + 48 + 768)),
    ],
)
def test_it_has_the_papers_size_on_bert_base(bert_base, options, parameters):
    assert size(build_adapter({"type": "standard", **options}, bert_base.info)) == parameters


@pytest.mark.parametrize("preset", PRESETS)
def test_presets_have_no_other_parameters_than_they_say(tiny, preset):
    places, m, norms = {
        "houlsby": (2, 64, 2 * LAYERS),
        "pfeiffer": (1, WIDTH // 16, 0),
        "seq_bn": (1, WIDTH // 16, 0),
        "parallel": (1, WIDTH // 2, 0),
        "par_bn": (1, WIDTH // 2, 0),
        "double_seq_bn": (2, WIDTH // 16, 0),
    }[preset]
    adapter = build_adapter({"type": "standard", "preset": preset}, tiny("bert").info)
    assert size(adapter) == places * LAYERS * bottleneck(WIDTH, m) + norms * 2 * WIDTH


@pytest.mark.parametrize(
    ("family", "norms", "parameters_of_a_norm"),
    [
        ("bert", 2 * LAYERS, 2 * WIDTH),
        ("distilbert", 2 * LAYERS, 2 * WIDTH),
        ("gpt2", 2 * LAYERS, 2 * WIDTH),
        ("opt", 2 * LAYERS, 2 * WIDTH),
        ("llama", 2 * LAYERS, WIDTH),
        ("t5", 2 * LAYERS, WIDTH),
        ("gemma2", 2 * LAYERS, WIDTH),
        # A LayerNorm without bias.
        ("modernbert", 2 * LAYERS, WIDTH),
        # Attention and feed-forward work side by side: only one norm follows them.
        ("phi", LAYERS, 2 * WIDTH),
        ("falcon", LAYERS, 2 * WIDTH),
    ],
)
def test_a_trained_norm_is_as_large_as_the_backbones(tiny, family, norms, parameters_of_a_norm):
    adapter = build_adapter({"type": "standard", "size": 8}, tiny(family).info)
    assert size(adapter) == 2 * LAYERS * bottleneck(WIDTH, 8) + norms * parameters_of_a_norm


@pytest.mark.parametrize("family", FAMILIES)
def test_a_bottleneck_has_the_same_size_in_every_family(tiny, family):
    options = {"type": "standard", "size": 5, "train_norms": False}
    assert size(build_adapter(options, tiny(family).info)) == 2 * LAYERS * bottleneck(WIDTH, 5)


def test_options_add_what_they_say(tiny):
    plain = {"type": "standard", "size": [1, 2, 0, 4], "leave_out": [1], "train_norms": False}
    adapter = build_adapter(plain, tiny("bert").info)
    assert size(adapter) == 2 * (bottleneck(WIDTH, 2) + bottleneck(WIDTH, 4))
    more = {"norm_before": True, "norm_after": True, "scale": "learned"}
    assert size(build_adapter({**plain, **more}, tiny("bert").info)) == size(adapter) + 4 * (2 * 2 * WIDTH + 1)


@torch.no_grad()
def test_all_of_them_are_trained_and_none_is_the_backbones(tiny):
    backbone = tiny("bert")
    adapter = build_adapter({"type": "standard"}, backbone.info)
    assert all(weight.requires_grad for weight in adapter.parameters())
    own = {weight.data_ptr() for weight in adapter.parameters()}
    assert len(own) == len(list(adapter.parameters()))
    assert own.isdisjoint(weight.data_ptr() for weight in backbone.parameters())
