"""A saved adapter becomes a package that pip installs."""

import json
import os
import shutil
import subprocess
import sys
import zipfile
from importlib import metadata

import pytest
import torch

from kadapter import (
    Adapter,
    ConfigError,
    KnowledgeModel,
    Recipe,
    Registry,
    StorageError,
    UnknownNameError,
    build_adapter,
    hookimpl,
    pack,
    save_adapter,
    weights_in,
)
from kadapter.card import card_parts
from kadapter.config import NoOptions
from kadapter.data import load_knowledge
from kadapter.testing import fill_randomly, save_tiny_backbone, tiny_batch
from knowledge_data import sample_path

OPTIONS = {"type": "k-adapter", "init": "random", "reads": [0, 2], "width": 16, "heads": 4}
TASK = {"name": "relation-classification"}
VERSION = metadata.version("kadapter")


def describe(folder, **said):
    folder.mkdir(parents=True)
    (folder / "adapter.json").write_text(json.dumps(said))
    return folder


def recipe(**more):
    """The recipe of a run whose data lay on somebody's machine."""
    source = {"name": "graph", "path": "/home/me/secret/rivers.tsv", "templates": "/home/me/templates.yaml", "seed": 3}
    task = {"name": "relation-classification", "labels": ["/river/feeds", "/river/none"]}
    return Recipe.from_dict(
        {"name": "rivers", "backbone": "/home/me/models/tiny", "source": source, "task": task, "adapter": OPTIONS}
        | {"training": {"epochs": 7, "seed": 5, "report_to": ["wandb"]}}
        | more
    )


@pytest.fixture
def save(tiny, tmp_path):
    """Save an adapter with random weights; give its folder."""

    def write(family="bert", name="rivers", options=OPTIONS, folder=None, licence="CC0-1.0", registry=None, **more):
        adapter = build_adapter(options, tiny(family).info, registry)
        fill_randomly(adapter)
        said = recipe(**more).as_dict()
        trained_on = {"recipe": said, "data": {"licence": licence, "source": said["source"]}}
        place = tmp_path / "runs" / (folder or f"{name}-{family}")
        card = f"---\nbase_model: x\n---\n\n# {name}\n\nOf /home/me/secret/rivers.tsv beside {family}.\n"
        save_adapter(place, adapter, name, trained_on, card, registry)
        return place

    return write


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """Lay a wheel out as pip does; give a registry that has it."""

    def unpack(wheel):
        site = tmp_path / "site"
        zipfile.ZipFile(wheel).extractall(site)
        monkeypatch.syspath_prepend(site)
        monkeypatch.delitem(sys.modules, wheel.name.split("-")[0], raising=False)
        [distribution] = metadata.distributions(path=[str(site)])
        return Registry(distribution.entry_points)

    return unpack


def texts(wheel):
    """Name in the wheel -> text, of everything but tensors."""
    with zipfile.ZipFile(wheel) as opened:
        return {name: opened.read(name).decode() for name in opened.namelist() if not name.endswith(".safetensors")}


def features(backbone, adapter, registry=None):
    model = KnowledgeModel.from_pretrained("tiny", adapters=[adapter], registry=registry, backbone=backbone)
    with torch.no_grad():
        [given] = model(**tiny_batch(backbone)).features.values()
    return given


# --- the wheel


def test_a_packed_adapter_is_installed_knowledge_with_the_same_features(save, tiny, tmp_path, installed):
    folder = save()
    packed = pack([folder], "kadapter-rivers", output=tmp_path / "dist")
    assert packed.wheel == tmp_path / "dist" / "kadapter_rivers-0.1.0-py3-none-any.whl"
    assert os.listdir(tmp_path / "dist") == [packed.wheel.name]
    registry = installed(packed.wheel)
    plugin = registry.provider("knowledge", "rivers")
    assert (plugin.distribution, plugin.version, registry.failures) == ("kadapter-rivers", "0.1.0", ())
    assert torch.equal(features(tiny("bert"), "rivers", registry), features(tiny("bert"), folder))


