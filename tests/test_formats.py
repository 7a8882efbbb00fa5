"""Adapters of other software: how formats are found, read, saved and written, and that hostile files do nothing."""

import io
import json
import os
import tarfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from typer.testing import CliRunner

from kadapter import (
    ConfigError,
    Format,
    Imported,
    KnowledgeModel,
    Registry,
    StorageError,
    UnknownNameError,
    export_adapter,
    hookimpl,
    import_adapter,
    load_adapter,
    read_weights,
)
from kadapter.cli import app
from kadapter.foreign import unpacked
from kadapter.naming import as_name
from kadapter.testing import tiny_batch
from kadapter.testing.comparing import assert_same

MIX = {"weights": torch.tensor([0.0, 0.5, 0.0, 0.0, 1.0]), "factor": torch.tensor(2.0)}
TASK = {"name": "sequence-classification", "labels": ["no", "yes"]}


@dataclass(frozen=True)
class MixConfig:
    factor: float | None = None


class Mix(Format):
    """Scalar mixes as `mix.bin`, with a tensor too many, and perhaps with the head of a task."""

    name = "mix"
    Config = MixConfig

    def read(self, place, backbone):
        tensors = read_weights(place / "mix.bin")
        if self.config.factor is not None:
            tensors["factor"] = torch.tensor(self.config.factor)
        head = {key[5:]: tensors.pop(key) for key in list(tensors) if key.startswith("head.")}
        skipped = {key: "of the optimiser" for key in list(tensors) if key.startswith("moment") and [tensors.pop(key)]}
        task = TASK if head else None
        return Imported("", {"type": "scalar-mix"}, tensors, {"house": "mixers"}, skipped, task, head)


class Written(Mix):
    name = "written"

    def write(self, adapter, name, folder):
        torch.save(adapter.state_dict(), folder / "mix.bin")
        (folder / "name").write_text(name)


class Plugin:
    @hookimpl
    def register_formats(self):
        return [Mix, Written]


@pytest.fixture(scope="module")
def registry():
    return Registry([], ["kadapter.builtin", Plugin()])


@pytest.fixture
def backbone(tiny):
    return tiny("bert")


@pytest.fixture
def mixed(tmp_path):
    """Makes a folder that holds a scalar mix, with what else is asked for in it."""

    def make(**more):
        folder = tmp_path / "Their Mix.v2"
        folder.mkdir()
        torch.save({**MIX, **more}, folder / "mix.bin")
        return folder

    return make


# --- import and export


def test_an_adapter_is_imported_saved_and_loads_bit_equal(mixed, backbone, registry, tmp_path):
    model = import_adapter("mix", mixed(moment=torch.ones(2)), backbone, tmp_path / "out", registry=registry)
    assert model.plugged == ("their-mix-v2",)
    saved = load_adapter(tmp_path / "out", backbone.info)
    assert all(torch.equal(saved.state_dict()[key], value) for key, value in MIX.items())
    batch = tiny_batch(backbone)
    again = KnowledgeModel.from_pretrained("", {"their-mix-v2": tmp_path / "out"}, backbone=backbone)
    assert_same(again(**batch).last_hidden_state, model(**batch).last_hidden_state, "features")


def test_where_it_comes_from_and_what_was_left_out_is_kept(mixed, backbone, registry, tmp_path):
    import_adapter("mix", mixed(moment=torch.ones(2)), backbone, tmp_path / "out", registry=registry)
    said = json.loads((tmp_path / "out" / "adapter.json").read_text())["trained_on"]["imported"]
    assert said["read_by"]["distribution"] == "kadapter"
    assert {key: said[key] for key in ("format", "place", "origin", "skipped")} == {
        "format": "mix",
        "place": "Their Mix.v2",
        "origin": {"house": "mixers"},
        "skipped": {"moment": "of the optimiser"},
    }
    assert sorted(path.name for path in tmp_path.iterdir()) == ["Their Mix.v2", "out"]


