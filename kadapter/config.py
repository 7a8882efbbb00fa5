"""Options from YAML, JSON or the command line become frozen dataclasses, strictly."""

import difflib
import types
from collections.abc import Mapping
from dataclasses import fields
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from kadapter.errors import ConfigError

T = TypeVar("T")


def make_config(kind: type[T], options: Mapping[str, Any], owner: str) -> T:
    """Give `kind(**options)`, lists turned into tuples, every name and type checked.

    `owner` begins the message of an error, for instance "adapter 'k-adapter'".

    Raises:
        ConfigError: an option that `kind` does not have, or a value of another type than it declares.
    """
    hints = get_type_hints(kind)
    values = {name: _frozen(value) for name, value in options.items()}
    for name, value in values.items():
        if name not in hints:
            raise ConfigError(_unknown_option(name, [f.name for f in fields(kind)], owner))  # type: ignore[arg-type]
        if not _fits(value, hints[name]):
            raise ConfigError(f"{owner}: option '{name}' is {value!r}; it must be {_said(hints[name])}")
    try:
        return kind(**values)
    except TypeError as error:
        raise ConfigError(f"{owner}: {error}") from error


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
    if get_origin(hint) is Literal:
        return " or ".join(map(repr, get_args(hint)))
    if get_origin(hint) in (Union, types.UnionType):
        return " or ".join(_said(option) for option in get_args(hint))
    return "null" if hint is type(None) else getattr(hint, "__name__", str(hint)).replace("[", " of ").rstrip("]")