def test_weights_for_several_backbones_are_chosen_by_fingerprint(save, tiny, tmp_path, installed):
    folders = {family: save(family) for family in ("bert", "electra")}
    packed = pack(folders.values(), "kadapter-rivers", output=tmp_path / "dist")
    assert packed.backbones == ("tiny-bert", "tiny-electra")
    registry = installed(packed.wheel)
    for family, folder in folders.items():
        assert torch.equal(features(tiny(family), "rivers", registry), features(tiny(family), folder))
    said = (
        r"without weights for backbone 'tiny-gpt2' \(it has them for tiny-bert, tiny-electra\); make them with "
        r"`kadapter pretrain rivers --backbone tiny-gpt2 --data PATH --output runs/rivers` and plug runs/rivers"
    )
    with pytest.raises(UnknownNameError, match=said):
        features(tiny("gpt2"), "rivers", registry)


def test_the_same_content_is_the_same_file(save, tmp_path, monkeypatch):
    folder = save()
    one = pack([folder], "kadapter-rivers", output=tmp_path / "one", source=True)
    moved = shutil.copytree(folder, tmp_path / "elsewhere", copy_function=shutil.copyfile)
    (moved / "adapter.json").chmod(0o600)
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    two = pack([moved], "kadapter-rivers", output=tmp_path / "two")
    assert one.wheel.read_bytes() == two.wheel.read_bytes()
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    dated = pack([folder], "kadapter-rivers", output=tmp_path / "three").wheel
    assert {entry.date_time for entry in zipfile.ZipFile(dated).infolist()} == {(2023, 11, 14, 22, 13, 20)}


def test_the_wheel_says_what_it_is_and_needs(save, tmp_path):
    packed = pack([save()], "Kadapter_Rivers", description="Which river  feeds what.", output=tmp_path / "dist")
    files = texts(packed.wheel)
    said = files["kadapter_rivers-0.1.0.dist-info/METADATA"]
    for line in ("Name: kadapter-rivers", "License-Expression: CC0-1.0", "Summary: Which river feeds what"):
        assert f"\n{line}\n" in said
    assert packed.requires == (f"kadapter>={VERSION},<0.2",)
    assert f"\nRequires-Dist: kadapter>={VERSION},<0.2\n" in said
    assert "CC0-1.0" in files["kadapter_rivers-0.1.0.dist-info/licenses/LICENSE"]
    assert 'adapters=["rivers"]' in said
    assert "# rivers\n" in said
    assert "base_model: x" not in said


def test_the_recipe_goes_along_and_what_only_its_owner_should_know_does_not(save, tmp_path, installed):
    wheel = pack([save()], "kadapter-rivers", output=tmp_path / "dist").wheel
    files = texts(wheel)
    for name, text in files.items():
        assert "/home/me" not in text, name
        assert str(tmp_path) not in text, name
    made = Recipe.of("rivers", "minilm", installed(wheel))
    assert made.source == {"name": "graph", "templates": "templates.yaml", "seed": 3}
    assert made.task == {"name": "relation-classification", "labels": ["/river/feeds", "/river/none"]}
    assert (made.adapter, made.composition) == (OPTIONS, None)
    assert (made.training.epochs, made.training.seed, made.training.report_to) == (7, 5, ())


def test_small_files_that_the_recipe_names_go_along_and_others_are_named(save, tmp_path, installed, monkeypatch):
    place = tmp_path / "at" / "home"
    place.mkdir(parents=True)
    monkeypatch.chdir(place)
    for name in ("harbour/triples.tsv", "harbour/templates.yaml", "labels.tsv", "aliases.tsv"):
        (place / name).parent.mkdir(exist_ok=True)
        shutil.copy(sample_path("harbour") / {"aliases.tsv": "labels.tsv"}.get(name, name.split("/")[-1]), place / name)
    (place / "aliases.tsv").write_text("a\tb\n" * 300_000)
    said = {"path": "harbour/triples.tsv", "templates": "harbour/templates.yaml", "labels": str(place / "labels.tsv")}
    source = {"name": "graph", **said, "aliases": str(place / "aliases.tsv")}
    packed = pack([save(source=source)], "kadapter-rivers", output=tmp_path / "dist")
    assert packed.files == ("harbour/templates.yaml", str(place / "labels.tsv"))
    files = texts(packed.wheel)
    assert "--data … --set source.aliases=… --output" in files["kadapter_rivers-0.1.0.dist-info/METADATA"]
    assert not [name for name, text in files.items() if "harbour/t" in text or str(tmp_path) in text]
    monkeypatch.chdir(tmp_path)
    made = Recipe.of("rivers", "minilm", installed(packed.wheel)).source
    assert made.pop("aliases") == "aliases.tsv"
    assert load_knowledge({**made, "path": place / "harbour" / "triples.tsv"}).splits["train"].num_rows