def test_options_and_a_name_are_taken(mixed, backbone, registry, tmp_path):
    model = import_adapter("mix", mixed(), backbone, tmp_path / "out", {"factor": 3.0}, "mine", registry)
    assert model.adapters["mine"].factor.item() == 3
    with pytest.raises(ConfigError, match=r"format 'mix' has no option 'faktor'.*did you mean 'factor'"):
        import_adapter("mix", tmp_path, backbone, tmp_path / "other", {"faktor": 3.0}, registry=registry)


def test_a_head_comes_along_as_a_whole_model(mixed, backbone, registry, tmp_path):
    folder = mixed(**{"head.linear.weight": torch.randn(2, 32), "head.linear.bias": torch.randn(2)})
    model = import_adapter("mix", folder, backbone, tmp_path / "out", registry=registry)
    again = KnowledgeModel.from_pretrained(tmp_path / "out", backbone=backbone)
    assert again.task.name == "sequence-classification"
    batch = tiny_batch(backbone)
    assert_same(again(**batch).logits, model(**batch).logits, "logits")


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"stranger": torch.ones(1)}, "has unknown stranger"),
        ({"weights": torch.ones(4)}, "has other shapes for weights"),
        ({"head.linear.weight": torch.ones(2, 32)}, "lacks linear.bias"),
    ],
)
def test_tensors_that_do_not_fit_are_an_error_and_nothing_is_left(mixed, backbone, registry, tmp_path, more, said):
    with pytest.raises(StorageError, match=said):
        import_adapter("mix", mixed(**more), backbone, tmp_path / "out", registry=registry)
    assert [path.name for path in tmp_path.iterdir()] == ["Their Mix.v2"]


def test_what_is_exported_is_imported_again(mixed, backbone, registry, tmp_path):
    import_adapter("mix", mixed(), backbone, tmp_path / "in", name="mine", registry=registry)
    export_adapter("written", tmp_path / "in", tmp_path / "out", backbone, registry=registry)
    assert (tmp_path / "out" / "name").read_text() == "mine"
    again = import_adapter("written", tmp_path / "out", backbone, tmp_path / "again", registry=registry)
    assert all(torch.equal(again.adapters["out"].state_dict()[key], value) for key, value in MIX.items())


def test_an_empty_folder_can_be_the_output_even_the_one_where_one_is(mixed, backbone, registry, tmp_path, monkeypatch):
    mixed()
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    import_adapter("mix", "../Their Mix.v2", backbone, ".", registry=registry)
    assert sorted(path.name for path in Path().iterdir()) == ["README.md", "adapter.json", "adapter.safetensors"]
    with pytest.raises(StorageError, match="already holds"):
        import_adapter("mix", "../Their Mix.v2", backbone, ".", registry=registry)


def test_a_format_that_is_only_read_says_so(mixed, backbone, registry, tmp_path):
    import_adapter("mix", mixed(), backbone, tmp_path / "in", registry=registry)
    with pytest.raises(ConfigError, match="format 'mix' is only read"):
        export_adapter("mix", tmp_path / "in", tmp_path / "out", backbone, registry=registry)
    assert not (tmp_path / "out").exists()


def test_a_format_that_nobody_gives_and_a_place_that_is_not_there(backbone, registry, tmp_path):
    with pytest.raises(UnknownNameError, match=r"there is no format 'mixed'; .*did you mean 'mix'"):
        import_adapter("mixed", tmp_path, backbone, tmp_path / "out", registry=registry)
    with pytest.raises(StorageError, match="there is no file or folder"):
        import_adapter("mix", tmp_path / "none", backbone, tmp_path / "out", registry=registry)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("fac-adapter", "fac-adapter"),
        ("My Adapter.tar.gz", "my-adapter"),
        ("UKP/bert_sts@ukp", "ukp-bert_sts-ukp"),
        ("train", "train-adapter"),
        ("…", "adapter"),
    ],
)
def test_what_others_call_it_becomes_a_name(text, name):
    assert as_name(text) == name


# --- files that cannot be trusted


class Evil:
    def __reduce__(self):
        return os.system, ("touch evil",)


@pytest.mark.parametrize("new", [True, False])
def test_a_malicious_pickle_runs_nothing(tmp_path, monkeypatch, new):
    monkeypatch.chdir(tmp_path)
    torch.save({"weights": Evil()}, "mix.bin", _use_new_zipfile_serialization=new)
    with pytest.raises(StorageError, match=r"mix.bin is not loaded: this pickle asks for \w+\.system") as caught:
        read_weights(Path("mix.bin"))
    assert "\n" not in str(caught.value)
    assert not Path("evil").exists()


