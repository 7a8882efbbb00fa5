"""What is installed, as the command line lists it: remembered for as long as nothing that it was read from changes."""

from __future__ import annotations

import hashlib
import sys
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from kadapter.errors import StorageError
from kadapter.files import cache_folder, read_json, write_json
from kadapter.plugins import Candidate, builtin, installed
from kadapter.registry import BUILTINS, default_registry

Stamps = dict[str, list[int] | None]
"""Path -> when it was last changed, in nanoseconds, and its size; None where there is nothing."""


def listing(refresh: bool = False) -> dict[str, Any]:
    """Give what plugins provide, the licences of backbones, and what failed, without loading what has not changed.

    What is remembered holds while the interpreter, the plugins and their versions, and every file and folder that
    they were loaded from are what they were, by time and size. Where a plugin failed nothing is remembered: why may
    lie outside of all files. `refresh` loads anew.
    """
    place = cache_folder() / f"plugins-{hashlib.sha256(sys.prefix.encode()).hexdigest()[:16]}.json"
    asked = _asked([*map(builtin, BUILTINS), *installed()])
    if not refresh and (known := _remembered(place, asked)) is not None:
        return known
    started = time.time_ns()
    found = _loaded()
    if not found["failures"]:
        _remember(place, asked, found, started)
    return found


def _loaded() -> dict[str, Any]:
    registry = default_registry()
    provides = [
        {"kind": kind, "name": name, "distribution": plugin.distribution, "version": plugin.version}
        for plugin in registry.plugins
        for kind, names in plugin.provides.items()
        for name in names
    ]
    licences = {name: alias.licence for name, alias in registry.backbones.items()}
    return {"provides": provides, "licences": licences, "failures": [asdict(f) for f in registry.failures]}


def _asked(candidates: Iterable[Candidate]) -> dict[str, Any]:
    """Say what is to be listed: by which interpreter, from where, of which plugins and versions."""
    plugins = [[c.module, c.plugin.name, c.plugin.distribution, c.plugin.version] for c in candidates]
    return {"python": sys.version, "path": sys.path, "plugins": plugins}


def _remembered(place: Path, asked: dict[str, Any]) -> dict[str, Any] | None:
    try:
        known = read_json(place, "list of plugins")
        same = known["asked"] == asked and known["stamps"] == _stamps(known["stamps"])
        return known["found"] if same else None
    except (StorageError, KeyError, TypeError):
        return None


def _remember(place: Path, asked: dict[str, Any], found: dict[str, Any], started: int) -> None:
    stamps = _stamps({*sys.path, *_imported(), *_of_packages(plugin[0] for plugin in asked["plugins"])})
    changed = any(stamp and stamp[0] >= started and Path(path).is_file() for path, stamp in stamps.items())
    if not changed:
        with suppress(StorageError):
            write_json(place, {"asked": asked, "stamps": stamps, "found": found})


def _stamps(paths: Iterable[str]) -> Stamps:
    return {path: _stamp(Path(path)) for path in paths}


def _stamp(path: Path) -> list[int] | None:
    try:
        told = path.stat()
    except OSError:
        return None
    return [told.st_mtime_ns, told.st_size]


def _imported() -> set[str]:
    """Give the files of all modules: what a plugin imports decides what it gives."""
    return {file for module in list(sys.modules.values()) if (file := getattr(module, "__file__", None))}


def _of_packages(modules: Iterable[str]) -> set[str]:
    """Give all that lies in the packages of these modules: a plugin may look for files, and find another one later."""
    specs = [find_spec(module.partition(".")[0]) for module in modules]
    folders = {folder for spec in specs if spec for folder in spec.submodule_search_locations or ()}
    inside = (path for folder in folders for path in Path(folder).rglob("*") if "__pycache__" not in path.parts)
    return folders | set(map(str, inside))