@pytest.mark.parametrize(
    ("text", "public"),
    [
        ("/location/location/contains", "/location/location/contains"),
        ("/home/me/secret.tsv", "secret.tsv"),
        ("Made of /home/me/secret.tsv, by C:\\Users\\me\\x.py.", "Made of secret.tsv, by x.py."),
        (
            "See https://example.org/home/me/x and/or <b>this</b>.",
            "See https://example.org/home/me/x and/or <b>this</b>.",
        ),
        ("../../clients/acme", "acme"),
        ("thunlp/few_rel", "thunlp/few_rel"),
        ("/", "/"),
    ],
)
def test_paths_are_cut_and_names_that_look_like_one_stay(save, tmp_path, text, public):
    folder = save(source={"name": "graph", "path": "../../clients/acme/t.tsv", "only": [text]})
    change(folder, "trained_on", card={"about": text})
    (folder / "README.md").write_text(f"# rivers\n\n{text}\n")
    files = texts(pack([folder], "kadapter-rivers", output=tmp_path / "dist").wheel)
    [said] = [json.loads(text)["trained_on"] for name, text in files.items() if name.endswith("/adapter.json")]
    assert (said["card"]["about"], said["recipe"]["source"]["only"]) == (public, [public])
    assert said["recipe"]["source"]["path"] == "t.tsv"
    [card] = [text for name, text in files.items() if name.endswith("README.md")]
    assert f"\n{public}\n" in card


def test_an_adapter_that_went_on_from_a_folder_comes_without_a_recipe(save, tiny, tmp_path, installed):
    folder = save(adapter=None, adapters={"rivers": "runs/older"})
    registry = installed(pack([folder], "kadapter-rivers", output=tmp_path / "dist").wheel)
    assert torch.equal(features(tiny("bert"), "rivers", registry), features(tiny("bert"), folder))
    with pytest.raises(UnknownNameError, match=r"\(it has them for tiny-bert\); no recipe is known that makes them"):
        features(tiny("electra"), "rivers", registry)


def test_it_can_be_called_otherwise(save, tiny, tmp_path, installed):
    folder = save()
    (folder / "README.md").unlink()
    packed = pack([folder], "kadapter-rivers", knowledge="lakes", version="2.0rc1", output=tmp_path / "dist")
    [card] = [text for name, text in texts(packed.wheel).items() if name.endswith("README.md")]
    assert 'adapters=["lakes"])  # from pip install kadapter-rivers\n' in card
    assert '"rivers"' not in card
    assert packed.wheel.name == "kadapter_rivers-2.0rc1-py3-none-any.whl"
    registry = installed(packed.wheel)
    assert list(registry.knowledge) == ["lakes"]
    assert torch.equal(features(tiny("bert"), "lakes", registry), features(tiny("bert"), folder))


@pytest.mark.parametrize(
    ("said", "expression", "text"),
    [
        (None, "LicenseRef-other", "CC0-1.0; see the publisher"),
        ("apache-2.0", "Apache-2.0", "apache-2.0"),
        ("Ask\nme first.", "LicenseRef-other", "Ask me first"),
    ],
)
def test_the_licence_is_that_of_the_data_or_what_is_said(save, tmp_path, said, expression, text):
    folders = [save(), save("electra", licence="see the publisher")]
    files = texts(pack(folders, "kadapter-rivers", licence=said, output=tmp_path / "dist").wheel)
    assert f"\nLicense-Expression: {expression}\n" in files["kadapter_rivers-0.1.0.dist-info/METADATA"]
    assert f"\nThe weights stand under: {text}\n" in files["kadapter_rivers-0.1.0.dist-info/licenses/LICENSE"]


