"""`kadapter new plugin`: what it writes works at once, and nothing is overwritten."""

import ast
import importlib.metadata
import os
import re
import subprocess
import sys
import sysconfig
from pathlib import Path
from types import SimpleNamespace

import pytest
from packaging.requirements import Requirement
from typer.testing import CliRunner

import kadapter
from kadapter import ConfigError, KadapterError, Recipe, Registry, StorageError
from kadapter.authoring import KINDS, module_file, new_plugin
from kadapter.cli import app
from kadapter.plugins import Plugin

HOOKED = {"type": "adapter_types", "task": "tasks", "source": "sources", "knowledge": "knowledge"}
every_kind = pytest.mark.parametrize("kind", KINDS)
NOBODY = Registry([], ["kadapter.builtin"])


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """The folder of a new plugin of each kind, which gives "first-try"."""
    place = tmp_path_factory.mktemp("new")
    return {kind: new_plugin(f"kadapter-own-{kind}", kind, "first-try", place / kind, NOBODY) for kind in KINDS}


def imported(folder, distribution):
    """The module of a new plugin."""
    spec = importlib.util.spec_from_file_location("plugin_of_a_test", module_file(folder, distribution))
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@every_kind
def test_what_is_written_gives_its_name(kind, folders):
    module = imported(folders[kind], f"kadapter-own-{kind}")
    names = getattr(Registry([], ["kadapter.builtin", module]), HOOKED[kind])
    assert names["first-try"].name == "first-try"


@every_kind
def test_one_place_is_marked(kind, folders):
    lines = module_file(folders[kind], f"kadapter-own-{kind}").read_text().splitlines()
    marks = [line.strip() for line in lines if "# ----" in line]
    assert len(marks) == 2
    assert marks[0].startswith("# ---- Fill in from here")
    assert marks[1].startswith("# ---- To here")


@every_kind
def test_the_project_says_what_it_needs(kind, folders):
    tomllib = pytest.importorskip("tomllib")
    project = tomllib.loads((folders[kind] / "pyproject.toml").read_text())["project"]
    needs = {Requirement(said).name: Requirement(said).specifier for said in project["dependencies"]}
    assert needs["kadapter"].contains(kadapter.__version__)
    assert not needs["kadapter"].contains("99.0")
    parsed = ast.parse(module_file(folders[kind], f"kadapter-own-{kind}").read_text())
    roots = {node.module.split(".")[0] for node in ast.walk(parsed) if isinstance(node, ast.ImportFrom)}
    assert roots & {"torch", "datasets"} == needs.keys() - {"kadapter"}
    assert project["entry-points"]["kadapter"] == {f"own-{kind}": f"kadapter_own_{kind}"}


@every_kind
def test_no_placeholder_is_left(kind, folders):
    for path in filter(Path.is_file, folders[kind].rglob("*")):
        assert not re.search(r"\$\w|\$\{", path.read_text()), path


