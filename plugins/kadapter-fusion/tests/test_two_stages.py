"""Both stages of AdapterFusion from one file: the members are trained, then the mixers on the target task alone."""

import os
import subprocess
import sys

import pytest
import torch
import yaml
from safetensors.torch import load_file

from kadapter import KnowledgeModel
from kadapter.testing import save_tiny_backbone
from knowledge_data import sample_path

pytestmark = pytest.mark.slow

TRAINING = {"epochs": 1, "batch_size": 8, "learning_rate": 1e-2}
MEMBER = {"type": "standard", "preset": "pfeiffer", "size": 8}


@pytest.fixture(scope="module")
def said(tmp_path_factory):
    """Two members, of different tasks, and a target."""
    backbone = str(save_tiny_backbone("bert", tmp_path_factory.mktemp("stages") / "tiny-bert"))
    relations = {"source": {"name": "fewrel", "path": str(sample_path("fewrel"))}}
    relations["task"] = {"name": "relation-classification"}
    syntax = {"source": {"name": "conllu", "path": str(sample_path("conllu"))}, "task": {"name": "dependency-heads"}}
    common = {"backbone": backbone, "training": TRAINING}
    return {
        "members": {
            "relations": {**common, **relations, "adapter": MEMBER},
            "syntax": {**common, **syntax, "adapter": MEMBER},
        },
        "target": {**common, **relations, "adapter": {"type": "fusion"}},
    }


def fuse(said, folder, *options):
    """Run the command in a process of its own."""
    (folder / "fused.yaml").write_text(yaml.safe_dump(said, sort_keys=False))
    command = [sys.executable, "-m", "kadapter", "fuse", folder / "fused.yaml", "--output", folder / "run", *options]
    return subprocess.run(command, capture_output=True, text=True, env={**os.environ, "HF_HUB_OFFLINE": "1"})


def test_members_are_trained_and_then_only_what_mixes_them(said, tmp_path):
    done = fuse(said, tmp_path)
    assert done.returncode == 0, done.stderr
    model = KnowledgeModel.from_pretrained(tmp_path / "run" / "fused")
    fusion = model.adapters["fused"]
    assert (model.plugged, model.composition.name, fusion.name) == (("fused",), "alone", "fusion")
    assert list(fusion.members) == ["relations", "syntax"]
    for name, member in fusion.members.items():
        saved = load_file(tmp_path / "run" / "members" / name / "adapter.safetensors")
        assert saved.keys() == member.state_dict().keys()
        assert all(torch.equal(saved[key], tensor) for key, tensor in member.state_dict().items()), name
    identity = torch.eye(model.backbone.info.width)
    assert not any(torch.equal(mixer.value, identity) for mixer in fusion.mixers.values())


def test_members_that_do_not_mix_are_refused_before_any_is_trained(said, tmp_path):
    reading = {**said["members"]["syntax"], "adapter": {"type": "scalar-mix"}}
    done = fuse({**said, "members": {**said["members"], "syntax": reading}}, tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert "error: target: adapter type 'fusion': relations edit the backbone and syntax only read it" in done.stderr
    assert not (tmp_path / "run").exists()
