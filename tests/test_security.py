"""What is hostile or broken is refused or contained, and said in one line."""

import ast
import io
import json
import pickle
import re
import struct
import sys
from pathlib import Path

import pytest
import torch

from kadapter import (
    ConfigError,
    KnowledgeModel,
    StorageError,
    UnknownNameError,
    build_adapter,
    load_adapter,
    save_adapter,
)
from kadapter.cli import app
from kadapter.registry import PluginWarning, Registry

ROOT = Path(__file__).parents[1]
SECRET = "hf_TheSecretOfTheEnvironment"


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Install a distribution with one entry point whose module is `source`, and nothing else; give a registry."""

    def write(source):
        info = tmp_path / "hostile-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: hostile\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text("[kadapter]\nhostile = hostile_module\n")
        (tmp_path / "hostile_module.py").write_text(f"import os, sys\nfrom kadapter import hookimpl\n{source}\n")
        return Registry()

    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("KADAPTER_PLUGINS", "hostile")
    monkeypatch.setenv("TOKEN", SECRET)
    monkeypatch.delitem(sys.modules, "hostile_module", raising=False)
    return write


@pytest.fixture
def plugins_json(monkeypatch, capsys, tmp_path):
    """Run `kadapter plugins --json` with a registry; give what it prints to standard output and error."""
    # Nothing is remembered there yet, and what is listed here is for this test alone.
    monkeypatch.setenv("KADAPTER_CACHE", str(tmp_path / "cache"))

    def run(registry):
        monkeypatch.setattr("kadapter.listing.default_registry", lambda: registry)
        app(["plugins", "--json"], standalone_mode=False)
        printed = capsys.readouterr()
        return json.loads(printed.out), printed.err

    return run


def naming(expression):
    """Source of a plugin that gives a task of this name."""
    thing = f'type("Thing", (), {{"name": {expression}}})'
    return f"@hookimpl\ndef register_tasks():\n    return [{thing}]"


# --- what is saved


@pytest.fixture
def saved(tiny, tmp_path):
    """A folder with a saved adapter."""
    save_adapter(tmp_path / "saved", build_adapter({"type": "scalar-mix"}, tiny("bert").info), "rivers")
    return tmp_path / "saved"


def rewrite(path, **entries):
    """Change what a JSON file says."""
    path.write_text(json.dumps({**json.loads(path.read_text()), **entries}))


class Pickled:
    """Writes a file when it is unpickled."""

    def __init__(self, trace):
        self.trace = trace

    def __reduce__(self):
        return Path.write_text, (self.trace, "here I was")


def torch_bytes(value):
    """Give what `torch.save` would write."""
    file = io.BytesIO()
    torch.save(value, file)
    return file.getvalue()


def loaded(folder, backbone):
    """Load a saved model on a backbone that is there already."""
    return KnowledgeModel.from_pretrained(folder, backbone=backbone)


@pytest.mark.parametrize("dump", [pickle.dumps, torch_bytes], ids=["pickle", "torch.save"])
@pytest.mark.parametrize("place", ["adapter.safetensors", "model.safetensors"])
def test_a_pickle_in_place_of_weights_is_refused_and_never_run(saved, tiny, tmp_path, dump, place):
    bert, trace = tiny("bert"), tmp_path / "trace"
    KnowledgeModel(bert).save_pretrained(saved)
    (saved / place).write_bytes(dump(Pickled(trace)))
    with pytest.raises(StorageError, match=rf"cannot read .*{place}: .*; save or download it again") as caught:
        load_adapter(saved, bert.info) if place.startswith("adapter") else loaded(saved, bert)
    assert str(caught.value).isprintable()
    assert not trace.exists()


def lying(shape=(1,), offsets=(0, 4), dtype="F32", length=None, content=b"1234"):
    """Give a safetensors file whose header says this of its one tensor."""
    said = {"weights": {"dtype": dtype, "shape": shape, "data_offsets": offsets}}
    header = json.dumps(said).encode()
    return struct.pack("<Q", len(header) if length is None else length) + header + content


LIES = {
    "a header longer than can be": lying(length=2**64 - 1),
    "a header longer than the file": lying(length=10**6),
    "a header of no length": lying(length=0),
    "half a header": lying(length=20),
    "less than a length": b"1234",
    "more numbers than there are": lying(shape=(1000,)),
    "more numbers than can be counted": lying(shape=(2**40, 2**40)),
    "less than no numbers": lying(shape=(-1,)),
    "none, in a shape that cannot be": lying(shape=(0, 2**63, 2**63), offsets=(0, 0), content=b""),
    "past the end": lying(shape=(1000,), offsets=(0, 4000)),
    "back to front": lying(offsets=(4, 0)),
    "with a gap before": lying(offsets=(4, 8), content=b"12345678"),
    "with a rest behind": lying(content=b"12345678"),
    "no such numbers": lying(dtype="OBJECT"),
    "without end": struct.pack("<Q", 10**6) + b'{"x":' * 200_000,
}


@pytest.mark.parametrize("content", LIES.values(), ids=LIES)
def test_weights_whose_header_lies_are_refused(saved, tiny, content):
    (saved / "adapter.safetensors").write_bytes(content)
    with pytest.raises(StorageError, match="save or download it again") as caught:
        load_adapter(saved, tiny("bert").info)
    assert str(caught.value).isprintable()


def test_a_type_of_another_distribution_than_the_file_says_is_refused(saved, tiny):
    rewrite(saved / "adapter.json", provided_by={"distribution": "Geo_Tools", "version": "3.1"})
    said = r"adapter type 'scalar-mix' of Geo_Tools 3\.1, but here that is a type of kadapter .*; install the one"
    with pytest.raises(StorageError, match=said):
        load_adapter(saved, tiny("bert").info)


def test_a_type_that_is_not_installed_says_who_provided_it(saved, tiny):
    rewrite(saved / "adapter.json", adapter={"type": "tree"}, provided_by={"distribution": "geo", "version": "3.1"})
    with pytest.raises(UnknownNameError, match=r"no adapter type 'tree'; .*saved with that of geo 3\.1: install it"):
        load_adapter(saved, tiny("bert").info)


def test_a_type_that_is_held_is_checked_too(saved, tiny):
    rewrite(saved / "adapter.json", holds={"k-adapter": {"distribution": "geo", "version": "3.1"}})
    with pytest.raises(StorageError, match=r"saved with adapter type 'k-adapter' of geo 3\.1, but here"):
        load_adapter(saved, tiny("bert").info)


@pytest.mark.parametrize("place", ["../../etc", "/etc", "adapters/../../x", "C:\\x", "..\\x", "//host/x", 3, None])
def test_a_model_whose_adapters_lie_elsewhere_is_refused(tiny, tmp_path, place):
    KnowledgeModel(tiny("bert")).save_pretrained(tmp_path)
    rewrite(tmp_path / "model.json", adapters={"x": place})
    with pytest.raises(StorageError, match="which is not inside; do not trust it"):
        loaded(tmp_path, tiny("bert"))


@pytest.mark.parametrize("name", ["../x", "/etc", "a/b", "a.b", "x\n", "\x1b[2J", "train", ""])
def test_a_model_whose_adapters_have_names_that_cannot_be_is_refused(saved, tiny, tmp_path, name):
    KnowledgeModel(tiny("bert")).save_pretrained(tmp_path)
    rewrite(tmp_path / "model.json", adapters={name: "saved"})
    with pytest.raises(ConfigError, match="cannot name an adapter") as caught:
        loaded(tmp_path, tiny("bert"))
    assert str(caught.value).isprintable()


def test_an_adapter_whose_own_name_cannot_be_is_refused(saved, tiny):
    rewrite(saved / "adapter.json", name="../../etc\x1b[2J")
    with pytest.raises(ConfigError, match="cannot name an adapter") as caught:
        KnowledgeModel.from_pretrained("tiny", adapters=[saved], backbone=tiny("bert"))
    assert str(caught.value).isprintable()


def called(tree):
    """Give (dotted name, call) of every call in a module."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node


