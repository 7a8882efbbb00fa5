"""What AdapterHub's package `adapters` (1.3.0) saved gives the same here, and what we export the same there."""

from copy import deepcopy

import pytest
import torch
from transformers import AutoModel

from kadapter import export_adapter, import_adapter
from kadapter.testing import fill_randomly, tiny_batch
from kadapter.testing.comparing import features_of

adapters = pytest.importorskip("adapters", reason="`adapters` is there beside transformers 4.57.6 alone")

FAMILIES = ("bert", "roberta", "xlm-roberta", "distilbert")

CONFIGS = {
    "double_seq_bn": "double_seq_bn",
    "seq_bn": "seq_bn",
    "par_bn": "par_bn",
    "scaled_par_bn": "scaled_par_bn",
    "houlsby": "houlsby",
    "pfeiffer": "pfeiffer",
    "seq_bn in both places": adapters.SeqBnConfig(mh_adapter=True),
    "double_seq_bn in attention alone": adapters.DoubleSeqBnConfig(output_adapter=False, non_linearity="leakyrelu"),
    "a size a layer": adapters.DoubleSeqBnConfig(reduction_factor={"1": 8, "2": 0.5, "default": 4}),
    "an odd reduction": adapters.SeqBnConfig(reduction_factor=6.5),
    "layers left out": adapters.SeqBnConfig(leave_out=[0, 2], reduction_factor={"1": 2, "3": 3}),
    "own norms": adapters.DoubleSeqBnConfig(ln_before=True, ln_after=True, scaling="learned"),
    "own norms around the norm": adapters.SeqBnConfig(ln_before=True, ln_after=True, dropout=0.2),
    "own norms beside": adapters.ParBnConfig(ln_before=True, ln_after=True, mh_adapter=True, non_linearity="gelu"),
    "residual after no norm": adapters.DoubleSeqBnConfig(residual_before_ln=False, adapter_residual_before_ln=True),
}

FUSIONS = {
    "dynamic": (adapters.SeqBnConfig(), adapters.DynamicAdapterFusionConfig()),
    "static": (adapters.SeqBnConfig(), adapters.StaticAdapterFusionConfig()),
    "of three": (adapters.SeqBnConfig(), adapters.DynamicAdapterFusionConfig()),
    "value after the softmax": (
        adapters.SeqBnConfig(mh_adapter=True),
        adapters.DynamicAdapterFusionConfig(value_before_softmax=False),
    ),
    "of sequential members": (
        adapters.DoubleSeqBnConfig(),
        adapters.DynamicAdapterFusionConfig(residual_before=True, query_before_ln=True),
    ),
    "neither query nor key nor value": (
        adapters.SeqBnConfig(leave_out=[0]),
        adapters.StaticAdapterFusionConfig(query=False, key=False),
    ),
}


def peer_of(backbone):
    """Their model, with heads, with the weights of a backbone."""
    model = adapters.AutoAdapterModel.from_config(deepcopy(backbone.model.config))
    left = model.base_model.load_state_dict(backbone.model.state_dict(), strict=False)
    # These are the embeddings, under a second name.
    assert left == (["prompt_tuning.base_model_embeddings.weight"], [])
    return model.eval()


def filled(model):
    """The model with random values in all that was added to it."""
    added = ("adapters", "adapter_fusion_layer", "heads")
    parts = [
        module for name, module in model.named_modules() if name.split(".")[-2:-1] and name.split(".")[-2] in added
    ]
    for seed, part in enumerate(parts):
        fill_randomly(part, seed)
    assert parts
    return model


def assert_same_states(adapter, backbone, peer):
    batch = tiny_batch(backbone)
    real = batch["attention_mask"].bool()
    assert not real.all()
    with torch.no_grad():
        expected = getattr(peer, peer.base_model_prefix)(**batch).last_hidden_state
        plain = backbone.model(**batch).last_hidden_state
    given = features_of(adapter, backbone, batch)
    torch.testing.assert_close(given[real], expected[real], rtol=0, atol=1e-5)
    assert (given - plain).abs().max() > 0.1


@pytest.mark.parametrize("case", CONFIGS)
@pytest.mark.parametrize("family", FAMILIES)
def test_an_adapter_that_they_saved_gives_the_same(family, case, tiny, tmp_path):
    peer = peer_of(tiny(family))
    peer.add_adapter("geo", config=CONFIGS[case], set_active=True)
    filled(peer).save_adapter(str(tmp_path / "geo"), "geo")
    model = import_adapter("adapterhub", tmp_path / "geo", tiny(family), tmp_path / "ours")
    assert_same_states(model.adapters["geo"], tiny(family), peer)
    export_adapter("adapterhub", tmp_path / "ours", tmp_path / "back", tiny(family))
    assert_same_states(model.adapters["geo"], tiny(family), loading(tiny(family), tmp_path / "back"))


def loading(backbone, folder):
    """Their model with what is in a folder, of which nothing was missing or left over."""
    peer, info = peer_of(backbone), {}
    name = peer.load_adapter(str(folder), loading_info=info, set_active=True)
    assert info["missing_keys"] == info["unexpected_keys"] == []
    assert name in peer.adapters_config.adapters
    return peer


