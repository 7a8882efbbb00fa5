"""What the built-ins and the installed plugins give, by kind and by name.

Nothing is imported when a registry is made; the first look-up loads everything, once. A plugin that fails is
left out as a whole, kept in `failures` and warned about; everything else works.
"""

from __future__ import annotations

import difflib
import functools
import os
import threading
import warnings
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import metadata
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from kadapter.errors import ConflictError, PluginError, UnknownNameError, printable
from kadapter.plugins import HOOKS, Candidate, Plugin, builtin, installed, things_of

if TYPE_CHECKING:
    from kadapter.adapter import Adapter
    from kadapter.backbone import BackboneAlias
    from kadapter.composition import Composition
    from kadapter.formats import Format
    from kadapter.knowledge import KnowledgeModule, KnowledgeSource
    from kadapter.task import Task

__all__ = ["BUILTINS", "Failure", "Plugin", "PluginWarning", "Registry", "default_registry"]


BUILTINS = ("kadapter.builtin",)
"""What is asked first: modules of kadapter itself."""


class PluginWarning(UserWarning):
    """A plugin, or a name that it gives, cannot be used. The rest works."""


@dataclass(frozen=True)
class Failure:
    """Why a plugin, or a name that it gives, cannot be used.

    Attributes:
        plugin: its name, as in `Plugin`; so are `distribution` and `version`.
        reason: class and message of the error, in one line.
    """

    plugin: str
    distribution: str
    version: str
    reason: str

    def __str__(self) -> str:
        return f"'{self.plugin}' ({self.distribution} {self.version}): {self.reason}"


class Registry:
    """Gives things by kind and name, from the built-ins and from the entry points of the group `kadapter`.

    A mapping shows the names that can be used. Asking it for another one raises UnknownNameError, or
    ConflictError when the name is given more than once. `KADAPTER_PLUGINS=a,b` loads only these entry points
    (empty: none); with `KADAPTER_STRICT=1` a failure raises PluginError at the first look-up.
    """

    def __init__(
        self,
        entry_points: Iterable[metadata.EntryPoint] | None = None,
        builtins: Sequence[object] = BUILTINS,
    ) -> None:
        """Take entry points (None: the installed ones) and built-ins: plugins, or dotted names of modules."""
        self._entry_points = None if entry_points is None else tuple(entry_points)
        self._builtins = tuple(builtins)
        self._lock = threading.RLock()
        self._loading = False
        self._catalogue: _Catalogue | None = None

    @property
    def adapter_types(self) -> Mapping[str, type[Adapter]]:
        """Name -> type of adapter."""
        return self._names("adapter_type")

    @property
    def compositions(self) -> Mapping[str, type[Composition]]:
        """Name -> composition."""
        return self._names("composition")

    @property
    def tasks(self) -> Mapping[str, type[Task]]:
        """Name -> task."""
        return self._names("task")

    @property
    def sources(self) -> Mapping[str, type[KnowledgeSource]]:
        """Name -> source of knowledge."""
        return self._names("source")

    @property
    def knowledge(self) -> Mapping[str, KnowledgeModule]:
        """Name -> knowledge module."""
        return self._names("knowledge")

    @property
    def backbones(self) -> Mapping[str, BackboneAlias]:
        """Short name -> backbone."""
        return self._names("backbone")

    @property
    def formats(self) -> Mapping[str, type[Format]]:
        """Name -> foreign format."""
        return self._names("format")

    @property
    def plugins(self) -> tuple[Plugin, ...]:
        """The plugins that work: the built-ins, then the others by distribution and name."""
        return tuple(self._loaded().plugins)

    @property
    def failures(self) -> tuple[Failure, ...]:
        """What cannot be used: plugins that failed, then names given more than once."""
        return tuple(self._loaded().failures)

    def get(self, kind: str, name: str) -> Any:
        """Give the thing of this kind (a key of `HOOKS`) and name. Raises as the mappings do."""
        return self._names(kind)[name]

    def provider(self, kind: str, name: str) -> Plugin:
        """Say which plugin gives that name. Raises as the mappings do."""
        self.get(kind, name)
        return self._loaded().offers[kind][name][0].plugin

    def _names(self, kind: str) -> Mapping[str, Any]:
        if kind not in HOOKS:
            raise UnknownNameError(f"there is no kind '{kind}'; the kinds are {', '.join(HOOKS)}")
        return MappingProxyType(_Names(kind, self._loaded()))

    def _loaded(self) -> _Catalogue:
        with self._lock:
            if self._loading:
                raise PluginError("the plugins are still loading; look names up later than in a hook")
            if self._catalogue is None:
                self._loading = True
                try:
                    self._catalogue = _load(map(builtin, self._builtins), installed(self._entry_points))
                finally:
                    self._loading = False
            return self._catalogue


