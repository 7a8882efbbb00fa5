"""What is hostile or broken is refused or contained, and said in one line."""

import json
import sys

import pytest

from kadapter.cli import app
from kadapter.registry import PluginWarning, Registry

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
def plugins_json(monkeypatch, capsys):
    """Run `kadapter plugins --json` with a registry; give what it prints to standard output and error."""

    def run(registry):
        monkeypatch.setattr("kadapter.registry.default_registry", lambda: registry)
        app(["plugins", "--json"], standalone_mode=False)
        printed = capsys.readouterr()
        return json.loads(printed.out), printed.err

    return run


def naming(expression):
    """Source of a plugin that gives a task of this name."""
    thing = f'type("Thing", (), {{"name": {expression}}})'
    return f"@hookimpl\ndef register_tasks():\n    return [{thing}]"


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
