"""Contracts for all that an installed plugin gives, as pytest collects them: `pytest --kadapter-plugin NAME`."""

from __future__ import annotations

import inspect
import re
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import MISSING, fields
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

import pytest

from kadapter.errors import ConflictError, KadapterError
from kadapter.registry import Failure, Plugin, PluginWarning, Registry, default_registry
from kadapter.testing.adapter_contract import AdapterContract
from kadapter.testing.composition_contract import CompositionContract
from kadapter.testing.knowledge_contract import KnowledgeContract
from kadapter.testing.report import Report
from kadapter.testing.source_contract import SourceContract, sample_of
from kadapter.testing.task_contract import TaskContract, in_every_split

Contract = tuple[str, type, Mapping[str, Any]]
"""What is held to a contract, in words; the contract; and what a subclass of it says."""

_Held = Callable[[Any, Mapping[str, Any], int], tuple[type, Mapping[str, Any]]]


class PluginContract:
    """Holds a plugin to what comes before everything else.

    Attributes:
        failures: why it, or a name that it gives, cannot be used.
    """

    failures: ClassVar[Sequence[str]] = ()

    def test_it_loads(self) -> None:
        """It loads, and nobody else gives its names."""
        assert not self.failures, "; ".join(self.failures)


class ExamplesContract:
    """Holds what cannot be built without being told how to saying it.

    Attributes:
        advice: what to add.
    """

    advice: ClassVar[str] = ""

    def test_it_says_how_it_is_tested(self) -> None:
        """It says how it is tested."""
        pytest.fail(self.advice, pytrace=False)


