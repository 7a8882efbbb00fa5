"""The tutorial is followed step by step: files are written, commands and Python are run, as shown."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[1] / "docs" / "tutorial.md"
PIP = ["pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]


def steps():
    """The blocks of the page in order: (language, text)."""
    return re.findall(r"^```(\w+)\n(.*?)^```", PAGE.read_text(encoding="utf-8"), flags=re.M | re.S)


def files():
    """The files that the page shows: path -> text."""
    shown = [re.match(r"# (\S+/\S+\.py)\n(.*)", text, flags=re.S) for language, text in steps() if language == "python"]
    return {found[1]: found[2] for found in shown if found}


def words_of(line, site):
    """What runs a command of the page; what it installs goes into a folder of the test."""
    command, *rest = shlex.split(line)
    if command == "pip":
        assert rest[0] == "install", line
        return [*PIP, "--target", str(site), f"./{rest[-1]}"]
    assert command in ("kadapter", "pytest"), line
    return [command, *(["-p", "no:cacheprovider"] if command == "pytest" else []), *rest]


def test_a_new_type_takes_under_60_lines():
    [text] = files().values()
    lines = [line for line in text.splitlines() if line.strip()]
    assert len(lines) < 60
    compile(text, "docs/tutorial.md", "exec")


@pytest.mark.slow
def test_the_tutorial_works_as_shown(tmp_path, minilm):
    site = tmp_path / "site"
    path = os.pathsep.join([str(site), *filter(None, [os.environ.get("PYTHONPATH")])])

    def run(*words):
        done = subprocess.run(
            [sys.executable, *words],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": path},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, f"{words}\n{done.stdout}\n{done.stderr}"

    for language, text in steps():
        if language == "bash":
            for line in text.splitlines():
                run("-m", *words_of(line, site))
        elif shown := re.match(r"# (\S+/\S+\.py)\n", text):
            place = tmp_path / shown[1]
            assert place.exists(), f"the page fills in {shown[1]}, which is not there"
            place.write_text(text, encoding="utf-8")
        else:
            run("-c", text)