@pytest.mark.parametrize("own", [True, False])
def test_the_licence_that_is_said_is_that_of_the_adapter_and_of_its_card(save, tmp_path, own):
    folder = save()
    card = "---\nlicense: other\nlicense_name: ask\nlanguage: en\n---\n\n# rivers\n\nBy hand.\n"
    (folder / "README.md").write_text(card) if own else (folder / "README.md").unlink()
    files = texts(pack([folder], "kadapter-rivers", licence="CC-BY-4.0", output=tmp_path / "dist").wheel)
    [card] = [text for name, text in files.items() if name.endswith("README.md")]
    front, text = card_parts(card)
    assert front["license"] == "cc-by-4.0"
    assert "license_name" not in front
    assert (front.get("language"), "By hand." in text) == (("en", True) if own else (None, False))
    [said] = [json.loads(text) for name, text in files.items() if name.endswith("/adapter.json")]
    assert said["trained_on"]["card"]["licence"] == "CC-BY-4.0"
    assert said["trained_on"]["data"]["licence"] == "CC0-1.0"
    assert "tiny-bert: CC0-1.0" in files["kadapter_rivers-0.1.0.dist-info/licenses/LICENSE"]


# --- what it needs


class Holder(Adapter):
    """Holds another adapter."""

    name = "holder"
    Config = NoOptions

    def __init__(self, config, backbone):
        super().__init__(config, backbone)
        self.inner = build_adapter(OPTIONS, backbone)
        self.reads = self.inner.reads

    def forward(self, states):
        return self.inner(states)


def test_the_types_that_an_adapter_holds_are_needed_too(tmp_path, save, monkeypatch):
    class Plugin:
        @hookimpl
        def register_adapter_types(self):
            return [Holder]

    class Dist:
        name, version = "Nested.Types", "3.1.4"

    entry_point = metadata.EntryPoint("nested", "x", "kadapter")
    vars(entry_point)["dist"] = Dist
    monkeypatch.setattr(metadata.EntryPoint, "load", lambda self: Plugin())
    registry = Registry([entry_point])
    folder = save(options={"type": "holder"}, registry=registry)
    assert json.loads((folder / "adapter.json").read_text())["holds"] == {
        "k-adapter": {"distribution": "kadapter", "version": VERSION}
    }
    packed = pack([folder], "kadapter-rivers", output=tmp_path / "dist", registry=registry)
    assert packed.requires == (f"kadapter>={VERSION},<0.2", "nested-types>=3.1.4,<4")


# --- the source project


def test_the_source_project_is_what_the_wheel_is_built_of(save, tmp_path):
    packed = pack([save()], "kadapter-rivers", source=True, output=tmp_path / "dist")
    assert packed.source == tmp_path / "dist" / "kadapter-rivers"
    assert sorted(os.listdir(packed.source)) == ["LICENSE", "README.md", "pyproject.toml", "src"]
    assert (
        '[project.entry-points.kadapter]\n"rivers" = "kadapter_rivers"\n'
        in (packed.source / "pyproject.toml").read_text()
    )
    built = tmp_path / "built"
    built.mkdir()
    code = "import sys; from flit_core.buildapi import build_wheel; build_wheel(sys.argv[1])"
    environment = {**os.environ, "SOURCE_DATE_EPOCH": "315532800"}
    subprocess.run([sys.executable, "-c", code, built], cwd=packed.source, env=environment, check=True)
    assert (built / packed.wheel.name).read_bytes() == packed.wheel.read_bytes()
    with pytest.raises(StorageError, match="kadapter-rivers is there already; remove it"):
        pack([tmp_path / "runs" / "rivers-bert"], "kadapter-rivers", source=True, output=tmp_path / "dist")


# --- what cannot be packed