@pytest.mark.parametrize(
    ("held", "said"),
    [
        ([torch.ones(1)], "holds a list, not tensors by name"),
        ({"epoch": 3, "weights": torch.ones(1)}, "holds more than tensors: epoch"),
        ({1: torch.ones(1)}, "holds more than tensors: 1"),
        ({"a": torch.ones(2, 2).to_sparse()}, "holds more than tensors: a"),
        ({"a": torch.ones(1).expand(1 << 40)}, "holds more than tensors: a"),
        ({"a": torch.ones(2, device="meta")}, "holds more than tensors: a"),
    ],
)
def test_weights_are_tensors_by_name(tmp_path, held, said):
    torch.save(held, tmp_path / "mix.bin")
    with pytest.raises(StorageError, match=said):
        read_weights(tmp_path / "mix.bin")


@pytest.mark.parametrize(
    "damaged", [b"", b"weights", b"\x80\x02}q\x00.", b"\x80\x04K\x01.", b"PK\x03\x04" + b"\0" * 40]
)
def test_what_is_no_file_of_weights_is_one_line(tmp_path, damaged):
    (tmp_path / "mix.bin").write_bytes(damaged)
    with pytest.raises(StorageError, match=r"mix\.bin") as caught:
        read_weights(tmp_path / "mix.bin")
    assert "\n" not in str(caught.value)


def test_a_file_of_weights_cannot_fill_the_memory(tmp_path, monkeypatch):
    monkeypatch.setattr("kadapter.foreign.FREE_GROWTH", 1 << 16)
    path = archive(tmp_path / "mix.zip", {"mix/data.pkl": b"", "mix/data/0": b"\0" * (1 << 20)}).rename(
        tmp_path / "mix.bin"
    )
    with pytest.raises(StorageError, match=r"mix\.bin holds over"):
        read_weights(path)


def test_a_torch_that_cannot_read_pickles_safely_reads_none(tmp_path, monkeypatch):
    torch.save(MIX, tmp_path / "mix.bin")
    monkeypatch.setattr(torch, "__version__", torch.torch_version.TorchVersion("2.5.1"))
    with pytest.raises(StorageError, match="CVE-2025-32434"):
        read_weights(tmp_path / "mix.bin")


def test_safetensors_are_read_and_may_not_lie(tmp_path):
    path = tmp_path / "mix.safetensors"
    save_file(MIX, path)
    assert torch.equal(read_weights(path)["weights"], MIX["weights"])
    whole = path.read_bytes()
    for lie in (
        whole.replace(b'"shape":[5]', b'"shape":[9]'),
        whole[:-4],
        b"\xff" * 8 + whole[8:],
        whole.replace(b"[4,24]", b"[4,99]"),
    ):
        assert lie != whole
        path.write_bytes(lie)
        with pytest.raises(StorageError, match="cannot read"):
            read_weights(path)


def archive(path, members):
    """Write an archive of name -> bytes; bytes that are None make a link out of it."""
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
            for name, data in members.items():
                info = zipfile.ZipInfo(name)
                info.compress_type = zipfile.ZIP_DEFLATED
                info.external_attr = (0o120777 if data is None else 0o100644) << 16
                packed.writestr(info, b"/etc/passwd" if data is None else data)
        return path
    with tarfile.open(path, "w:gz") as packed:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.type, info.linkname = (tarfile.SYMTYPE, "/etc/passwd") if data is None else (tarfile.REGTYPE, "")
            info.size = len(data or b"")
            packed.addfile(info, io.BytesIO(data or b""))
    return path


@pytest.fixture(params=["it.zip", "it.tar.gz"])
def packed(request, tmp_path):
    return lambda members: archive(tmp_path / request.param, members)


def weights_of(folder):
    return (folder / "mix.bin").read_bytes()