@functools.cache
def default_registry() -> Registry:
    """Give the registry of the installed plugins, always the same one."""
    return Registry()


class _Offer(NamedTuple):
    plugin: Plugin
    thing: Any


class _Catalogue:
    """What has been loaded: the plugins that work, what failed, and kind -> name -> who gives what."""

    def __init__(self) -> None:
        self.plugins: list[Plugin] = []
        self.failures: list[Failure] = []
        self.offers: dict[str, dict[str, list[_Offer]]] = {kind: {} for kind in HOOKS}

    def admit(self, candidate: Candidate, reserved: Container[tuple[str, str]] = ()) -> None:
        """Load a plugin, which may give none of the reserved (kind, name)."""
        try:
            things = things_of(candidate)
            _refuse(reserved, things)
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            # One that ends the process, or a panic of compiled code, is no more than a plugin that fails.
            self.fail(candidate.plugin, error)
        else:
            self.add(candidate.plugin, things)

    def add(self, plugin: Plugin, things: Iterable[tuple[str, Any]]) -> None:
        """Put each (kind, thing) of a plugin under its kind and name."""
        provides: dict[str, tuple[str, ...]] = {}
        plugin = replace(plugin, provides=provides)
        self.plugins.append(plugin)
        for kind, thing in things:
            provides[kind] = (*provides.get(kind, ()), thing.name)
            self.offers[kind].setdefault(thing.name, []).append(_Offer(plugin, thing))

    def fail(self, plugin: Plugin, error: BaseException) -> None:
        """Keep a failure and warn of it; raise PluginError instead when `KADAPTER_STRICT=1`."""
        reason = printable(" ".join(f"{type(error).__name__}: {_said(error)}".split()), 600)
        failure = Failure(plugin.name, plugin.distribution, plugin.version, reason)
        if os.environ.get("KADAPTER_STRICT") == "1":
            raise PluginError(f"plugin {failure}") from error
        warnings.warn(f"plugin {failure}", PluginWarning, stacklevel=2)
        self.failures.append(failure)


def _said(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:
        return "says nothing, since its message cannot be made"


def _load(builtins: Iterable[Candidate], others: Iterable[Candidate]) -> _Catalogue:
    catalogue = _Catalogue()
    for candidate in builtins:
        catalogue.admit(candidate)
    reserved = {(kind, name) for kind, names in catalogue.offers.items() for name in names}
    for candidate in others:
        catalogue.admit(candidate, reserved)
    for kind, names in catalogue.offers.items():
        for name, offers in names.items():
            if len(offers) > 1:
                catalogue.fail(offers[-1].plugin, _conflict(kind, name, offers))
    return catalogue


class _Names(dict[str, Any]):
    """The names of one kind that can be used, sorted; it explains why another one is missing."""

    def __init__(self, kind: str, catalogue: _Catalogue) -> None:
        self.kind, self.catalogue = kind, catalogue
        offers = sorted(catalogue.offers[kind].items())
        super().__init__((name, given[0].thing) for name, given in offers if len(given) == 1)

    def __missing__(self, name: str) -> Any:
        if offers := self.catalogue.offers[self.kind].get(name):
            raise _conflict(self.kind, name, offers)
        raise _unknown(self.kind, name, list(self), self.catalogue.failures)


def _refuse(reserved: Container[tuple[str, str]], things: Iterable[tuple[str, Any]]) -> None:
    for kind, thing in things:
        if (kind, thing.name) in reserved:
            raise ConflictError(f"{_noun(kind)} '{thing.name}' is built in; the plugin must rename its own")


def _conflict(kind: str, name: str, offers: Sequence[_Offer]) -> ConflictError:
    givers = " and ".join(str(offer.plugin) for offer in offers)
    return ConflictError(
        f"{_noun(kind)} '{name}' is given by the entry points {givers}; "
        f"uninstall one, or name the entry points to load in KADAPTER_PLUGINS"
    )


def _unknown(kind: str, name: str, there: list[str], failures: Sequence[Failure]) -> UnknownNameError:
    near = difflib.get_close_matches(name, there, n=1)
    hint = f"; did you mean '{near[0]}'?" if near else ""
    failed = f"; what failed: {'; '.join(map(str, failures))}" if failures else ""
    known = ", ".join(there) or "none"
    return UnknownNameError(f"there is no {_noun(kind)} '{name}'; there is {known}{hint}{failed}")


def _noun(kind: str) -> str:
    return kind.replace("_", " ")
