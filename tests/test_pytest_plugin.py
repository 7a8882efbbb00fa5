"""`pytest --kadapter-plugin NAME`: contracts for what is installed, without a test file, and a report in words."""

import os
import subprocess
import sys
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace

import pytest

from kadapter import Composition, Registry, hookimpl
from kadapter.testing.installed import Contracts

pytest_plugins = ["pytester"]

ROOT = Path(__file__).parents[1]
BROKEN = ROOT / "tests" / "data" / "broken-plugin"
PLUGINS = ["kadapter", *sorted(path.name for path in ROOT.glob("plugins/kadapter-*"))]


class Mean(Composition):
    name = "mean"

    def forward(self, hidden, features):
        return sum(features.values(), start=hidden) / (1 + len(features))


class LeavesTheBackboneOut(Mean):
    name = "leaves-out"

    def forward(self, hidden, features):
        return sum(features.values()) / max(len(features), 1) if features else hidden * 0


class Needy(Mean):
    name = "needy"

    @dataclass(frozen=True)
    class Config:
        size: int


class NeedyButSaysSo(Mean):
    name = "says-so"
    Config = Needy.Config
    examples = ({"size": 2}, {"size": 3})


def plugin(*compositions):
    """A plugin that gives compositions."""
    return SimpleNamespace(__name__="mine", register_compositions=hookimpl(lambda: [*compositions]))


@pytest.fixture
def run(pytester):
    """Runs the contracts of some plugins of a registry in an empty folder; gives the result."""

    def give(registry, *names, words=()):
        configured = SimpleNamespace(
            pytest_configure=lambda config: config.pluginmanager.register(Contracts.of(config, names, registry))
        )
        return pytester.runpytest_inprocess("-q", "-p", "no:cacheprovider", *words, plugins=[configured])

    return give


def test_each_law_is_told_in_words(run):
    result = run(Registry([], [plugin(Mean)]), "mine")
    assert result.ret == 0
    result.stdout.fnmatch_lines(
        [
            "*kadapter *: what it gives, and the laws*",
            "plugin 'mine'",
            "  ✓ It loads, and nobody else gives its names.",
            "composition 'mean'",
            "  ✓ Without adapters it gives the backbone's last state back, bit for bit.",
            "  - If it says that it does not read the backbone's last state, it does not. (skipped: it says that *)",
            "8 laws kept, 0 broken, 1 skipped",
        ]
    )


def test_a_law_that_is_broken_is_told_with_its_reason(run):
    result = run(Registry([], [plugin(LeavesTheBackboneOut)]), "mine")
    assert result.ret == 1
    result.stdout.fnmatch_lines(
        [
            "composition 'leaves-out'",
            "  ✗ Without adapters it gives the backbone's last state back, bit for bit.",
            "*AssertionError: without features: Tensor-likes are not equal!",
            "7 laws kept, 1 broken, 1 skipped",
        ]
    )


def test_what_needs_options_says_them_itself(run):
    result = run(Registry([], [plugin(Needy, NeedyButSaysSo)]), "mine")
    assert result.ret == 1
    advice = "*Failed: say in the class attribute `examples = [[]{…}[]]` what it takes to build it: size"
    result.stdout.fnmatch_lines(["composition 'needy'", "  ✗ It says how it is tested.", advice])
    result.stdout.fnmatch_lines(["composition 'says-so' (size 2)", "composition 'says-so' (size 3)"])


def test_a_plugin_that_does_not_load_is_told_with_its_reason(run, monkeypatch):
    monkeypatch.syspath_prepend(BROKEN)
    [distribution] = metadata.distributions(path=[str(BROKEN)])
    result = run(Registry(distribution.entry_points, []), "broken_plugin")
    assert result.ret == 1
    result.stdout.fnmatch_lines(["  ✗ It loads, and nobody else gives its names.", "*ModuleNotFoundError: *"])


@pytest.mark.parametrize(
    ("name", "words", "message"),
    [
        ("no-such", (), "*--kadapter-plugin: no plugin 'no-such' is installed; there is mine (kadapter)*"),
        ("mine", (".",), "*--kadapter-plugin runs no test files; leave out *"),
    ],
)
def test_what_cannot_be_run_is_an_error_of_use(run, name, words, message):
    result = run(Registry([], [plugin(Mean)]), name, words=words)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([message])


def test_without_the_option_nothing_changes(pytester):
    pytester.makepyfile(
        """
        def test_it(pytestconfig):
            assert pytestconfig.getoption("kadapter_plugin") == []
            assert not pytestconfig.pluginmanager.has_plugin("kadapter-contracts")
        """
    )
    pytester.runpytest_inprocess("-p", "no:cacheprovider").assert_outcomes(passed=1)


@pytest.mark.slow
@pytest.mark.parametrize("name", PLUGINS)
def test_our_own_plugins_keep_every_law(name, tmp_path):
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--kadapter-plugin", name]
    done = subprocess.run(command, cwd=tmp_path, env=os.environ, capture_output=True, text=True, timeout=3000)
    assert done.returncode == 0, done.stdout
    assert " laws kept, 0 broken, " in done.stdout
