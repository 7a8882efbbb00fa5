"""What is exported and imported again is the same, bit for bit; what does not fit is refused."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from kadapter import BackboneError, ConfigError, KadapterError, StorageError, load_adapter
from kadapter.testing import tiny_batch
from kadapter.testing.comparing import assert_same_tensors, features_of

FAMILIES = ("bert", "roberta", "xlm-roberta", "distilbert")

OPTIONS = {
    "pfeiffer": {},
    "houlsby": {"preset": "houlsby", "train_norms": False},
    "parallel, learned scale": {"preset": "parallel", "scale": "learned"},
    "own norms": {"norm_before": True, "norm_after": True, "places": ["attention", "feedforward"]},
    "a size a layer": {"size": [1, 7, 0, 32], "activation": "leaky_relu"},
    "layers left out": {"leave_out": [1, 3], "scale": 2, "dropout": 0.1, "size": 64},
}


def only(model):
    return model.adapters[model.plugged[0]]


@pytest.mark.parametrize("case", OPTIONS)
@pytest.mark.parametrize("family", FAMILIES)
def test_export_and_import_give_the_same(family, case, built, exported, imported, tiny, tmp_path):
    adapter = built(family, **OPTIONS[case])
    folder = exported(family, adapter=adapter)
    again = only(imported(folder, family))
    batch = tiny_batch(tiny(family))
    assert torch.equal(features_of(again, tiny(family), batch), features_of(adapter, tiny(family), batch))
    loaded = load_adapter(tmp_path / "ours" / "geo", tiny(family).info)
    assert_same_tensors(loaded.state_dict(), again.state_dict(), "what is imported is saved")
    assert loaded.trained_on["imported"]["origin"]["trained_on"] == f"tiny-{family}"


@pytest.mark.parametrize("width", [384, 768, 1024])
def test_every_size_can_be_said_as_a_reduction_factor(width):
    from kadapter_adapterhub.options import reduction_factor

    sizes = range(1, 2 * width)
    # As AdapterHub computes it.
    assert [int(width // reduction_factor(size, width)) for size in sizes] == [*sizes]


def test_the_folder_names_tensors_as_adapterhub_does(exported):
    folder = exported("distilbert", places=["attention"], leave_out=[2, 3, 4])
    path = "distilbert.transformer.layer.0.attention_adapters.adapters.geo"
    assert load_file(folder / "adapter.safetensors").keys() == {
        f"{path}.adapter_{part}.{kind}" for part in ("down.0", "up") for kind in ("weight", "bias")
    }


def test_a_pickle_is_read_where_there_is_nothing_else(exported, imported):
    folder = exported()
    safe = load_file(folder / "adapter.safetensors")
    (folder / "adapter.safetensors").unlink()
    assert len(only(imported(folder)).state_dict()) == len(safe)


def test_names_of_old_releases_and_of_models_without_head_are_known(exported, imported, described):
    folder = exported(places=["attention", "feedforward"])
    new, old = only(imported(folder)).state_dict(), exported(name="old", places=["attention", "feedforward"])
    renamed = {
        key.removeprefix("bert.")
        .replace("attention.output.adapters.", "attention.output.attention_text_task_adapters.")
        .replace(".output.adapters.", ".output.layer_text_lang_adapters."): tensor
        for key, tensor in load_file(old / "adapter.safetensors").items()
    }
    assert any("layer_text" in key for key in renamed)
    save_file(renamed, old / "adapter.safetensors")
    assert_same_tensors(only(imported(old)).state_dict(), new, "names of old releases")


def test_an_old_folder_names_the_other_gelu_and_an_invertible_adapter_that_is_not_there(exported, imported, described):
    folder = exported(activation="gelu")
    config = folder / "adapter_config.json"
    said = json.loads(config.read_text())
    del said["version"]
    inverse = {"block_type": "nice", "non_linearity": "relu", "reduction_factor": 2}
    said |= {"type": "text_task", "config": {**said["config"], "invertible_adapter": inverse}}
    config.write_text(json.dumps(said))
    assert only(imported(folder)).options["activation"] == "gelu_new"


@pytest.mark.parametrize("name", ["pfeiffer", "seq_bn"])
def test_a_config_may_be_the_name_of_one(name, exported, imported):
    folder = exported(size=2)
    config = folder / "adapter_config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "config": name}))
    assert only(imported(folder)).options["size"] == (2, 2, 2, 2)


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({"model_type": "roberta"}, "was made for model type 'roberta', and backbone 'tiny-bert' has 'bert'"),
        ({"hidden_size": 768}, "was made for width 768, and backbone 'tiny-bert' has 32"),
    ],
)
def test_another_model_is_refused(entries, message, exported, imported, described):
    folder = exported()
    described(folder / "adapter_config.json", **entries)
    with pytest.raises(BackboneError, match=message):
        imported(folder)


def test_a_backbone_of_another_family_is_refused(built, exported, imported):
    with pytest.raises(BackboneError, match=r"knows the model types bert, distilbert, roberta, xlm-roberta; .* 'gpt2'"):
        exported("gpt2")
    with pytest.raises(BackboneError, match="is of type 'gpt2'"):
        imported(exported(), "gpt2")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda tensors: tensors.popitem(), "lacks bottlenecks.4-feedforward-norm"),
        (lambda tensors: tensors.update(stranger=torch.ones(1)), "has 'stranger', which is no part of adapter 'geo'"),
        (lambda tensors: tensors.update(_again(tensors, ".3.", ".4.")), "in a bert of 4 layers"),
        (lambda tensors: tensors.update(_again(tensors, ".geo.", ".other.")), "other.* is no part of adapter 'geo'"),
        (lambda tensors: tensors.update({key: t[..., :1] for key, t in tensors.items()}), "other shapes"),
    ],
    ids=["missing", "unknown", "of a larger model", "of another adapter", "of another shape"],
)
def test_tensors_are_matched_one_by_one(change, message, exported, imported, tmp_path):
    folder = exported()
    tensors = load_file(folder / "adapter.safetensors")
    change(tensors)
    save_file({key: tensor.contiguous() for key, tensor in tensors.items()}, folder / "adapter.safetensors")
    with pytest.raises(StorageError, match=message):
        imported(folder)
    assert not (tmp_path / "ours").exists()


def _again(tensors, old, new):
    return {key.replace(old, new): tensor.clone() for key, tensor in tensors.items()}


def test_a_norm_with_two_values_is_refused(exported, imported):
    folder = exported(norm_before=True)
    tensors = load_file(folder / "adapter.safetensors")
    tensors["bert.encoder.layer.0.output.adapters.geo.adapter_norm_before.bias"] += 1
    save_file(tensors, folder / "adapter.safetensors")
    with pytest.raises(StorageError, match="two values"):
        imported(folder)


class Evil:
    def __reduce__(self):
        return print, ("what a pickle ran",)


def test_a_pickle_cannot_run_code(exported, imported, tmp_path, capsys):
    folder = exported()
    (folder / "adapter.safetensors").unlink()
    torch.save({"weight": Evil()}, folder / "pytorch_adapter.bin")
    with pytest.raises(StorageError, match=r"pytorch_adapter\.bin is not loaded"):
        imported(folder)
    assert "what a pickle ran" not in capsys.readouterr().out
    assert not (tmp_path / "ours").exists()


@pytest.mark.parametrize(
    ("break_", "message"),
    [
        (lambda folder: (folder / "adapter_config.json").write_text("{"), "cannot read"),
        (lambda folder: (folder / "adapter_config.json").write_text("[]"), "does not say name, model_type"),
        (lambda folder: (folder / "adapter_config.json").unlink(), "holds neither adapter_config.json nor"),
        (lambda folder: [file.unlink() for file in folder.glob("*adapter.*")], "holds none of adapter.safetensors"),
        (lambda folder: (folder / "adapter.safetensors").write_text("{}"), "cannot read"),
    ],
)
def test_a_damaged_folder_is_refused(break_, message, exported, imported):
    folder = exported()
    break_(folder)
    with pytest.raises(KadapterError, match=message):
        imported(folder)


def test_the_only_adapter_in_a_folder_is_found(exported, imported):
    folder = exported()
    assert only(imported(folder.parent)).options == only(imported(folder)).options


def test_of_several_adapters_in_a_folder_one_is_to_be_named(exported, imported):
    folder = exported().parent
    exported(name="other")
    with pytest.raises(StorageError, match="holds geo, other; name one of these folders"):
        imported(folder)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"preset": "houlsby"}, "pretrain it with `train_norms: false`"),
        ({"activation": "prelu"}, "have no place for bottlenecks.1-feedforward-norm.activation.weight"),
    ],
)
def test_what_adapterhub_cannot_say_is_not_exported(options, message, exported, tmp_path):
    with pytest.raises(ConfigError, match=message):
        exported(**options)
    assert not (tmp_path / "hub" / "geo").exists()


def test_another_type_is_not_exported(exported, tiny):
    from kadapter import build_adapter

    adapter = build_adapter({"type": "k-adapter", "reads": [1, 2]}, tiny("bert").info)
    with pytest.raises(ConfigError, match="of type 'k-adapter' cannot be said in AdapterHub's format"):
        exported(adapter=adapter)