def test_nothing_that_runs_code_is_read():
    """Whether a pickle is opened nowhere, but for weights alone, and no code of a model is trusted."""
    unpickling = re.compile(
        r"pickle\.loads?|Unpickler|joblib\.load|yaml\.(unsafe_|full_)?load(_all)?|marshal\.loads?|eval|exec"
    )
    offenders = []
    for path in [
        *ROOT.glob("kadapter/**/*.py"),
        *ROOT.glob("knowledge_data/**/*.py"),
        *ROOT.glob("plugins/*/src/**/*.py"),
    ]:
        for name, call in called(ast.parse(path.read_text(encoding="utf-8"))):
            said = {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords}
            if (
                (name == "torch.load" and said.get("weights_only") != "True")
                or (unpickling.fullmatch(name) and "_Loader" not in ast.unparse(call))
                or said.get("trust_remote_code", "False") != "False"
                or said.get("allow_pickle", "False") != "False"
            ):
                offenders.append(f"{path.relative_to(ROOT)}:{call.lineno} {name}")
    assert not offenders, "\n".join(offenders)


# --- plugins


HOSTILE = {
    "raises": ("raise RuntimeError('no')", "RuntimeError: no"),
    "raises what cannot be said": (
        "class Mute(Exception):\n    def __str__(self): raise ValueError\nraise Mute",
        "Mute: says nothing",
    ),
    "ends the process": ("sys.exit('bye')", "SystemExit: bye"),
    "panics": ("class Panic(BaseException): pass\nraise Panic('at the disco')", "Panic: at the disco"),
    "talks without end": ("raise RuntimeError('no ' * 9999)", "RuntimeError: no no"),
    "speaks to the terminal": ("raise RuntimeError('\\x1b[2J\\x07' + chr(0x202e))", r"\x1b[2J\x07\u202e"),
    "secret in a name": (naming("'geo ' + os.environ['TOKEN']"), "whose name is 'geo hf_T…'; set it to at most 40"),
    "secret as a name": (naming("os.environ['TOKEN']"), "whose name is 'hf_TheSe…'; set it"),
    "long name": (naming("'x' * 10_000"), "whose name is 'xxxxxxxx…'; set it"),
    "terminal escapes in a name": (naming("'\\x1b[31mred'"), r"whose name is '\x1b[31mred'; set it"),
    "newline in a name": (naming("'a\\nb'"), r"whose name is 'a\nb'; set it"),
    "newline after a name": (naming("'geo\\n'"), r"whose name is 'geo\n'; set it"),
    "markup in a name": (naming("'[red]x'"), "whose name is '[red]x'; set it"),
    "a path as a name": (naming("'../../etc'"), "whose name is '../../et…'; set it"),
    "letters that look like others": (naming("'g\\u0435o'"), "whose name is 'gеo'; set it"),
    "secret in what a thing says of itself": (
        "class Thing:\n    name = 3\n    def __repr__(self): return os.environ['TOKEN']\n"
        "@hookimpl\ndef register_tasks(): return [Thing()]",
        "gives a Thing whose name is a int; set it",
    ),
}


@pytest.mark.parametrize(("source", "said"), HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_plugin_is_one_short_printable_line(install, source, said):
    registry = install(source)
    with pytest.warns(PluginWarning) as caught:
        [failure] = registry.failures
    assert said in str(failure)
    for text in (str(failure), str(caught[0].message)):
        assert text.isprintable()
        assert len(text) < 700
        assert SECRET not in text
    assert "relation-classification" in registry.tasks


def test_who_interrupts_the_loading_of_a_plugin_is_heard(install):
    registry = install("raise KeyboardInterrupt")
    with pytest.raises(KeyboardInterrupt):
        _ = registry.tasks


def test_what_a_plugin_prints_does_not_break_json(install, plugins_json):
    said, beside = plugins_json(install(f"print('loading')\nprint('[')\n{naming(repr('quiet'))}"))
    assert "quiet" in [row["name"] for row in said["provides"]]
    assert beside == "loading\n[\n"


def test_a_plugin_that_ends_the_process_does_not_end_the_command(install, plugins_json):
    with pytest.warns(PluginWarning):
        said, _ = plugins_json(install("print('bye')\nsys.exit('\\x1b[31m')"))
    assert [failure["reason"] for failure in said["failures"]] == ["SystemExit: \\x1b[31m"]