def test_an_archive_is_imported_as_its_folder_is(mixed, packed, backbone, registry, tmp_path):
    whole = packed({"inner/mix.bin": weights_of(mixed())})
    model = import_adapter("mix", whole, backbone, tmp_path / "out", registry=registry)
    assert model.plugged == ("it",)


def test_what_macos_adds_to_an_archive_is_left_out(packed):
    litter = ("__MACOSX/top/._a", "__MACOSX/._top", ".DS_Store", "top/.DS_Store", "._top", "top/inner/._b")
    with unpacked(packed({"top/a": b"1", "top/inner/b": b"2"} | dict.fromkeys(litter, b"0"))) as folder:
        assert sorted(str(path.relative_to(folder)) for path in folder.rglob("*")) == ["a", "inner", "inner/b"]


def test_an_archive_is_unpacked_without_the_folder_around_all(packed):
    with unpacked(packed({"top/a": b"1", "top/inner/b": b"2"})) as folder:
        assert (folder / "a").read_bytes() + (folder / "inner" / "b").read_bytes() == b"12"
    assert not folder.exists()


@pytest.mark.parametrize(
    ("members", "said"),
    [
        ({"../evil": b"x"}, "holds the name '../evil', which leads out of it"),
        ({"a/../../evil": b"x"}, "leads out of it"),
        ({"/tmp/kadapter-evil": b"x"}, "leads out of it"),
        ({"..\\evil": b"x"}, "leads out of it"),
        ({"C:/evil": b"x"}, "leads out of it"),
        ({"link": None}, "'link', a link or device"),
        ({"bomb": b"\0" * (1 << 20)}, "holds over .* bytes"),
        ({f"{number}": b"" for number in range(11)}, "or 10 files"),
        ({"a": b"x", "a/b": b"y"}, "cannot unpack"),
    ],
    ids=lambda value: str(value)[:12],
)
def test_an_archive_cannot_reach_out_or_fill_the_disk(packed, tmp_path, monkeypatch, members, said):
    monkeypatch.setattr("kadapter.foreign.MOST_FILES", 10)
    monkeypatch.setattr("kadapter.foreign.FREE_GROWTH", 1 << 16)
    whole = packed(members)
    with pytest.raises(StorageError, match=said), unpacked(whole):
        pass
    assert [path.name for path in tmp_path.iterdir()] == [whole.name]
    assert not Path("/tmp/kadapter-evil").exists()


@pytest.mark.parametrize("name", ["it.zip", "it.tar.gz", "it.tar"])
def test_a_damaged_archive_is_one_line(tmp_path, name):
    (tmp_path / name).write_bytes(b"no archive")
    with pytest.raises(StorageError, match=f"cannot unpack .*{name}"), unpacked(tmp_path / name):
        pass


# --- the command line


@pytest.fixture
def kadapter(registry, monkeypatch):
    monkeypatch.setattr("kadapter.importing.default_registry", lambda: registry)
    return lambda *words: CliRunner().invoke(app, list(map(str, words)))


def test_the_commands(kadapter, mixed, tmp_path):
    from kadapter.testing import save_tiny_backbone

    tiny = save_tiny_backbone("bert", tmp_path / "tiny")
    here = ("--backbone", tiny, "--output")
    done = kadapter("import", "mix", mixed(moment=torch.ones(2)), *here, tmp_path / "in", "--set", "factor=3", "--json")
    told = json.loads(done.stdout)
    assert (told["name"], told["parameters"], told["format"]) == ("their-mix-v2", 6, "mix")
    assert told["skipped"] == {"moment": "of the optimiser"}
    shown = kadapter("import", "mix", tmp_path / "Their Mix.v2", *here, tmp_path / "b", "--name", "b")
    assert "Left out" not in shown.stdout or "of the optimiser" in shown.stdout
    done = kadapter("export", "written", tmp_path / "in", "--output", tmp_path / "out", "--json")
    assert json.loads(done.stdout)["files"] == ["mix.bin", "name"]


def test_reads_are_numbers(kadapter, tmp_path):
    done = kadapter("import", "mix", tmp_path, "--backbone", "x", "--output", tmp_path / "o", "--reads", "0,top")
    assert isinstance(done.exception, ConfigError)
    assert "--reads 0,top" in str(done.exception)