def test_safetensors_of_a_model_without_head_are_read_and_written(tiny, tmp_path):
    backbone = tiny("roberta")
    # Another model, since `init` changes the one that it is given.
    peer = AutoModel.from_config(deepcopy(backbone.model.config))
    peer.load_state_dict(backbone.model.state_dict())
    adapters.init(peer)
    peer.add_adapter("geo", config="double_seq_bn", set_active=True)
    filled(peer.eval()).save_adapter(str(tmp_path / "geo"), "geo", use_safetensors=True)
    model = import_adapter("adapterhub", tmp_path / "geo", backbone, tmp_path / "ours")
    batch = tiny_batch(backbone)
    expected = peer(**batch).last_hidden_state
    given = features_of(model.adapters["geo"], backbone, batch)
    export_adapter("adapterhub", tmp_path / "ours", tmp_path / "back", backbone)
    (tmp_path / "back" / "pytorch_adapter.bin").unlink()
    peer.load_adapter(str(tmp_path / "back"), load_as="back", set_active=True, use_safetensors=True)
    for states in (given, peer(**batch).last_hidden_state):
        torch.testing.assert_close(states, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("case", FUSIONS)
@pytest.mark.parametrize("family", FAMILIES)
def test_a_fusion_that_they_saved_gives_the_same(family, case, tiny, tmp_path):
    members, config = FUSIONS[case]
    fuse = adapters.Fuse("a", "b", "c") if case == "of three" else adapters.Fuse("a", "b")
    peer = peer_of(tiny(family))
    for factor, name in enumerate(fuse, start=2):
        peer.add_adapter(name, config=members.replace(reduction_factor=factor))
    peer.add_adapter_fusion(fuse, config)
    peer.set_active_adapters(fuse)
    filled(peer).save_adapter_setup(str(tmp_path / "setup"), fuse)
    model = import_adapter("adapterhub", tmp_path / "setup", tiny(family), tmp_path / "ours", name="fused")
    assert_same_states(model.adapters["fused"], tiny(family), peer)


@pytest.mark.parametrize(
    ("add", "task"),
    [
        (lambda peer, **head: peer.add_tagging_head("geo", **head), "token-classification"),
        (lambda peer, **head: peer.add_classification_head("geo", layers=1, **head), "sequence-classification"),
        (lambda peer, **head: peer.add_classification_head("geo", **head), None),
        (lambda peer, **head: peer.add_qa_head("geo"), None),
    ],
    ids=["tagging", "classification", "two layers", "question answering"],
)
@pytest.mark.parametrize("family", ["roberta", "distilbert"])
def test_a_head_that_they_saved_gives_the_same_or_is_skipped(family, add, task, tiny, tmp_path):
    peer, backbone = peer_of(tiny(family)), tiny(family)
    peer.add_adapter("geo", config="seq_bn", set_active=True)
    add(peer, num_labels=3, id2label={0: "O", 1: "B-X", 2: "I-X"})
    filled(peer).save_adapter(str(tmp_path / "geo"), "geo")
    model = import_adapter("adapterhub", tmp_path / "geo", backbone, tmp_path / "ours")
    skipped = model.adapters["geo"].trained_on["imported"]["skipped"]
    assert (model.task.name if model.task else None) == task
    assert bool(skipped) == (task is None)
    if task:
        batch = tiny_batch(backbone)
        rows = batch["attention_mask"].bool() if task == "token-classification" else slice(None)
        with torch.no_grad():
            torch.testing.assert_close(model(**batch).logits[rows], peer(**batch).logits[rows], rtol=0, atol=1e-5)
        assert model.task.config.labels == ("O", "B-X", "I-X")


@pytest.mark.parametrize(
    ("config", "named"),
    [
        ("prefix_tuning", "prefix tuning"),
        ("prompt_tuning", "prompt tuning"),
        ("lora", "LoRA"),
        ("ia3", r"\(IA\)³"),
        ("loreft", "ReFT"),
        (adapters.CompacterConfig(reduction_factor=8), "PHM layers, as in Compacter,"),
        (adapters.CompacterPlusPlusConfig(reduction_factor=8), "PHM layers, as in Compacter,"),
        ("seq_bn_inv", r"an invertible adapter \(inv_adapter: 'nice'\)"),
        ("mam", r"a union of methods \(prefix tuning, a bottleneck\)"),
        ("unipelt", r"a union of methods \(prefix tuning, a bottleneck, LoRA\)"),
    ],
)
def test_their_other_methods_are_refused_by_name(config, named, tiny, tmp_path):
    peer = peer_of(tiny("bert"))
    peer.add_adapter("geo", config=config)
    peer.save_adapter(str(tmp_path / "geo"), "geo")
    with pytest.raises(ValueError, match=rf"{named} .*cannot be imported"):
        import_adapter("adapterhub", tmp_path / "geo", tiny("bert"), tmp_path / "ours")
