"""Options from YAML, JSON or the command line become frozen dataclasses, strictly."""

import difflib
import re
import types
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, Field, dataclass, fields
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import yaml

from kadapter.errors import ConfigError

T = TypeVar("T")


@dataclass(frozen=True)
class NoOptions:
    """Nothing to choose."""


def make_config(kind: type[T], options: Mapping[str, Any], owner: str) -> T:
    """Give `kind(**options)`, lists turned into tuples, every name and type checked.

    `owner` begins the message of an error, for instance "adapter 'k-adapter'".

    Raises:
        ConfigError: an option that `kind` does not have or that is missing, or a value of another type than it
            declares.
    """
    if not isinstance(options, Mapping):
        raise ConfigError(f"{owner} is {options!r}; it must be a mapping of options to values")
    known: dict[str, Field[Any]] = {option.name: option for option in fields(kind)}  # type: ignore[arg-type]
    hints = get_type_hints(kind)
    values = {name: _frozen(value) for name, value in options.items()}
    for name, value in values.items():
        if name not in known:
            raise ConfigError(_unknown_option(str(name), list(known), owner))
        if not _fits(value, hints[name]):
            raise ConfigError(f"{owner}: option '{name}' is {options[name]!r}; it must be {_said(hints[name])}")
    for name, option in known.items():
        if name not in values and option.default is option.default_factory is MISSING:
            raise ConfigError(f"{owner} lacks option '{name}'; it has {', '.join(known)}")
    return kind(**values)


def _unknown_option(name: str, known: list[str], owner: str) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"; did you mean '{near[0]}'?" if near else ""
    return f"{owner} has no option '{name}'; it has {', '.join(known) or 'none'}{hint}"


def _frozen(value: Any) -> Any:
    return tuple(_frozen(item) for item in value) if isinstance(value, list) else value


def _fits(value: Any, hint: Any) -> bool:
    origin, arguments = get_origin(hint), get_args(hint)
    if hint is Any:
        return True
    if origin is Literal:
        return value in arguments
    if origin in (Union, types.UnionType):
        return any(_fits(value, option) for option in arguments)
    if origin is tuple:
        return isinstance(value, tuple) and all(_fits(item, arguments[0]) for item in value)
    if hint in (int, float):
        return isinstance(value, (int, hint)) and not isinstance(value, bool)
    return isinstance(value, origin or hint)


def _said(hint: Any) -> str:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Literal:
        return " or ".join(map(repr, arguments))
    if origin in (Union, types.UnionType):
        return " or ".join(map(_said, arguments))
    if origin is tuple:
        return f"list of {_said(arguments[0])}"
    return {type(None): "null", Mapping: "mapping"}.get(origin or hint, getattr(hint, "__name__", str(hint)))


class _Loader(yaml.SafeLoader):
    """YAML in which 3e-4 is a number; YAML 1.1 wants 3.0e-4 and takes anything shorter for a text."""


class _Dumper(yaml.SafeDumper):
    """Writes what `_Loader` reads: a text that looks like 3e-4 is put in quotes."""


for _side in (_Loader, _Dumper):
    _side.add_implicit_resolver(
        "tag:yaml.org,2002:float", re.compile(r"[-+]?\d+(\.\d*)?[eE][-+]?\d+$"), list("-+0123456789")
    )


def write_yaml(value: Any) -> str:
    """Give the YAML text that `read_yaml` turns into `value` again, keys in the order given."""
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True)


def read_yaml(text: str, owner: str) -> Any:
    """Give the value of a YAML text; `owner` begins the message of an error.

    Raises:
        ConfigError: it is not YAML.
    """
    try:
        return yaml.load(text, _Loader)
    except (yaml.YAMLError, ValueError) as error:
        raise ConfigError(f"{owner} is not YAML: {' '.join(str(error).split())}") from error


def read_yaml_file(path: Path | str, owner: str) -> Any:
    """Give the value of a YAML file; `owner` and the path begin the message of an error.

    Raises:
        ConfigError: it cannot be read or is not YAML.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise ConfigError(f"cannot read {owner} {path}: {reason}") from error
    return read_yaml(text, f"{owner} {path}")


def replace_options(values: dict[str, Any], options: Mapping[str, Any], owner: str) -> None:
    """Replace dotted options in nested dicts: `{"training.epochs": 5}`; `owner` begins the message of an error.

    Raises:
        ConfigError: an option lies below something that is not a mapping.
    """
    for option, value in options.items():
        *path, last = option.split(".")
        place = values
        for step in path:
            place = _inside(place, step) if isinstance(place, dict) else None
        if not isinstance(place, dict):
            raise ConfigError(f"{owner} has no option '{option}': {'.'.join(path)} is not a mapping of options")
        place[last] = value


def _inside(options: dict[str, Any], step: str) -> Any:
    """Give the options below one, made when there are none yet."""
    if options.get(step) is None:
        options[step] = {}
    return options[step]


def differences(mine: Mapping[str, Any], theirs: Mapping[str, Any]) -> dict[str, str]:
    """Say where nested options differ: dotted option -> "training.epochs is 3, not 5" (5 is mine)."""
    ours, other = dict(_flat(mine)), dict(_flat(theirs))
    differing = [option for option in other | ours if ours.get(option) != other.get(option)]
    return {option: f"{option} is {other.get(option)!r}, not {ours.get(option)!r}" for option in differing}


def _flat(options: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Give every option under its dotted name."""
    for name, value in options.items():
        if value and isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value
