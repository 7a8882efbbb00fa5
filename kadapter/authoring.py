"""A new plugin: a folder that installs, passes its tests at once, and has one place to fill in."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from importlib import metadata
from pathlib import Path
from string import Template
from typing import NamedTuple

from kadapter.errors import ConfigError, KadapterError, StorageError
from kadapter.files import folder_written_whole
from kadapter.naming import check_name
from kadapter.registry import Registry, default_registry


class _Kind(NamedTuple):
    """What a new plugin can give.

    Attributes:
        of: the kind, as registries call it.
        title: what it is, for the first line of everything.
        ending: of the name of the class.
        needs: what it imports beside kadapter.
    """

    of: str
    title: str
    ending: str
    needs: tuple[str, ...]


KINDS: Mapping[str, _Kind] = {
    "type": _Kind("adapter_type", "The adapter type", "Adapter", ("torch",)),
    "task": _Kind("task", "The task", "Task", ("datasets", "torch")),
    "source": _Kind("source", "The source", "Source", ("datasets",)),
    "knowledge": _Kind("knowledge", "The knowledge", "", ()),
}
"""Kind, as the command line says it -> what of it differs."""


def new_plugin(
    distribution: str,
    kind: str = "type",
    name: str | None = None,
    output: Path | str | None = None,
    registry: Registry | None = None,
) -> Path:
    """Write the folder of a new plugin and give its path.

    Args:
        distribution: what `pip install` will call it: `kadapter-` and a name.
        kind: what it gives, of `KINDS`.
        name: of that; by default the distribution's, without `kadapter-`.
        output: a new or empty folder; by default one named as the distribution is, here.
        registry: where the name must still be free; by default, what is installed.

    Raises:
        ConfigError: a name cannot be one, or is taken.
        StorageError: the folder holds something already, or cannot be written.
    """
    _check_distribution(distribution)
    plugin = distribution.removeprefix("kadapter-")
    name = plugin if name is None else name
    _check_name(kind, name)
    _check_free_name(kind, name, distribution, registry or default_registry())
    folder = Path(distribution if output is None else output)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise StorageError(f"{folder} is there already, and nothing is overwritten; choose another --output")
    with folder_written_whole(folder) as aside:
        for place, text in _files(distribution, kind, name):
            (aside / place).parent.mkdir(parents=True, exist_ok=True)
            (aside / place).write_text(text, encoding="utf-8")
    return folder


def module_file(folder: Path, distribution: str) -> Path:
    """Give the file of a new plugin that is to be filled in."""
    return folder / "src" / distribution.replace("-", "_") / "__init__.py"


def _check_distribution(distribution: str) -> None:
    if not re.fullmatch(r"kadapter(-[a-z0-9]+)+", distribution):
        raise ConfigError(
            f"'{distribution}' cannot name a plugin: begin with kadapter- and use lower-case letters, digits and '-', "
            f"for instance kadapter-mine"
        )


def _check_name(kind: str, name: str) -> None:
    if kind not in KINDS:
        raise ConfigError(f"there is no template for '{kind}'; there is {', '.join(KINDS)}")
    check_name(name)
    if not name[0].isalpha() or len(name) > 40:
        raise ConfigError(f"'{name}' cannot name a class: begin with a letter, and use 40 characters or fewer")


def _check_free_name(kind: str, name: str, distribution: str, registry: Registry) -> None:
    """Raise ConfigError if another distribution gives that name already."""
    try:
        giver = registry.provider(KINDS[kind].of, name)
    except KadapterError:
        return
    if giver.distribution != distribution:
        raise ConfigError(
            f"{KINDS[kind].of.replace('_', ' ')} '{name}' is given by {giver} already; choose another name: "
            f"--{kind} NAME"
        )


def _files(distribution: str, kind: str, name: str) -> Iterator[tuple[str, str]]:
    """Give the place of each file in the folder, and its text."""
    module, said = distribution.replace("-", "_"), _said(distribution, kind, name)
    own = _TEMPLATES / kind
    said["use"] = _filled(own / "use.md.template", said).strip()
    for file in ("pyproject.toml", "README.md"):
        yield file, _filled(_TEMPLATES / f"{file}.template", said)
    yield f"src/{module}/py.typed", ""
    for file, place in _PLACES.items():
        if (own / file).is_file():
            yield place.format(module=module), _filled(own / file, said)


_TEMPLATES = Path(__file__).with_name("templates")

_PLACES = {
    "module.py.template": "src/{module}/__init__.py",
    "sample.csv.template": "src/{module}/sample.csv",
    "test.py.template": "tests/test_plugin.py",
    "recipe.yaml.template": "recipe.yaml",
}
"""File of a kind's templates -> where it goes."""


def _said(distribution: str, kind: str, name: str) -> dict[str, str]:
    """Give what the templates ask for."""
    words = re.split(r"[-_]", name)
    camel = "".join(word.capitalize() for word in words).removesuffix(KINDS[kind].ending) + KINDS[kind].ending
    return {
        "distribution": distribution,
        "plugin": distribution.removeprefix("kadapter-"),
        "module": distribution.replace("-", "_"),
        "thing": name,
        "name": "_".join(words).upper() if kind == "knowledge" else camel,
        "title": f"{KINDS[kind].title} {name}",
        "dependencies": ", ".join(f'"{needed}"' for needed in _requirements(KINDS[kind].needs)),
    }


def _requirements(needs: tuple[str, ...]) -> Iterator[str]:
    """Say which kadapter fits: this one, up to the next that may break; and what else it needs, as kadapter does."""
    major, minor, *_ = metadata.version("kadapter").split(".")
    following = f"{major}.{int(minor) + 1}" if major == "0" else f"{int(major) + 1}.0"
    yield f"kadapter>={major}.{minor},<{following}"
    ours = {re.split(r"[^\w-]", said)[0]: said for said in metadata.requires("kadapter") or () if ";" not in said}
    yield from (ours.get(needed, needed) for needed in needs)


def _filled(template: Path, said: Mapping[str, str]) -> str:
    return Template(template.read_text(encoding="utf-8")).substitute(said)