@every_kind
def test_what_is_written_is_in_good_style(kind, folders):
    ruff = Path(sysconfig.get_path("scripts")) / "ruff"
    if not ruff.exists():
        pytest.skip("ruff is not installed")
    rules = str(Path(__file__).parents[1] / "pyproject.toml")
    for command, part in ((["check"], "src"), (["format", "--check"], ".")):
        words = [ruff, *command, "--config", rules, folders[kind] / part]
        done = subprocess.run(words, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("kind", ["type", "source"])
def test_its_recipe_is_one(kind, folders):
    recipe = Recipe.load(folders[kind] / "recipe.yaml")
    assert "first-try" in (recipe.adapter["type"], recipe.source["name"])


def test_without_more_it_gives_a_type_that_is_called_as_the_plugin_is(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, ["new", "plugin", "kadapter-mine"], catch_exceptions=False)
    assert done.exit_code == 0
    assert "Fill in the marked place of kadapter-mine/src/kadapter_mine/__init__.py" in done.output.replace("\n", " ")
    assert 'name: ClassVar[str] = "mine"' in module_file(tmp_path / "kadapter-mine", "kadapter-mine").read_text()


@pytest.mark.parametrize("words", [["kadapter-mine", "--{}"], ["--{}", "--output", "there", "kadapter-mine"]])
@every_kind
def test_a_kind_without_a_name_is_called_as_the_plugin_is(kind, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, ["new", "plugin", *(word.format(kind) for word in words)], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    folder = tmp_path / ("there" if "there" in words else "kadapter-mine")
    names = getattr(Registry([], ["kadapter.builtin", imported(folder, "kadapter-mine")]), HOOKED[kind])
    assert names["mine"].name == "mine"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["mine"], "'mine' cannot name a plugin: begin with kadapter-"),
        (["kadapter-Mine"], "cannot name a plugin"),
        (["kadapter-../x"], "cannot name a plugin"),
        (["kadapter-mine", "--type", "3d"], "'3d' cannot name a class: begin with a letter"),
        (["kadapter-mine", "--type", "train"], "torch uses that name"),
        (["kadapter-mine", "--task", "Two words"], "'Two words' cannot name"),
        (["kadapter-mine", "--type", "a", "--task", "b"], "--type and --task: a new plugin gives one thing"),
        (["kadapter-mine", "--type", "--task"], "--type and --task: a new plugin gives one thing"),
        (["kadapter-mine", "--task", ""], "'' cannot name"),
        (["kadapter-k-adapter", "--type"], "adapter type 'k-adapter' is given by 'kadapter.builtin'"),
        (["kadapter-mine", "--type", "k-adapter"], "adapter type 'k-adapter' is given by 'kadapter.builtin'"),
    ],
)
def test_names_that_cannot_be(words, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError) as caught:
        CliRunner().invoke(app, ["new", "plugin", *words], catch_exceptions=False)
    assert message in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_name_that_is_taken_is_still_free_for_the_plugin_that_gives_it(tmp_path):
    [builtin] = NOBODY.plugins
    taken = Plugin("mine", "kadapter-mine", "1.0")
    registry = SimpleNamespace(provider=lambda kind, name: taken if name == "own" else builtin)
    with pytest.raises(ConfigError, match=r"adapter type 'own' is given by 'mine' \(kadapter-mine 1.0\) already"):
        new_plugin("kadapter-other", "type", "own", tmp_path / "x", registry)
    assert new_plugin("kadapter-mine", "type", "own", tmp_path / "x", registry).is_dir()


@pytest.mark.parametrize("there", ["file", "folder"])
def test_nothing_is_overwritten(there, tmp_path):
    place = tmp_path / "kadapter-mine"
    kept = place if there == "file" else place / "notes.txt"
    kept.parent.mkdir(exist_ok=True)
    kept.write_text("mine")
    with pytest.raises(StorageError, match="is there already, and nothing is overwritten"):
        new_plugin("kadapter-mine", output=place, registry=NOBODY)
    assert kept.read_text() == "mine"


def test_an_empty_folder_can_be_filled(tmp_path):
    assert (new_plugin("kadapter-mine", output=tmp_path, registry=NOBODY) / "pyproject.toml").is_file()


def test_a_kind_that_there_is_not():
    with pytest.raises(KadapterError, match="no template for 'song'; there is type, task, source, knowledge"):
        new_plugin("kadapter-mine", "song", registry=NOBODY)


@pytest.mark.slow
@every_kind
def test_it_installs_and_passes_its_tests(kind, folders, tmp_path):
    site, folder = tmp_path / "site", folders[kind]
    options = ["--no-deps", "--no-build-isolation", "--no-index", "--quiet", "--target", str(site)]
    subprocess.run([sys.executable, "-m", "pip", "install", *options, str(folder)], check=True)
    path = os.pathsep.join([str(site), *filter(None, [os.environ.get("PYTHONPATH")])])
    for words in (["-q"], ["-q", "--kadapter-plugin", f"own-{kind}"]):
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *words],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": path},
            capture_output=True,
            text=True,
            timeout=1200,
        )
        assert done.returncode == 0, done.stdout
    assert ", 0 broken, " in done.stdout
