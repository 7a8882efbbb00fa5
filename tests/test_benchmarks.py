"""Every benchmark runs, on tiny models; what it measures there means nothing, and nothing is said of it here."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def benchmarks(*words):
    return subprocess.run([sys.executable, "-m", "benchmarks", *words], cwd=ROOT, capture_output=True, text=True)


@pytest.fixture(scope="module")
def names():
    return [line.split()[0] for line in benchmarks().stdout.splitlines()]


def test_the_list_says_what_there_is(names):
    assert {"standard", "fusion", "drop", "data_sets", "growth", "memory", "pretraining"} <= set(names)
    assert not {"models", "reporting", "ship"} & set(names)


def test_a_benchmark_that_there_is_not():
    done = benchmarks("nothing")
    assert done.returncode == 2
    assert "there is no benchmark nothing; there is compiled, data_sets" in " ".join(
        done.stderr.replace("│", " ").split()
    )


def test_each_runs_quickly_and_is_drawn(names, tmp_path):
    done = benchmarks(*names, "--quick", "--output", str(tmp_path))
    assert done.returncode == 0, done.stderr
    for name in names:
        report = json.loads((tmp_path / f"{name}.json").read_text())
        assert report["rows"], name
        assert {"setting", "machine", "versions", "load_before"} <= report.keys(), name
        assert (tmp_path / f"{name}.png").read_bytes().startswith(b"\x89PNG"), name
