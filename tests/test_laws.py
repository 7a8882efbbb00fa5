"""The laws of an adapter, for the k-adapter in its forms and for the scalar mix, on tiny backbones and a real one."""

import subprocess
import sys

import pytest
import torch
from safetensors.torch import load_file

from kadapter import KnowledgeModel, build_adapter, load_backbone, save_adapter
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


@pytest.fixture
def five(minilm):
    """Five adapters of different kinds for MiniLM, filled at random."""
    adapters = {f"adapter-{number}": build_adapter(options, minilm.info) for number, options in enumerate(KINDS)}
    for number, adapter in enumerate(adapters.values()):
        fill_randomly(adapter, seed=number)
        adapter.eval()
    return adapters


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


@torch.no_grad()
def test_five_adapters_leave_the_backbone_as_it_is(minilm, five):
    batch, model = tiny_batch(minilm), KnowledgeModel(minilm).eval()
    bare = minilm.model(**batch).last_hidden_state
    for name, adapter in five.items():
        model.plug(name, adapter)
    output = model(**batch)
    assert_same(output.backbone_hidden_state, bare, "five are plugged")
    assert not torch.equal(output.last_hidden_state, bare)
    for name in five:
        model.unplug(name)
    assert_same(model(**batch).last_hidden_state, bare, "all are unplugged")


@torch.no_grad()
def test_padding_moves_no_composed_state(minilm, five):
    model = KnowledgeModel(minilm).eval()
    for name, adapter in five.items():
        model.plug(name, adapter)
    sentence = "Bread is baked in the old town."
    alone = model(**tiny_batch(minilm, [sentence])).last_hidden_state[0]
    for side in ("right", "left"):
        batch = tiny_batch(minilm, [sentence, "A much longer sentence about nothing at all goes here, and on."], side)
        together = model(**batch).last_hidden_state[0][batch["attention_mask"][0].bool()]
        assert_close(together, alone, f"padded on the {side}")


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