@pytest.mark.parametrize(
    ("said", "error", "problem"),
    [
        ({"name": "kadapter geo"}, ConfigError, "'kadapter geo' cannot name a distribution"),
        ({"name": "3d"}, ConfigError, "would be the Python package 3d, which cannot be imported"),
        ({"name": "class"}, ConfigError, "would be the Python package class, which cannot be imported"),
        ({"name": "json"}, ConfigError, "package json, which is one of Python itself"),
        ({"name": "torch-"}, ConfigError, "cannot name a distribution"),
        ({"name": "pytest_"}, ConfigError, "cannot name a distribution"),
        ({"name": "yaml"}, ConfigError, "package yaml, which is one of pyyaml"),
        ({"name": "numpy"}, ConfigError, "'numpy' is installed already and is no plugin of kadapter"),
        ({"name": "PyYAML"}, ConfigError, "'pyyaml' is installed already and is no plugin of kadapter"),
        ({"name": "kadapter"}, ConfigError, "'kadapter' is the name of what the package needs itself"),
        ({"version": "new"}, ConfigError, "'new' cannot be a version"),
        ({"knowledge": "../etc"}, ConfigError, "cannot name an adapter"),
        ({"knowledge": "x" * 41}, ConfigError, "too long a name"),
        ({"knowledge": "k-adapter"}, ConfigError, "'k-adapter' is the name of a built-in adapter type"),
        ({"knowledge": "minilm"}, ConfigError, "'minilm' is the name of a built-in backbone"),
        ({"folders": []}, ConfigError, "nothing to pack"),
    ],
)
def test_names_that_cannot_be_are_one_clear_error_and_write_nothing(save, tmp_path, said, error, problem):
    given = {"folders": [save()], "name": "kadapter-rivers", "output": tmp_path / "dist", **said}
    with pytest.raises(error, match=problem) as caught:
        pack(**given)
    assert str(caught.value).isprintable()
    assert not (tmp_path / "dist").exists()


def test_the_name_of_other_installed_knowledge_is_refused(save, tmp_path, installed):
    folder = save()
    registry = installed(pack([folder], "kadapter-rivers", output=tmp_path / "dist").wheel)
    pack([folder], "kadapter-rivers", version="0.2", output=tmp_path / "dist", registry=registry)
    with pytest.raises(ConfigError, match=r"knowledge 'rivers' is that of kadapter-rivers 0\.1\.0, and no two"):
        pack([folder], "my-rivers", output=tmp_path / "dist", registry=registry)


def test_adapters_that_do_not_belong_together_are_refused(save, tmp_path):
    for other, problem in [
        (save("electra", name="lakes"), r"of name 'lakes' and .* one of 'rivers'"),
        (save("electra", options={"type": "scalar-mix"}), r"of type 'scalar-mix' and .* one of 'k-adapter'"),
        (save("bert", folder="again"), r"again and .*rivers-bert are for the same backbone 'tiny-bert'"),
    ]:
        with pytest.raises(ConfigError, match=problem):
            pack([save(), other], "kadapter-rivers", output=tmp_path / "dist")


def change(folder, entry, **said):
    path = folder / "adapter.json"
    now = json.loads(path.read_text())
    now[entry] = {**now[entry], **said}
    path.write_text(json.dumps(now))


@pytest.mark.parametrize(
    ("damage", "error", "problem"),
    [
        (lambda f: shutil.rmtree(f), StorageError, "no saved adapter in"),
        (lambda f: (f / "adapter.safetensors").write_bytes(b"x"), StorageError, r"cannot read .*adapter\.safetensors"),
        (lambda f: (f / "README.md").write_bytes(b"\xff"), StorageError, r"cannot read the card .*write it as UTF-8"),
        (lambda f: change(f, "backbone", name=None), StorageError, "does not say the name of the backbone"),
        (lambda f: change(f, "adapter", type=None), StorageError, "does not say the type of the adapter"),
        (lambda f: change(f, "backbone", fingerprint="a" * 16 + "-tuned"), StorageError, "share the whole model"),
        (lambda f: change(f, "backbone", fingerprint="../../etc"), StorageError, "for the fingerprint of its backbone"),
        (lambda f: change(f, "provided_by", distribution="geo"), StorageError, "adapter type 'k-adapter' of geo"),
        (lambda f: change(f, "trained_on", data=None), ConfigError, "nobody says under which licence"),
        (lambda f: f.rename(f.parent / "adapters") and shutil.copytree(f.parent / "adapters", f / "adapters" / "a"),
         StorageError, "a model of several adapters; pack one by itself: .*adapters/a"),
    ],
)  # fmt: skip
def test_what_is_saved_wrongly_is_refused_and_nothing_written(save, tmp_path, damage, error, problem):
    folder = save()
    damage(folder)
    with pytest.raises(error, match=problem):
        pack([folder], "kadapter-rivers", output=tmp_path / "dist")
    assert not (tmp_path / "dist").exists()


