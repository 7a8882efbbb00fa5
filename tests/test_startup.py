"""What is imported when: what takes seconds waits until it is used. Times depend on the machine; imports do not."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
HEAVY = {
    "torch",
    "numpy",
    "transformers",
    "datasets",
    "networkx",
    "pandas",
    "pyarrow",
    "sklearn",
    "matplotlib",
    "scipy",
}


@pytest.fixture(autouse=True)
def our_plugins(monkeypatch):
    """What else is installed may import what it likes."""
    names = [folder.name.removeprefix("kadapter-") for folder in ROOT.glob("plugins/kadapter-*")]
    monkeypatch.setenv("KADAPTER_PLUGINS", ",".join(names))


def imported(code):
    """Which of the heavy packages a fresh interpreter has imported after it has run `code`."""
    code = f"import json, sys\n{code}\nprint('\\n' + json.dumps(sorted({HEAVY} & sys.modules.keys())))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout.splitlines()[-1]))


EVERY_HELP = """
import typer
from typer.testing import CliRunner
from kadapter.cli import app

def walk(command, words):
    yield words
    for name, child in getattr(command, "commands", {}).items():
        yield from walk(child, [*words, name])

asked = list(walk(typer.main.get_command(app), []))
assert len(asked) > 10, asked
for words in asked:
    assert CliRunner().invoke(app, [*words, "--help"]).exit_code == 0, words
"""


@pytest.mark.parametrize(
    ("code", "needed"),
    [
        pytest.param("import kadapter", set(), id="import kadapter"),
        pytest.param("import knowledge_data; knowledge_data.DataError", set(), id="import knowledge_data"),
        pytest.param(EVERY_HELP, set(), id="every --help"),
        pytest.param("import kadapter; kadapter.default_registry().plugins", {"torch", "numpy"}, id="the plugins"),
    ],
)
def test_only_what_is_needed_is_imported(code, needed):
    assert imported(code) <= needed


def test_plugins_are_listed_without_loading_them_again(tmp_path, monkeypatch):
    monkeypatch.setenv("KADAPTER_CACHE", str(tmp_path))
    code = (
        "from typer.testing import CliRunner; from kadapter.cli import app; print(CliRunner().invoke(app, 'plugins'))"
    )
    assert "torch" in imported(code)
    assert imported(code) == set()
