"""What is left without some layers, said in other words: the inner adapter, built without them from the start."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from kadapter import ConfigError, KnowledgeModel, build_adapter, load_adapter, random_options, save_adapter
from kadapter.testing import FAMILIES, fill_randomly, tiny_batch
from kadapter.testing.comparing import assert_same, features_of

LAYERS = 4
HOUSLBY = {"type": "standard", "preset": "houlsby", "size": 4}
PFEIFFER = {"type": "standard", "preset": "pfeiffer", "size": 4}
READER = {"type": "k-adapter", "transformer_layers": 1, "reads": [0, 2, 3], "accumulation": "gated"}
FUSED = {"type": "fusion", "members": {"a": PFEIFFER, "b": {**PFEIFFER, "size": 8}}}
FUSED_READERS = {"type": "fusion", "members": {"a": READER, "b": {**READER, "reads": [1, 4]}}}
INNER = {"houlsby": HOUSLBY, "pfeiffer": PFEIFFER, "k-adapter": READER, "fusion": FUSED, "fused readers": FUSED_READERS}

every_inner = pytest.mark.parametrize("inner", INNER.values(), ids=INNER)


def give(model, batch):
    with torch.no_grad():
        return model(**batch).last_hidden_state


@pytest.mark.parametrize("layers", [1, 3, [2], [1, 4], []], ids=str)
@pytest.mark.parametrize("family", ["roberta", "gpt2", "t5"])
def test_a_standard_adapter_is_as_if_it_had_been_built_without_these_layers(tiny, dropped, family, layers):
    backbone = tiny(family)
    adapter = dropped(backbone, inner=HOUSLBY, layers=layers)
    out = list(range(1, layers + 1)) if isinstance(layers, int) else layers
    other = build_adapter({**HOUSLBY, "leave_out": out}, backbone.info).eval()
    weights = adapter.inner.state_dict()
    other.load_state_dict({name: weights[name] for name in other.state_dict()})
    batch = tiny_batch(backbone)
    assert_same(features_of(adapter, backbone, batch), features_of(other, backbone, batch), f"{layers} dropped")


@pytest.mark.parametrize(
    ("layers", "kept"), [(0, [0, 1, 2]), (1, [1, 2]), (2, [1, 2]), (3, [2]), ([3], [0, 2])], ids=str
)
def test_a_k_adapter_is_as_if_it_had_no_adapter_layers_beside_these(tiny, dropped, layers, kept):
    backbone = tiny("bert")
    inner = {**READER, "accumulation": "add"}
    adapter = dropped(backbone, inner=inner, layers=layers)
    other = build_adapter({**inner, "reads": [inner["reads"][index] for index in kept]}, backbone.info).eval()
    for mine, index in zip(other.layers, kept, strict=True):
        mine.load_state_dict(adapter.inner.layers[index].state_dict())
    assert adapter.reads == other.reads
    batch = tiny_batch(backbone)
    assert_same(features_of(adapter, backbone, batch), features_of(other, backbone, batch), f"{layers} dropped")


@every_inner
@pytest.mark.parametrize("training", [False, True], ids=["evaluation", "training"])
def test_without_any_layer_it_is_the_backbone(tiny, dropped, model_of, inner, training):
    backbone = tiny("llama")
    model, batch = model_of(backbone, dropped(backbone, inner=inner, layers=LAYERS)), tiny_batch(backbone)
    assert_same(give(model.train(training), batch), give(KnowledgeModel(backbone).eval(), batch), "all layers dropped")


@pytest.mark.parametrize("family", FAMILIES)
def test_in_every_family_without_any_layer_it_is_the_backbone(tiny, dropped, model_of, family):
    backbone = tiny(family)
    adapter = dropped(backbone, layers=LAYERS)
    batch, bare = tiny_batch(backbone), give(KnowledgeModel(backbone).eval(), tiny_batch(backbone))
    model = model_of(backbone, adapter)
    assert_same(give(model, batch), bare, "all layers dropped")
    model.set("it", layers=0)
    assert not torch.equal(give(model, batch), bare)


@every_inner
def test_the_number_is_changed_on_a_model_that_is_loaded(tiny, dropped, model_of, inner, tmp_path):
    backbone = tiny("roberta")
    model, batch = model_of(backbone, dropped(backbone, inner=inner, layers=0)), tiny_batch(backbone)
    for layers in (3, 1, 0, 2, [1, 3]):
        model.set("it", layers=layers)
        built = dropped(backbone, inner=inner, layers=layers)
        assert_same(give(model, batch), give(model_of(backbone, built), batch), f"set to {layers}")
    save_adapter(tmp_path, model.adapters["it"], "it")
    loaded = load_adapter(tmp_path, backbone.info).eval()
    assert loaded.config.layers == (1, 3)
    assert_same(give(model_of(backbone, loaded), batch), give(model, batch), "what was set is saved")


def test_a_trained_adapter_is_taken_from_its_folder(tiny, dropped, model_of, tmp_path):
    backbone = tiny("roberta")
    trained = build_adapter(HOUSLBY, backbone.info).eval()
    fill_randomly(trained, 7)
    save_adapter(tmp_path, trained, "trained")
    adapter = build_adapter({"type": "drop", "inner": str(tmp_path), "layers": 0}, backbone.info).eval()
    batch = tiny_batch(backbone)
    assert_same(features_of(adapter, backbone, batch), features_of(trained, backbone, batch), "nothing dropped")
    assert adapter.config.inner == trained.options


def test_by_default_five_layers_of_twelve_are_dropped_in_proportion(tiny, dropped):
    assert dropped(tiny("bert")).config.layers == round(5 * LAYERS / 12)


@given(layers=st.one_of(st.integers(0, LAYERS), st.sets(st.integers(1, LAYERS))))
def test_nothing_of_the_layers_that_are_dropped_is_edited_or_trained(layers):
    from kadapter.testing import tiny_backbone

    backbone = tiny_backbone("gpt2")
    adapter = build_adapter(
        {"type": "drop", "inner": HOUSLBY, "layers": layers if isinstance(layers, int) else sorted(layers)},
        backbone.info,
    )
    out = set(range(1, layers + 1)) if isinstance(layers, int) else layers
    assert {site.layer for site in adapter.edits} == set(range(1, LAYERS + 1)) - out
    trained = {int(name.split(".")[2].split("-")[0]) for name, p in adapter.named_parameters() if p.requires_grad}
    assert trained == set(range(1, LAYERS + 1)) - out


@every_inner
def test_gradients_reach_what_is_left_and_nothing_below(tiny, dropped, model_of, inner):
    backbone = tiny("roberta")
    # One tensor has the gates of all adapter layers.
    adapter = dropped(backbone, inner={**READER, "accumulation": "add"} if inner is READER else inner, layers=3)
    adapter.requires_grad_(True)
    model = model_of(backbone, adapter).train()
    model(**tiny_batch(backbone)).last_hidden_state.square().mean().backward()
    reached = {name for name, parameter in adapter.named_parameters() if parameter.grad is not None}
    assert reached
    assert reached == {name for name, parameter in adapter.named_parameters() if parameter.requires_grad}


def noted(sizes, tensor):
    sizes.append(tensor.nbytes)
    return tensor


def test_what_is_kept_for_the_backward_pass_shrinks_with_every_layer_that_is_dropped(tiny, dropped, model_of):
    backbone, kept = tiny("roberta"), []
    for layers in range(LAYERS + 1):
        model = model_of(backbone, dropped(backbone, layers=layers)).train()
        bytes_kept = []
        with torch.autograd.graph.saved_tensors_hooks(
            lambda t, seen=bytes_kept: seen.append(t.nbytes) or t, lambda t: t
        ):
            model(**tiny_batch(backbone))
        kept.append(sum(bytes_kept))
    assert kept == sorted(kept, reverse=True)
    assert len(set(kept)) == LAYERS + 1
    assert kept[-1] == 0


BAD = {
    "too many": ({"layers": 5}, "layers is 5; give how many of the lowest, 0 to 4"),
    "fewer than none": ({"layers": -1}, "layers is -1"),
    "no layer": ({"layers": [0, 1]}, r"layers is \(0, 1\)"),
    "nothing inside": ({"inner": {}}, "inner is empty"),
    "a range of nothing": ({"between": [0, 2]}, "between is for robust training alone"),
    "a range upside down": ({"robust": True, "between": [3, 1]}, r"between is \[3, 1\]"),
    "a range too far": ({"robust": True, "between": [0, 5]}, "of 0 to the 4 layers"),
    "no layers at all": ({"inner": {"type": "scalar-mix"}, "layers": 1}, "'scalar-mix' works beside no layer"),
    "unknown": ({"depth": 1}, "depth"),
    "half a range": ({"robust": True, "between": [1]}, r"between is \[1\]; give the least and the most"),
    "no range": ({"robust": True, "between": []}, r"between is \[\]; give the least and the most"),
    "nothing that is an adapter": ({"inner": 3}, "inner is 3; it must be options, a folder, or a name"),
    "what cannot be drawn": ({"inner": {"type": "scalar-mix"}, "layers": 0, "robust": True}, "works beside no layer"),
}


@pytest.mark.parametrize(("options", "message"), BAD.values(), ids=BAD)
def test_bad_options_are_refused_in_words(tiny, dropped, options, message):
    with pytest.raises(ConfigError, match=message):
        dropped(tiny("bert"), **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"layers": 9}, "layers is 9; give how many of the lowest, 0 to 4"),
        ({"layers": True}, "layers is True"),
        ({"layers": "all"}, "layers is"),
        ({"robust": True}, "robust cannot be set once it is built; `layers` can"),
        ({}, "nothing cannot be set once it is built"),
        ({"layers": [[1]]}, "layers is"),
        ({"layers": [1.0]}, "layers is"),
        ({"layers": [True]}, "layers is"),
        ({"layers": {1: 2}}, "layers is"),
        ({"layers": torch.tensor(2)}, "layers is"),
    ],
    ids=str,
)
def test_what_cannot_be_set_is_refused_and_changes_nothing(tiny, dropped, model_of, options, message):
    backbone = tiny("bert")
    model, batch = model_of(backbone, dropped(backbone, layers=2)), tiny_batch(backbone)
    before = give(model, batch)
    with pytest.raises(ConfigError, match=message):
        model.set("it", **options)
    assert_same(give(model, batch), before, "after an error")
    assert model.adapters["it"].config.layers == 2


def test_what_cannot_drop_is_as_before_when_it_is_refused(tiny, dropped, model_of):
    backbone = tiny("bert")
    model, batch = model_of(backbone, dropped(backbone, inner={"type": "scalar-mix"}, layers=0)), tiny_batch(backbone)
    before = give(model, batch)
    with pytest.raises(ConfigError, match="works beside no layer"):
        model.set("it", layers=1)
    assert_same(give(model, batch), before, "after an error")


def test_what_is_set_to_work_is_trained_again(tiny, dropped, model_of):
    adapter = dropped(tiny("bert"), layers=3)
    model_of(tiny("bert"), adapter).set("it", layers=1)
    trained = {name.split(".")[2][0] for name, parameter in adapter.named_parameters() if parameter.requires_grad}
    assert trained == {"2", "3", "4"}
    adapter.requires_grad_(False)
    adapter.set(layers=0)
    assert not any(parameter.requires_grad for parameter in adapter.parameters())


def test_without_an_inner_one_there_is_no_random_control():
    with pytest.raises(ConfigError, match="inner is empty"):
        random_options({"type": "drop"})


def test_another_type_has_nothing_to_set(tiny, model_of):
    backbone = tiny("bert")
    model = model_of(backbone, build_adapter(PFEIFFER, backbone.info))
    with pytest.raises(ConfigError, match="adapter type 'standard' has no layers that can be set"):
        model.set("it", layers=2)


def test_a_member_of_a_fusion_that_works_nowhere_is_refused(tiny):
    members = {"a": PFEIFFER, "none": {"type": "drop", "inner": PFEIFFER, "layers": LAYERS}}
    with pytest.raises(ConfigError, match="member 'none' is dropped in every layer; leave it out"):
        build_adapter({"type": "fusion", "members": members}, tiny("bert").info)


def test_what_a_fusion_inside_mixes_is_seen_where_it_is_left(tiny, dropped, model_of):
    backbone = tiny("roberta")
    model = model_of(backbone, dropped(backbone, inner=FUSED, layers=3))
    assert list(model.attention([tiny_batch(backbone)])["it"]) == ["4-feedforward-norm"]
