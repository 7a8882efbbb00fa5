"""Saved adapters: what is on disk, every way in which it can be wrong, and files that are whole or not there."""

import json
import os
import shutil
from importlib import metadata
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from kadapter import (
    BackboneError,
    ConfigError,
    KnowledgeModel,
    KnowledgeModule,
    Registry,
    StorageError,
    UnknownNameError,
    build_adapter,
    hookimpl,
    load_adapter,
    load_backbone,
    save_adapter,
)
from kadapter.files import read_json, write_json, written_whole
from kadapter.inspection import inspect
from kadapter.storage import describe_adapter, load_tensors, save_tensors
from kadapter.testing import fill_randomly, tiny_backbone
from kadapter.testing.comparing import assert_same_tensors

OPTIONS = {"type": "k-adapter", "init": "random", "reads": [0, 2], "width": 16, "heads": 4}


@pytest.fixture
def info(tiny):
    return tiny("bert").info


@pytest.fixture
def adapter(info):
    adapter = build_adapter(OPTIONS, info)
    fill_randomly(adapter)
    return adapter


@pytest.fixture
def saved(adapter, tmp_path):
    """A folder with a saved adapter."""
    save_adapter(tmp_path / "saved", adapter, "rivers", trained_on={"seed": 7})
    return tmp_path / "saved"


def registry_of(**weights):
    """The built-ins, and the knowledge 'rivers' with these weights."""
    rivers = KnowledgeModule("rivers", "which river feeds what", OPTIONS, {"name": "x"}, {"name": "x"}, **weights)
    plugin = type("Plugin", (), {"register_knowledge": hookimpl(lambda self: [rivers])})
    return Registry([], ["kadapter.builtin", plugin()])


def rewrite(folder, change):
    """Change what `adapter.json` says."""
    said = json.loads((folder / "adapter.json").read_text())
    change(said)
    (folder / "adapter.json").write_text(json.dumps(said))


def retensor(folder, change):
    """Change the saved tensors."""
    tensors = load_file(folder / "adapter.safetensors")
    change(tensors)
    save_file(tensors, folder / "adapter.safetensors")


def numbered(tensors):
    """Turn one tensor into complex numbers."""
    tensors["layers.0.up.bias"] = tensors["layers.0.up.bias"].to(torch.complex64)


# --- what is on disk


def test_a_saved_adapter_is_three_files_without_pickle(saved):
    assert sorted(path.name for path in saved.iterdir()) == ["README.md", "adapter.json", "adapter.safetensors"]


def test_a_saved_adapter_says_what_it_is_for_whom_and_from_where(saved, info, adapter):
    said = describe_adapter(saved)
    assert (said["format"], said["name"], said["trained_on"]) == (1, "rivers", {"seed": 7})
    assert said["provided_by"] == {"distribution": "kadapter", "version": metadata.version("kadapter")}
    facts = {name: getattr(info, name) for name in ("name", "model_type", "width", "layers", "heads", "fingerprint")}
    assert facts.items() <= said["backbone"].items()
    assert said["adapter"] == {**json.loads(json.dumps(vars(adapter.config))), "type": "k-adapter"}


def test_it_is_loaded_as_it_was_saved_with_its_provenance(saved, info, adapter):
    loaded = load_adapter(saved, info)
    assert loaded.config == adapter.config
    assert loaded.trained_on == {"seed": 7}
    assert_same_tensors(loaded.state_dict(), adapter.state_dict(), "loaded")


def test_what_was_saved_before_providers_were_written_down_is_loaded(saved, info, adapter):
    rewrite(saved, lambda said: said.pop("provided_by"))
    assert_same_tensors(load_adapter(saved, info).state_dict(), adapter.state_dict(), "loaded")


def test_provenance_survives_saving_again(saved, info, tmp_path):
    save_adapter(tmp_path / "again", load_adapter(saved, info), "rivers")
    assert describe_adapter(tmp_path / "again")["trained_on"] == {"seed": 7}


def test_saving_again_replaces_the_files(saved, info, adapter):
    fill_randomly(adapter, seed=9)
    save_adapter(saved, adapter, "lakes", card="About lakes.")
    assert_same_tensors(load_adapter(saved, info).state_dict(), adapter.state_dict(), "saved again")
    assert describe_adapter(saved)["name"] == "lakes"
    assert (saved / "README.md").read_text() == "About lakes."


def test_the_facts_of_a_saved_adapter_can_be_asked_for(saved, adapter):
    facts = inspect(str(saved))
    assert facts["parameters"] == sum(parameter.numel() for parameter in adapter.parameters())
    assert facts["name"] == "rivers"


# --- what can be wrong


