"""Plugins: where they are found, and what each gives when it is asked through its hooks."""

from __future__ import annotations

import importlib
import os
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from functools import partial
from importlib import metadata
from typing import Any, NamedTuple

import pluggy

from kadapter import hookspecs
from kadapter.errors import PluginError, printable

HOOKS = {
    "adapter_type": "register_adapter_types",
    "composition": "register_compositions",
    "task": "register_tasks",
    "source": "register_knowledge_sources",
    "knowledge": "register_knowledge",
    "backbone": "register_backbones",
    "format": "register_formats",
}
"""Kind of thing -> the hook that gives it."""

NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,39}")
"""What a plugin may call what it gives: no text that could break a table, or be a secret of the environment."""


@dataclass(frozen=True)
class Plugin:
    """A plugin: who it is, and what it gives.

    Attributes:
        name: of its entry point; of a built-in, the module's.
        distribution: the installed package that it comes from, or "unknown".
        version: of the distribution, or "unknown".
        provides: kind -> names. A kind of which it gives nothing is left out.
    """

    name: str
    distribution: str
    version: str
    provides: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"'{self.name}' ({self.distribution} {self.version})"


class Candidate(NamedTuple):
    """A plugin that has been found, and the module that it lies in; `load` gives the object that holds its hooks."""

    plugin: Plugin
    load: Callable[[], object]
    module: str


def builtin(plugin: object) -> Candidate:
    """Take a part of kadapter, an object or the dotted name of a module, as a plugin."""
    try:
        version = metadata.version("kadapter")
    except metadata.PackageNotFoundError:
        version = "unknown"
    if isinstance(plugin, str):
        return Candidate(Plugin(plugin, "kadapter", version), partial(importlib.import_module, plugin), plugin)
    name = getattr(plugin, "__name__", type(plugin).__name__)
    return Candidate(Plugin(name, "kadapter", version), lambda: plugin, type(plugin).__module__)


def installed(entry_points: Iterable[metadata.EntryPoint] | None = None) -> list[Candidate]:
    """Give the plugins among entry points (None: all installed), by distribution and name.

    `KADAPTER_PLUGINS=a,b` leaves only the entry points of these names; empty, none.
    """
    limit = os.environ.get("KADAPTER_PLUGINS")
    wanted = None if limit is None else {name.strip() for name in limit.split(",")}
    if entry_points is None:
        entry_points = metadata.entry_points(group=hookspecs.ENTRY_POINT_GROUP)
    found = [
        _candidate(entry_point)
        for entry_point in entry_points
        if entry_point.group == hookspecs.ENTRY_POINT_GROUP and (wanted is None or entry_point.name in wanted)
    ]
    return sorted(found, key=lambda candidate: (candidate.plugin.distribution, candidate.plugin.name))


def _candidate(entry_point: metadata.EntryPoint) -> Candidate:
    dist = entry_point.dist
    name, version = (dist.name, dist.version) if dist else ("unknown", "unknown")
    plugin = Plugin(printable(entry_point.name, 60), printable(name, 60), printable(version, 60))
    return Candidate(plugin, entry_point.load, entry_point.value.partition(":")[0])


def things_of(candidate: Candidate) -> list[tuple[str, Any]]:
    """Load a plugin and give (kind, thing) for everything that it gives.

    What it prints on the way goes to standard error: standard output belongs to whoever runs us.

    Raises:
        BaseException: whatever importing it or a hook raises, and what `ask` does.
    """
    with redirect_stdout(sys.stderr):
        return ask(candidate.load(), candidate.plugin.name)


def ask(holder: object, name: str) -> list[tuple[str, Any]]:
    """Call the hooks of the plugin `name`: give (kind, thing) for everything that it gives.

    Raises:
        PluginError: it marks no function, or one that is no hook, or one that gives no list of named things.
        pluggy.PluginValidationError: a hook takes arguments.
        Exception: whatever a hook raises.
    """
    # A manager of its own: what one plugin gets wrong stays with that plugin.
    manager = pluggy.PluginManager(hookspecs.hookimpl.project_name)
    manager.add_hookspecs(hookspecs)
    manager.register(holder, name)
    _check_spelling([caller.name for caller in manager.get_hookcallers(holder) or ()])
    return [
        (kind, thing)
        for kind, hook in HOOKS.items()
        for implementation in getattr(manager.hook, hook).get_hookimpls()
        for thing in _things(hook, implementation.function())
    ]


def _check_spelling(marked: list[str]) -> None:
    hooks = ", ".join(HOOKS.values())
    if not marked:
        raise PluginError(f"no function is marked with hookimpl; the hooks are {hooks}")
    for name in marked:
        if name not in HOOKS.values():
            raise PluginError(f"{name} is marked with hookimpl but is not a hook; the hooks are {hooks}")


def _things(hook: str, given: Any) -> list[Any]:
    if not isinstance(given, list):
        raise PluginError(f"{hook} gives a {type(given).__name__}; it must give a list")
    for thing in given:
        _check_name(hook, getattr(thing, "name", None), type(thing).__name__)
    return given


def _check_name(hook: str, name: Any, kind: str) -> None:
    if isinstance(name, str) and NAME.fullmatch(name):
        return
    # No more than its beginning is shown: it may hold anything.
    shown = f"'{printable(name, 8)}'" if isinstance(name, str) else f"a {type(name).__name__}"
    raise PluginError(
        f"{hook} gives a {printable(kind, 40)} whose name is {shown}; "
        f"set it to at most 40 lower-case letters, digits, '-', '_' and '.'"
    )
