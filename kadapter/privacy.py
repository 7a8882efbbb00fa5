"""What leaves a machine with an adapter does not say where things lie there: paths are cut to their last part."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any

_ABSOLUTE = re.compile(r"[/~]|[A-Za-z]:[\\/]|\\\\|file:/")
_UPWARDS = re.compile(r"\.{1,2}[\\/]")
_HOMES = re.compile(r"/(home|Users|root|tmp|var|private|mnt|media|scratch)/|~[\w.-]*/|[A-Za-z]:[\\/]|\\\\|file:/")
_FILE = re.compile(r"[^\s:]*[\\/][^\s:]*\.[A-Za-z][A-Za-z0-9]{0,6}")
_IN_TEXT = re.compile(
    r"(?<![\w/\\.:~>-])(?:file:/|~[\w.-]*/|/|[A-Za-z]:[\\/]|\\\\)[^\s\"'`<>|,;()\[\]]*[^\s\"'`<>|,;()\[\].:!?]"
)


def own_paths(said: Any) -> list[str]:
    """Give every path in what a file says that tells where things lie on the machine of its owner.

    An absolute one lies where people's files do, or its first folder is on this machine; inside texts too. A relative
    one leads upwards, or is an option of a source and a file.
    """
    return list(dict.fromkeys(_private(said)))


def _private(value: Any, part: str = "") -> Iterator[str]:
    """Find them; `part` is `task` or `source` inside one: in a task, names that look like a path are labels."""
    if isinstance(value, str):
        yield from _in_string(value, part)
    elif isinstance(value, Mapping):
        for key, item in value.items():
            inner = part or (str(key) if key in ("task", "source") else "")
            yield from _private(key, part)
            yield from [item] if inner == "source" and key == "path" and isinstance(item, str) else ()
            yield from _private(item, inner)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _private(item, part)


def _in_string(value: str, part: str) -> Iterator[str]:
    if part == "task":
        yield from [value] if _ABSOLUTE.match(value) and os.path.exists(value) else ()
    elif _UPWARDS.match(value) or is_place(value) or (part == "source" and is_file(value)):
        yield value
    else:
        yield from filter(is_place, _IN_TEXT.findall(value))


def is_place(text: str) -> bool:
    """Tell whether this is an absolute path, and not a name that begins as one: `/location/location/contains`."""
    if not _ABSOLUTE.match(text) or not _last_part(text):
        return False
    top = "/".join(text.split("/")[:2])
    return bool(_HOMES.match(text)) or (len(top) > 1 and text != top and os.path.isdir(top)) or os.path.exists(text)


def is_file(text: str) -> bool:
    """Tell whether this is a path with folders, absolute or not: one that is there, or called as a file is."""
    return is_place(text) or ("://" not in text and bool(re.search(r"[\\/]", text)) and _is_relative_file(text))


def _is_relative_file(text: str) -> bool:
    return not _ABSOLUTE.match(text) and (bool(_FILE.fullmatch(text)) or os.path.exists(text))


def without_paths(value: Any, private: Collection[str]) -> Any:
    """Give the same with these paths cut to their last part."""
    if isinstance(value, Mapping):
        return {without_paths(key, private): without_paths(item, private) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [without_paths(item, private) for item in value]
    if isinstance(value, str):
        return _last_part(value) if value in private else _cut(value, private)
    return value


def text_without_paths(text: str, private: Collection[str]) -> str:
    """Give a text with these paths, and those that only it says, cut to their last part."""
    return _cut(text, {*private, *filter(is_place, _IN_TEXT.findall(text))})


def _cut(text: str, private: Collection[str]) -> str:
    for place in sorted(private, key=len, reverse=True):
        if place in text and _last_part(place):
            text = re.sub(rf"(?<![\w/\\.]){re.escape(place)}(?![\w-])", lambda found: _last_part(found[0]), text)
    return text


def _last_part(path: str) -> str:
    return re.split(r"[\\/]", path.rstrip("\\/"))[-1]
