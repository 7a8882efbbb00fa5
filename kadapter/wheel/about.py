"""What is said of a package: its name, version, licence, and what it needs; checked."""

from __future__ import annotations

import keyword
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import metadata
from typing import Any

from packaging.utils import InvalidName, canonicalize_name
from packaging.version import InvalidVersion, Version

from kadapter.errors import ConfigError, StorageError, printable
from kadapter.naming import check_name
from kadapter.plugins import NAME, Plugin
from kadapter.registry import Registry
from kadapter.storage import types_in
from kadapter.wheel.saved import Saved


@dataclass(frozen=True)
class About:
    """What is said of a package, checked: `name` is that of the knowledge."""

    distribution: str
    version: str
    name: str
    licence: str
    description: str
    requires: tuple[str, ...]

    @property
    def package(self) -> str:
        """The Python package that is imported."""
        return self.distribution.replace("-", "_")


def about(
    saved: Sequence[Saved],
    name: str,
    knowledge: str | None,
    version: str,
    licence: str | None,
    description: str | None,
    registry: Registry,
) -> About:
    """Give what is said of a package of adapters that belong together. Arguments and errors are those of `pack`."""
    distribution, requires = _distribution(name), _requires(saved, registry)
    if distribution in {requirement.partition(">=")[0] for requirement in requires}:
        raise ConfigError(f"'{name}' is the name of what the package needs itself; rename it, for instance {name}-mine")
    _check_free(distribution)
    return About(
        distribution,
        _version(version),
        _knowledge_name(knowledge or str(saved[0].said["name"]), name, registry),
        _licence(licence, saved),
        _one_line(description or _described(saved)),
        requires,
    )


def _distribution(name: str) -> str:
    try:
        distribution = str(canonicalize_name(name, validate=True))
    except InvalidName as error:
        raise ConfigError(
            f"'{name}' cannot name a distribution; use letters, digits and '-', for instance kadapter-geo"
        ) from error
    package = distribution.replace("-", "_")
    if not package.isidentifier() or keyword.iskeyword(package):
        raise ConfigError(f"'{name}' would be the Python package {package}, which cannot be imported; rename it")
    owners = {canonicalize_name(owner) for owner in metadata.packages_distributions().get(package, ())}
    if package in sys.stdlib_module_names or owners - {distribution}:
        whose = ", ".join(sorted(owners)) or "Python itself"
        raise ConfigError(f"'{name}' would be the Python package {package}, which is one of {whose}; rename it")
    return distribution


def _check_free(distribution: str) -> None:
    try:
        installed = metadata.distribution(distribution)
    except metadata.PackageNotFoundError:
        return
    if not installed.entry_points.select(group="kadapter"):
        raise ConfigError(
            f"'{distribution}' is installed already and is no plugin of kadapter; rename yours, for instance "
            f"kadapter-{distribution}"
        )


def _version(version: str) -> str:
    try:
        return str(Version(version))
    except InvalidVersion as error:
        raise ConfigError(f"'{version}' cannot be a version; write it as 0.1.0") from error


def _knowledge_name(name: str, distribution: str, registry: Registry) -> str:
    check_name(name)
    if not NAME.fullmatch(name):
        raise ConfigError(f"knowledge '{name}' has too long a name; choose one of at most 40 letters by --knowledge")
    for plugin in registry.plugins:
        kinds = [kind for kind, names in plugin.provides.items() if name in names]
        if kinds and plugin.distribution == "kadapter":
            raise ConfigError(
                f"'{name}' is the name of a built-in {kinds[0].replace('_', ' ')}; say another --knowledge"
            )
        if "knowledge" in kinds and canonicalize_name(plugin.distribution) != canonicalize_name(distribution):
            raise ConfigError(
                f"knowledge '{name}' is that of {plugin.distribution} {plugin.version}, and no two packages may give "
                f"the same name; say another --knowledge"
            )
    return name


def _licence(said: str | None, saved: Sequence[Saved]) -> str:
    licences = list(dict.fromkeys(one.licence for one in saved if one.licence))
    licence = _one_line(said or "; ".join(licences))
    if not licence:
        raise ConfigError("nobody says under which licence the weights stand; say --licence, an SPDX name or any text")
    return licence


def _one_line(text: str) -> str:
    return printable(" ".join(text.split()).removesuffix("."), 500)


def _described(saved: Sequence[Saved]) -> str:
    source = saved[0].recipe.source.get("name") if saved[0].recipe else None
    return f"Knowledge '{saved[0].said['name']}': a {saved[0].kind}" + (f" trained on '{source}'" if source else "")


def _requires(saved: Sequence[Saved], registry: Registry) -> tuple[str, ...]:
    """Give the distributions that provide the types, those that are held included, in versions that will do."""
    lowest = {"kadapter": Version(metadata.version("kadapter"))}
    newest = dict(lowest)
    for one in saved:
        types = types_in(one.folder, one.said)
        for kind in sorted(types.keys() | _kinds(one.said["adapter"], registry)):
            plugin = registry.provider("adapter_type", kind)
            name, here = canonicalize_name(plugin.distribution), _installed(plugin, kind)
            was = _installed(replace(plugin, version=types[kind]["version"]), kind) if kind in types else here
            # The package is written as this kadapter reads it.
            lowest[name] = lowest[name] if name == "kadapter" else min(was, lowest.get(name, was))
            newest[name] = max(was, here, newest.get(name, here))
    return tuple(f"{name}>={lowest[name].public},<{_next(newest[name])}" for name in sorted(lowest))


def _installed(plugin: Plugin, kind: str) -> Version:
    try:
        return Version(plugin.version)
    except InvalidVersion as error:
        raise StorageError(
            f"adapter type '{kind}' comes from {plugin}, which is no installed distribution that a package could "
            f"require; install it as one"
        ) from error


def _kinds(options: Any, registry: Registry) -> set[str]:
    """Find the adapter types that options name, however deep."""
    if not isinstance(options, Mapping):
        return set()
    own = {options["type"]} & set(registry.adapter_types) if isinstance(options.get("type"), str) else set()
    return own.union(*(_kinds(value, registry) for value in options.values()))


def _next(version: Version) -> str:
    """Give the next version that may break what works: of 0.1.4 it is 0.2, of 2.3 it is 3."""
    return f"{version.major + 1}" if version.major else f"0.{version.minor + 1}"
