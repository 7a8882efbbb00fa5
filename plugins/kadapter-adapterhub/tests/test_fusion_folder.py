"""Folders of fusions, made here of a fusion of ours: the import gives the same; what differs is refused."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from kadapter import ConfigError, StorageError, build_adapter
from kadapter.testing import fill_randomly, tiny_batch
from kadapter.testing.comparing import features_of

MEMBERS = {"a": {"size": 4}, "b": {"size": 2, "leave_out": [1]}}

CONFIG = {
    "key": True,
    "query": True,
    "value": True,
    "query_before_ln": False,
    "regularization": True,
    "residual_before": False,
    "temperature": False,
    "value_before_softmax": True,
    "value_initialized": True,
    "dropout_prob": None,
}


def fused(tiny, family, members, **options):
    options = {"type": "fusion", "members": {name: member.options for name, member in members.items()}, **options}
    fusion = build_adapter(options, tiny(family).info)
    fill_randomly(fusion.mixers, seed=5)
    for name, member in members.items():
        fusion.members[name].load_state_dict(member.state_dict())
    return fusion.eval()


@pytest.fixture
def folders(tmp_path, built, exported, tiny):
    """Gives the folder of a fusion of ours and of its members, as AdapterHub saves them, and the fusion."""

    def save(family="bert", members=MEMBERS, config=(), **options):
        adapters = {name: built(family, seed, **more) for seed, (name, more) in enumerate(members.items())}
        fusion = fused(tiny, family, adapters, **options)
        for name, adapter in adapters.items():
            exported(family, name, adapter)
        name, folder = ",".join(members), tmp_path / "hub" / ",".join(members)
        folder.mkdir()
        said = {"adapter_names": [*members], "config": {**CONFIG, **dict(config)}, "name": name}
        described = {**said, "model_type": family, "hidden_size": 32, "version": "adapters.1.3.0"}
        (folder / "adapter_fusion_config.json").write_text(json.dumps(described))
        save_file(
            {key: t.detach() for key, t in theirs(fusion, family, name)}, folder / "model_adapter_fusion.safetensors"
        )
        return folder, fusion

    return save


def theirs(fusion, family, name):
    paths = {
        "bert": {"attention": "bert.encoder.layer.{}.attention.output", "feedforward": "bert.encoder.layer.{}.output"},
        "distilbert": {"feedforward": "distilbert.transformer.layer.{}.output_adapters"},
    }[family]
    for place, mixer in fusion.mixers.items():
        layer, sublayer = place.split("-")[:2]
        for part, tensor in mixer.state_dict().items():
            path = paths[sublayer].format(int(layer) - 1)
            yield f"{path}.adapter_fusion_layer.{name}.{part.replace('value', 'value.weight')}", tensor


@pytest.mark.parametrize(
    ("family", "members", "config", "options"),
    [
        ("bert", MEMBERS, {}, {}),
        ("distilbert", {**MEMBERS, "c": {"scale": "learned"}}, {"value": False}, {"value": False}),
        (
            "bert",
            {n: {"preset": "double_seq_bn", "size": 3} for n in "ab"},
            {"residual_before": True},
            {"residual": "before"},
        ),
        ("bert", MEMBERS, {"query": False, "key": False}, {"query": False, "key": False}),
    ],
    ids=["two", "three", "both places, residual before", "value alone"],
)
def test_a_fusion_is_imported_with_its_members(family, members, config, options, folders, imported, tiny):
    folder, fusion = folders(family, members, config, **options)
    model = imported(folder, family)
    again, batch = model.adapters[model.plugged[0]], tiny_batch(tiny(family))
    assert again.name == "fusion"
    assert torch.equal(features_of(again, tiny(family), batch), features_of(fusion, tiny(family), batch))
    origin = again.trained_on["imported"]["origin"]
    assert [origin["members"][name]["saved_as"] for name in members] == [*members]


def test_the_folder_around_stands_for_the_fusion_in_it(folders, imported):
    folder, _ = folders()
    assert imported(folder.parent).adapters[imported_name(folder)].name == "fusion"


def imported_name(folder):
    return folder.name.replace(",", "-")


def test_members_may_lie_elsewhere(folders, imported, tmp_path):
    folder, _ = folders()
    (folder.parent / "b").rename(tmp_path / "elsewhere")
    with pytest.raises(StorageError, match=r"mixes 'b', which is not beside it; say where it is with `--set members.b"):
        imported(folder)
    with pytest.raises(ConfigError, match=r"option members names c; the fusion in .* has a, b"):
        imported(folder, members={"c": "somewhere"})
    assert imported(folder, **{"members.b": str(tmp_path / "elsewhere")}).plugged


def test_a_member_is_no_path(folders, imported, described):
    folder, _ = folders()
    described(folder / "adapter_fusion_config.json", adapter_names=["a", "../hub/b"])
    with pytest.raises(StorageError, match=r"mixes '../hub/b', which is not beside it"):
        imported(folder)


def test_what_is_mixed_nowhere_is_listed(folders, imported):
    folder, _ = folders(members={"a": {"leave_out": [1]}, "b": {"leave_out": [1]}})
    path = folder / "model_adapter_fusion.safetensors"
    tensors = load_file(path)
    more = {
        f"bert.encoder.layer.0.output.adapter_fusion_layer.a,b.{part}": torch.ones(1)
        for part in ("key.bias", "dense.bias")
    }
    save_file({**tensors, **more}, path)
    model = imported(folder)
    assert [*model.adapters[model.plugged[0]].trained_on["imported"]["skipped"].values()] == [
        "it is used nowhere",
        "no member works in layer 1",
    ]


@pytest.mark.parametrize(
    ("members", "config", "message"),
    [
        (MEMBERS, {"temperature": True}, "`temperature: true`, which does not say how far it has cooled"),
        (MEMBERS, {"query_before_ln": True}, "`query_before_ln: true` over members of original_ln_before"),
        (MEMBERS, {"residual_before": True}, "`residual_before: true` over members of original_ln_before"),
        ({name: {"form": "parallel"} for name in "ab"}, {}, "a fusion of parallel members"),
        ({name: {"norm_after": True} for name in "ab"}, {}, r"its members' own norm \(ln_after: a, b\)"),
        ({"a": {}, "b": {"form": "sequential"}}, {}, "at different points .a: around-norm, b: sequential"),
    ],
)
def test_it_is_refused_by_name(members, config, message, folders, imported):
    folder, _ = folders(members=members, config=config)
    with pytest.raises(ConfigError, match=rf"{message}.*cannot be imported"):
        imported(folder)


@pytest.mark.parametrize(
    ("options", "entries", "message"),
    [
        ({"dropout_prob": "much"}, {}, "dropout_prob is 'much', which is no number"),
        ({"dropout_prob": [0.1]}, {}, r"dropout_prob is \[0.1\], which is no number"),
        ({}, {"config": None}, "config is None, which is no mapping"),
        ({}, {"config": [1]}, r"config is \[1\], which is no mapping"),
        ({}, {"adapter_names": 5}, "adapter_names is 5, which is no list of names"),
        ({}, {"adapter_names": None, "name": 5}, "name is 5, which is no list of names"),
    ],
)
def test_what_a_fusion_cannot_say_is_named(options, entries, message, folders, imported, described):
    folder, _ = folders()
    described(folder / "adapter_fusion_config.json", options, **entries)
    with pytest.raises(ConfigError, match=f"^{folder}: {message}"):
        imported(folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda tensors: tensors.popitem(), "lacks mixers.4-feedforward-norm"),
        (lambda tensors: tensors.update(stranger=torch.ones(1)), "has 'stranger', which is no part of fusion 'a,b'"),
    ],
)
def test_tensors_are_matched_one_by_one(change, message, folders, imported):
    folder, _ = folders()
    path = folder / "model_adapter_fusion.safetensors"
    tensors = load_file(path)
    change(tensors)
    save_file(tensors, path)
    with pytest.raises(StorageError, match=message):
        imported(folder)