@pytest.mark.parametrize(
    ("damage", "error", "said"),
    [
        (lambda f: (f / "adapter.json").unlink(), StorageError, r"no saved adapter in .*pretrain.*No such file"),
        (lambda f: (f / "adapter.json").write_text("{"), StorageError, r"cannot read .*adapter\.json: Expecting"),
        (lambda f: (f / "adapter.json").write_text("[]"), StorageError, "holds no JSON object"),
        (lambda f: (f / "adapter.json").write_bytes(b"\xff"), StorageError, "cannot read"),
        (lambda f: (f / "adapter.json").write_text('{"x":' * 100_000), StorageError, "cannot read"),
        (lambda f: rewrite(f, lambda s: s.update(adapter="x")), StorageError, "something else than it should for 'ad"),
        (lambda f: rewrite(f, lambda s: s.update(backbone={})), BackboneError, "trained on backbone 'None'"),
        (lambda f: rewrite(f, lambda s: s.update(provided_by="me")), StorageError, "does not say who provided its"),
        (lambda f: rewrite(f, lambda s: s.update(holds=["x"])), StorageError, "does not say who provided its"),
        (lambda f: rewrite(f, lambda s: s.update(format=2)), StorageError, r"format 2, this kadapter reads 1; install"),
        (lambda f: rewrite(f, lambda s: s.pop("format")), StorageError, "format None"),
        (lambda f: rewrite(f, lambda s: s.pop("backbone")), StorageError, "does not say 'backbone'"),
        (lambda f: rewrite(f, lambda s: s.pop("adapter")), StorageError, "does not say 'adapter'"),
        (lambda f: rewrite(f, lambda s: s["adapter"].pop("type")), ConfigError, "an adapter needs a type"),
        (lambda f: rewrite(f, lambda s: s["adapter"].update(type="x")), UnknownNameError, "no adapter type 'x'"),
        (lambda f: rewrite(f, lambda s: s["adapter"].update(depth=3)), ConfigError, "no option 'depth'"),
        (lambda f: rewrite(f, lambda s: s["adapter"].update(reads="x")), ConfigError, "option 'reads' is 'x'"),
        (lambda f: rewrite(f, lambda s: s["adapter"].update(width=8)), StorageError, "has other shapes for layers.0"),
        (lambda f: rewrite(f, lambda s: s["adapter"].update(reads=[0])), StorageError, r"has unknown layers\.1"),
        (lambda f: rewrite(f, lambda s: s["adapter"].update(reads=[0, 1, 2])), StorageError, r"lacks layers\.2"),
        (lambda f: (f / "adapter.safetensors").unlink(), StorageError, r"cannot read .*adapter\.safetensors"),
        (lambda f: (f / "adapter.safetensors").write_bytes(b""), StorageError, "cannot read"),
        (lambda f: (f / "adapter.safetensors").write_bytes(b"\x80\x02}q\x00."), StorageError, "cannot read"),
        (lambda f: retensor(f, lambda t: t.pop("layers.0.up.bias")), StorageError, r"lacks layers\.0\.up\.bias; "),
        (lambda f: retensor(f, lambda t: t.update(x=torch.ones(1))), StorageError, "has unknown x;"),
        (lambda f: retensor(f, lambda t: t.clear()), StorageError, r"lacks .* and \d+ more"),
        (lambda f: retensor(f, numbered), StorageError, r"has other numbers for layers\.0\.up\.bias;"),
    ],
)
def test_what_is_saved_wrongly_is_one_clear_error(saved, info, damage, error, said):
    damage(saved)
    with pytest.raises(error, match=said) as caught:
        load_adapter(saved, info)
    assert "\n" not in str(caught.value)


def test_installed_knowledge_is_loaded_by_its_name(saved, adapter, info):
    loaded = load_adapter("rivers", info, registry_of(weights={info.fingerprint: saved}))
    assert (loaded.config, loaded.trained_on) == (adapter.config, {"seed": 7})
    assert_same_tensors(loaded.state_dict(), adapter.state_dict(), "by name")