def test_an_adapter_with_little_provenance_or_no_card_can_be_packed(save, tmp_path, installed):
    folder = save()
    (folder / "README.md").unlink()
    change(folder, "trained_on", recipe={"strange": 1}, data="none")
    said = json.loads((folder / "adapter.json").read_text())
    said.pop("provided_by")
    (folder / "adapter.json").write_text(json.dumps(said))
    packed = pack([folder], "kadapter-rivers", licence="MIT", output=tmp_path / "dist")
    assert installed(packed.wheel).knowledge["rivers"].adapter["type"] == "k-adapter"


# --- pip, the command line and a fresh process


def run(*words, site=None):
    """Run Python, with the wheels in `site` installed; give what it prints."""
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", **({"PYTHONPATH": str(site)} if site else {})}
    done = subprocess.run(
        [sys.executable, *map(str, words)], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


PRINT_FEATURES = """
import sys, torch
from kadapter import KnowledgeModel
model = KnowledgeModel.from_pretrained(sys.argv[1], adapters=[sys.argv[2]])
tokens = model.backbone.tokenizer(["the harbour of the old town"], return_tensors="pt")
with torch.no_grad():
    [given] = model(**tokens).features.values()
print(given.numpy().tobytes().hex())
"""


@pytest.mark.slow
def test_a_run_is_packed_installed_by_pip_used_and_made_for_another_backbone(tmp_path):
    llama, bert = (save_tiny_backbone(family, tmp_path / "places" / family) for family in ("llama", "bert"))
    data, site, geo = sample_path("fewrel"), tmp_path / "site", tmp_path / "geo"
    adapter, source = {"type": "k-adapter", "reads": [1]}, {"name": "fewrel", "path": str(data)}
    said = {"name": "geo", "backbone": str(llama), "source": source, "training": {"epochs": 1}}
    Recipe.from_dict({**recipe().as_dict(), **said, "adapter": adapter, "task": TASK}).save(tmp_path / "geo.yaml")
    run("-m", "kadapter", "pretrain", tmp_path / "geo.yaml", "--output", geo)
    packing = ("pack", geo, "--name", "kadapter-geo", "--output", tmp_path / "dist", "--json")
    packed = json.loads(run("-m", "kadapter", *packing))
    run("-m", "pip", "install", "--no-deps", "--no-index", "--quiet", "--target", site, packed["wheel"])
    told = json.loads(run("-m", "kadapter", "plugins", "--json", site=site))
    row = {"kind": "knowledge", "name": "geo", "distribution": "kadapter-geo", "version": "0.1.0"}
    assert row in told["provides"]
    assert told["failures"] == []
    assert run("-c", PRINT_FEATURES, llama, "geo", site=site) == run("-c", PRINT_FEATURES, llama, geo)
    again = ("pretrain", "geo", "--backbone", bert, "--data", data, "--output", tmp_path / "geo-bert")
    run("-m", "kadapter", *again, site=site)
    made = Recipe.load(tmp_path / "geo-bert" / "recipe.yaml")
    assert (made.training.epochs, made.adapter) == (1, {"type": "k-adapter", "reads": [1]})


# --- weights in a folder


def test_weights_in_a_folder_are_found_by_the_backbone_that_they_say(tmp_path):
    one = describe(tmp_path / "any", backbone={"fingerprint": "a1"})
    two = describe(tmp_path / "name", backbone={"fingerprint": "b2"})
    (tmp_path / "no-adapter").mkdir()
    assert weights_in(tmp_path) == {"a1": one, "b2": two}
    assert weights_in(tmp_path / "not-there") == {}


@pytest.mark.parametrize("said", [{}, {"backbone": "minilm"}, {"backbone": {"fingerprint": None}}])
def test_weights_for_nobody_knows_which_backbone_are_refused(tmp_path, said):
    describe(tmp_path / "one", **said)
    with pytest.raises(StorageError, match=r"adapter\.json does not say the fingerprint of a backbone"):
        weights_in(tmp_path)


def test_two_weights_for_one_backbone_are_refused(tmp_path):
    for name in ("one", "two"):
        describe(tmp_path / name, backbone={"fingerprint": "a1"})
    with pytest.raises(StorageError, match=r"two and .*one hold adapters for the same backbone \(a1\); keep one"):
        weights_in(tmp_path)