class Contracts:
    """Takes the place of test files: pytest collects a contract for everything that some plugins give."""

    def __init__(self, plugins: Sequence[Plugin | Failure], registry: Registry) -> None:
        self.plugins, self.registry = plugins, registry
        self.report = Report()

    @classmethod
    def of(cls, config: pytest.Config, names: Iterable[str], registry: Registry | None = None) -> Contracts:
        """Find the plugins of these names, and let pytest collect them alone.

        Raises:
            pytest.UsageError: one is not installed, or tests were asked for by path as well.
        """
        if config.args_source is pytest.Config.ArgsSource.ARGS:
            raise pytest.UsageError(f"--kadapter-plugin runs no test files; leave out {' '.join(config.args)}")
        config.args[:] = [str(config.rootpath)]
        registry = registry or default_registry()
        return cls([plugin for name in names for plugin in _found(name, registry)], registry)

    def pytest_collect_directory(self, path: Path, parent: pytest.Collector) -> pytest.Collector:
        """Collect contracts instead of files."""
        return _Folder.from_parent(parent, path=path, contracts=self)

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Note beside each test what it holds to which law."""
        for item in items:
            function = item.function  # type: ignore[attr-defined]
            law = (inspect.getdoc(function) or function.__name__).splitlines()[0]
            item.user_properties.append(("kadapter", [*item.cls.held, law]))  # type: ignore[attr-defined]

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take the outcome of a test into the report."""
        self.report.add(report)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Print the report."""
        self.report.write(terminalreporter)

    def classes(self, folder: Path) -> Iterator[tuple[str, type]]:
        """Give a subclass of a contract for each thing and each of its examples, and what it is called.

        Args:
            folder: where the contract may find nothing, and makes nothing.
        """
        for plugin in self.plugins:
            of = f"{plugin.distribution} {plugin.version}"
            for number, (thing, contract, said) in enumerate(self._contracts(plugin)):
                body = {**said, "registry": self.registry, "held": (of, thing), "__doc__": f"{thing} of {of}."}
                name = re.sub(r"[^a-z0-9]+", "-", f"{number} {thing}".lower()).strip("-")
                yield name, type("Held", (contract,), body)

    def _contracts(self, plugin: Plugin | Failure) -> Iterator[Contract]:
        if isinstance(plugin, Failure):
            yield f"plugin '{plugin.plugin}'", PluginContract, {"failures": (plugin.reason,)}
            return
        yield f"plugin '{plugin.name}'", PluginContract, {}
        for kind, held in _KINDS.items():
            for name in plugin.provides.get(kind, ()):
                # One that others give as well cannot be used; the plugin's failure says so.
                with suppress(ConflictError):
                    yield from _held(kind, self.registry.get(kind, name), held)


class _Folder(pytest.Directory):
    """Holds one module, which is made of contracts."""

    def __init__(self, contracts: Contracts, **options: Any) -> None:
        super().__init__(**options)
        self.contracts = contracts

    def collect(self) -> Iterator[pytest.Collector]:
        """Give the module."""
        yield _Module.from_parent(self, path=self.path, nodeid="kadapter", contracts=self.contracts)


class _Module(pytest.Module):
    """A module that is not in a file: its classes are contracts."""

    def __init__(self, contracts: Contracts, **options: Any) -> None:
        super().__init__(**options)
        self.obj = ModuleType("kadapter_contracts")
        vars(self.obj).update(contracts.classes(self.path))

    def collect(self) -> Iterator[pytest.Collector]:
        """Give the classes."""
        for name, value in vars(self.obj).items():
            if hasattr(value, "held"):
                yield _Class.from_parent(self, name=name, obj=value)


class _Class(pytest.Class):
    """A contract, whatever the project around calls its tests."""

    def funcnamefilter(self, name: str) -> bool:
        """Say whether a method is a law."""
        return name.startswith("test_")


def _found(name: str, registry: Registry) -> list[Plugin | Failure]:
    """Give the plugins of an entry point or of a distribution, and what of them failed."""
    with warnings.catch_warnings():
        # They are in the report.
        warnings.simplefilter("ignore", PluginWarning)
        try:
            there, failed = registry.plugins, registry.failures
        except KadapterError as error:
            raise pytest.UsageError(str(error)) from error
    wanted = _canonical(name)
    named = [(plugin.name, plugin) for plugin in there] + [(failure.plugin, failure) for failure in failed]
    found = [plugin for own, plugin in named if wanted in (_canonical(own), _canonical(plugin.distribution))]
    if not found:
        known = ", ".join(sorted({f"{own} ({plugin.distribution})" for own, plugin in named}))
        raise pytest.UsageError(f"--kadapter-plugin: no plugin '{name}' is installed; there is {known}")
    return found


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _held(kind: str, thing: Any, held: _Held) -> Iterator[Contract]:
    """Give a contract for each example of a thing, or advice to give one."""
    title = f"{kind.replace('_', ' ')} '{thing.name}'"
    for number, example in enumerate(list(getattr(thing, "examples", ())) or [{}]):
        if missing := _missing(kind, thing, example):
            yield title, ExamplesContract, {"advice": f"{_ADVICE}: {missing}"}
        else:
            contract, said = held(thing, example, number)
            yield f"{title}{_words(example)}", contract, said


_ADVICE = "say in the class attribute `examples = [{…}]` what it takes to build it"


def _missing(kind: str, thing: Any, example: Mapping[str, Any]) -> str:
    """Name what an example of a thing lacks."""
    wanted = {"task": ["rows"], "source": ["path"] if getattr(thing, "needs_path", False) else []}.get(kind, [])
    options = fields(thing.Config) if hasattr(thing, "Config") else ()
    wanted += [option.name for option in options if option.default is option.default_factory is MISSING]
    return ", ".join(name for name in wanted if name not in example)


def _adapter_type(kind: Any, example: Mapping[str, Any], number: int) -> tuple[type, Mapping[str, Any]]:
    return AdapterContract, {"options": {"type": kind.name, **example}}


def _composition(kind: Any, example: Mapping[str, Any], number: int) -> tuple[type, Mapping[str, Any]]:
    return CompositionContract, {"options": {"name": kind.name, **example}}


def _task(kind: Any, example: Mapping[str, Any], number: int) -> tuple[type, Mapping[str, Any]]:
    options = {name: value for name, value in example.items() if name != "rows"}
    return TaskContract, {
        "options": {"name": kind.name, **options},
        "rows": lambda self: in_every_split(example["rows"]),
    }


def _source(kind: Any, example: Mapping[str, Any], number: int) -> tuple[type, Mapping[str, Any]]:
    said = {"options": {"name": kind.name}, "task": example.get("task")}
    return SourceContract, {**said, "sample": lambda self, folder: sample_of(kind, folder, number)}


def _knowledge(module: Any, example: Mapping[str, Any], number: int) -> tuple[type, Mapping[str, Any]]:
    return KnowledgeContract, {"name": module.name}


_KINDS: Mapping[str, _Held] = {
    "adapter_type": _adapter_type,
    "composition": _composition,
    "task": _task,
    "source": _source,
    "knowledge": _knowledge,
}
"""Kind of thing -> gives the contract, and what a subclass of it says, for a thing and one of its examples."""


def _words(example: Mapping[str, Any]) -> str:
    """Say options in a few words, but not the data."""
    said = ", ".join(f"{name} {value}" for name, value in example.items() if name not in ("rows", "path", "task"))
    return f" ({said if len(said) < 70 else said[:69] + '…'})" if said else ""