def test_a_folder_of_that_name_that_holds_no_adapter_hides_no_knowledge(saved, info, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rivers").mkdir()
    registry = registry_of(weights={info.fingerprint: saved})
    assert load_adapter("rivers", info, registry).trained_on == {"seed": 7}
    shutil.copytree(saved, tmp_path / "rivers", dirs_exist_ok=True)
    rewrite(tmp_path / "rivers", lambda said: said.update(trained_on={"seed": 8}))
    assert load_adapter("rivers", info, registry).trained_on == {"seed": 8}


@pytest.mark.parametrize("path", ["runs/geo", "runs/geo@main"])
def test_a_folder_that_is_not_there_is_not_looked_for_on_the_hub(info, tmp_path, monkeypatch, path):
    (tmp_path / "runs").mkdir()
    monkeypatch.chdir(tmp_path)
    said = f"there is no folder {path}, and since there is a folder 'runs', it is not looked for on the Hub"
    for error, call in [
        (StorageError, lambda: load_adapter(path, info)),
        (StorageError, lambda: KnowledgeModel.from_pretrained(path)),
        (BackboneError, lambda: load_backbone(path)),
        (UnknownNameError, lambda: inspect(path)),
    ]:
        with pytest.raises((error, BackboneError), match=said):
            call()


def test_installed_knowledge_without_weights_for_the_backbone_is_not_loaded(info):
    with pytest.raises(UnknownNameError, match="'rivers' comes without weights for backbone 'tiny-bert'; make them"):
        load_adapter("rivers", info, registry_of())


def test_installed_knowledge_says_for_which_backbones_it_has_weights(saved, info):
    rewrite(saved, lambda said: said["backbone"].update(name="theirs"))
    weights = {"a" * 16: saved, "b" * 16: "elsewhere"}
    with pytest.raises(
        UnknownNameError, match=r"'tiny-bert' \(it has them for bbbbbbbbbbbbbbbb, theirs\); make them with"
    ):
        load_adapter("rivers", info, registry_of(weights=weights))


def test_a_name_that_is_neither_a_folder_nor_knowledge_says_what_there_is(info):
    with pytest.raises(UnknownNameError, match="no knowledge 'river'; there is rivers; did you mean 'rivers'"):
        load_adapter("river", info, registry_of())


@pytest.mark.parametrize(("fact", "value"), [("width", 64), ("layers", 6), ("fingerprint", "0123456789abcdef")])
def test_another_backbone_is_told_apart_by_width_layers_and_weights(saved, info, fact, value):
    rewrite(saved, lambda said: said["backbone"].update({fact: value, "name": "theirs"}))
    said = rf"trained on backbone 'theirs' \({fact} {value}\), not on 'tiny-bert' \({fact} \w+\); load it"
    with pytest.raises(BackboneError, match=said):
        load_adapter(saved, info)


def test_the_same_family_with_other_weights_is_another_backbone(saved):
    with pytest.raises(BackboneError, match="fingerprint"):
        load_adapter(saved, tiny_backbone("bert", seed=1).info)


# --- files that are whole


@pytest.mark.parametrize(
    ("failure", "error", "said"),
    [
        (
            InterruptedError("the disk is full"),
            StorageError,
            r"cannot write .*file\.json: the disk is full; choose",
        ),
        (RuntimeError("a bug"), RuntimeError, "a bug"),
        (KeyboardInterrupt("ctrl-c"), KeyboardInterrupt, "ctrl-c"),
    ],
)
def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path, failure, error, said):
    path = tmp_path / "file.json"
    write_json(path, {"old": 1})

    def write_half():
        with written_whole(path) as aside:
            aside.write_text("half")
            raise failure

    with pytest.raises(error, match=said):
        write_half()
    assert read_json(path, "test") == {"old": 1}
    assert os.listdir(tmp_path) == ["file.json"]


def test_tensors_that_cannot_be_written_leave_the_old_adapter(saved, info, adapter, monkeypatch):
    before = adapter.state_dict()["layers.0.up.bias"].clone()

    def write_half(path, content):
        path.write_text("half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", write_half)
    fill_randomly(adapter, seed=9)
    with pytest.raises(StorageError, match=r"cannot write .*No space left on device"):
        save_adapter(saved, adapter, "rivers")
    monkeypatch.undo()
    assert torch.equal(load_adapter(saved, info).state_dict()["layers.0.up.bias"], before)
    assert sorted(os.listdir(saved)) == ["README.md", "adapter.json", "adapter.safetensors"]


def test_others_may_read_what_was_saved(saved):
    modes = {path.name: path.stat().st_mode & 0o777 for path in saved.iterdir()}
    assert modes["adapter.safetensors"] == modes["adapter.json"]


def test_a_folder_that_cannot_be_is_one_clear_error(adapter, tmp_path):
    (tmp_path / "file").write_text("not a folder")
    for place in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(StorageError, match=r"cannot write .*adapter\.safetensors: .*; choose another folder"):
            save_adapter(place, adapter, "rivers")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_may_not_be_written_to_is_one_clear_error(adapter, tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(StorageError, match=r"cannot write .*ermission denied"):
        save_adapter(tmp_path, adapter, "rivers")


def test_folders_are_made_on_the_way(tmp_path):
    save_tensors(tmp_path / "a" / "b" / "tensors.safetensors", {"weight": torch.ones(1, 2), "bias": torch.zeros(1)})
    linear = torch.nn.Linear(2, 1)
    load_tensors(linear, tmp_path / "a" / "b" / "tensors.safetensors")
    assert linear(torch.ones(1, 2)).item() == 2


def test_tensors_that_are_views_are_saved_as_they_look(tmp_path):
    tensor = torch.arange(6.0).reshape(2, 3)
    save_tensors(tmp_path / "tensors.safetensors", {"turned": tensor.T, "half": tensor[:, 1]})
    found = load_file(tmp_path / "tensors.safetensors")
    assert_same_tensors(found, {"turned": tensor.T, "half": tensor[:, 1]}, "views")
