"""The laws of an adapter, for the k-adapter in its forms and for the scalar mix, and of adapters that are composed."""

import subprocess
import sys

import pytest
import torch
from safetensors.torch import load_file

from kadapter import KnowledgeModel, build_adapter, load_backbone, save_adapter
from kadapter.composition import build_composition
from kadapter.testing import AdapterContract, fill_randomly, save_tiny_backbone, tiny_batch
from kadapter.testing.comparing import assert_close, assert_same, features_of

FAMILIES = ("roberta", "distilbert", "gpt2", "llama")


class TestKAdapterOfCopiedLayers(AdapterContract):
    options = {"type": "k-adapter"}
    families = (*FAMILIES, "t5", "deberta-v2", "modernbert", "mixtral")


class TestKAdapterAsInThePaper(AdapterContract):
    options = {"type": "k-adapter", "preset": "paper", "width": 24, "heads": 3, "intermediate": 40}
    families = FAMILIES


class TestGatedKAdapter(AdapterContract):
    options = {"type": "k-adapter", "accumulation": "gated", "reads": [0, 1, 4]}
    families = FAMILIES


class TestKAdapterOfOneTransformerLayer(AdapterContract):
    options = {"type": "k-adapter", "transformer_layers": 1, "reads": [3]}
    families = FAMILIES


class TestScalarMix(AdapterContract):
    options = {"type": "scalar-mix"}


class TestKAdapterOnMiniLM(AdapterContract):
    options = {"type": "k-adapter"}
    families = ("minilm",)

    @pytest.fixture
    def backbone(self, minilm):
        return minilm


KINDS = [
    {"type": "k-adapter"},
    {"type": "k-adapter", "reads": [1, 6], "transformer_layers": 1},
    {"type": "k-adapter", "preset": "paper", "width": 96, "heads": 4, "intermediate": 128},
    {"type": "k-adapter", "init": "random", "accumulation": "gated", "transformer_layers": 1},
    {"type": "scalar-mix"},
]


SMALL_KINDS = [
    {"type": "k-adapter"},
    {"type": "k-adapter", "reads": [1, 4], "transformer_layers": 1},
    {"type": "k-adapter", "preset": "paper", "width": 16, "heads": 4, "intermediate": 24},
    {"type": "k-adapter", "init": "random", "accumulation": "gated", "transformer_layers": 1},
    {"type": "scalar-mix"},
]
"""The same for a tiny backbone."""


def adapters_of(kinds, backbone):
    """An adapter of each kind for a backbone, filled at random."""
    adapters = {f"adapter-{number}": build_adapter(options, backbone.info) for number, options in enumerate(kinds)}
    for number, adapter in enumerate(adapters.values()):
        fill_randomly(adapter, seed=number)
        adapter.eval()
    return adapters


@pytest.fixture
def five(minilm):
    """Five adapters of different kinds for MiniLM."""
    return adapters_of(KINDS, minilm)


@torch.no_grad()
@pytest.mark.parametrize("plugged", [2, 5])
@pytest.mark.parametrize("side", ["right", "left"])
def test_adapters_side_by_side_give_the_features_that_each_gives_alone(minilm, five, plugged, side):
    batch, model = tiny_batch(minilm, padding_side=side), KnowledgeModel(minilm).eval()
    for name in list(five)[:plugged]:
        model.plug(name, five[name])
    features = model(**batch).features
    assert list(features) == list(five)[:plugged]
    for name, together in features.items():
        assert_same(together, features_of(five[name], minilm, batch), name)


COMPOSITIONS = ("concat", "sum", "residual", "gate", "attention")
every_composition = pytest.mark.parametrize("composition", COMPOSITIONS)
two_and_five = pytest.mark.parametrize("plugged", [2, 5])


def composed(backbone, adapters, composition):
    """A model in which these are plugged; its composition is filled at random, as if it had been trained."""
    model = KnowledgeModel(backbone, build_composition({"name": composition}, backbone.info.width)).eval()
    for name, adapter in adapters.items():
        model.plug(name, adapter)
    fill_randomly(model.composition, seed=9)
    return model


def first(adapters, number):
    return dict(list(adapters.items())[:number])


@torch.no_grad()
@two_and_five
@every_composition
def test_unplugging_them_gives_the_backbone_back_bit_for_bit(minilm, five, plugged, composition):
    batch, adapters = tiny_batch(minilm), first(five, plugged)
    bare = minilm.model(**batch).last_hidden_state
    model = composed(minilm, adapters, composition)
    output = model(**batch)
    assert_same(output.backbone_hidden_state, bare, f"{plugged} are plugged")
    assert not torch.equal(output.last_hidden_state, bare)
    with model.unplugged():
        assert_same(model(**batch).last_hidden_state, bare, "all are unplugged for a while")
    assert_same(model(**batch).last_hidden_state, output.last_hidden_state, "all are plugged again")
    for name in adapters:
        model.unplug(name)
    assert_same(model(**batch).last_hidden_state, bare, "all are unplugged")


@torch.no_grad()
@two_and_five
@every_composition
def test_padding_moves_no_composed_state(minilm, five, plugged, composition):
    model = composed(minilm, first(five, plugged), composition)
    sentence = "Bread is baked in the old town."
    alone = model(**tiny_batch(minilm, [sentence])).last_hidden_state[0]
    for side in ("right", "left"):
        batch = tiny_batch(minilm, [sentence, "A much longer sentence about nothing at all goes here, and on."], side)
        together = model(**batch).last_hidden_state[0][batch["attention_mask"][0].bool()]
        assert_close(together, alone, f"padded on the {side}")


@torch.no_grad()
@two_and_five
@every_composition
@pytest.mark.parametrize("family", ["gpt2", "llama"])
def test_a_causal_backbone_stays_causal_through_the_composition(tiny, family, plugged, composition):
    backbone = tiny(family)
    model = composed(backbone, first(adapters_of(SMALL_KINDS, backbone), plugged), composition)
    tokens = tiny_batch(backbone, ["the old town feeds a river"])["input_ids"]
    later = tokens.clone()
    later[:, 4:] = later[:, 4:].flip(1)
    before, after = (model(input_ids=ids).last_hidden_state[0] for ids in (tokens, later))
    assert_close(after[:4], before[:4], "later tokens were changed")
    assert not torch.allclose(after[4:], before[4:], atol=1e-3)


IN_A_NEW_PROCESS = """
import sys
from pathlib import Path
from safetensors.torch import save_file
from kadapter import load_adapter, load_backbone
from kadapter.testing import tiny_batch
from kadapter.testing.comparing import features_of
for name, folder in zip(sys.argv[1::2], map(Path, sys.argv[2::2])):
    backbone = load_backbone(name)
    adapter = load_adapter(folder, backbone.info).eval()
    save_file({"features": features_of(adapter, backbone, tiny_batch(backbone))}, folder / "features.safetensors")
"""


def test_a_new_process_gives_the_same_features_bit_for_bit(minilm, tmp_path):
    backbones = [minilm, load_backbone(save_tiny_backbone("gpt2", tmp_path / "tiny"))]
    expected = {}
    for backbone in backbones:
        folder = tmp_path / backbone.info.fingerprint
        adapter = build_adapter({"type": "k-adapter"}, backbone.info)
        fill_randomly(adapter)
        save_adapter(folder, adapter.eval(), "saved")
        expected[folder] = features_of(adapter, backbone, tiny_batch(backbone))
    names = [backbone.info.name for backbone in backbones]
    arguments = [text for pair in zip(names, map(str, expected), strict=True) for text in pair]
    subprocess.run([sys.executable, "-c", IN_A_NEW_PROCESS, *arguments], check=True)
    for folder, features in expected.items():
        assert_same(load_file(folder / "features.safetensors")["features"], features, "a new process")
