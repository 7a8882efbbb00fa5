"""What leaves a machine with an adapter does not say where things lie there: paths are cut to their last part."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

_ABSOLUTE = re.compile(r"[/~]|[A-Za-z]:[\\/]|\\\\|file:")


def own_paths(said: Any) -> list[str]:
    """Give every absolute path in what a file says."""
    return list(dict.fromkeys(_private(said)))


def _private(value: Any, inside_task: bool = False) -> Iterator[str]:
    """Find every absolute path; names of relations may look like one, so in a task they must be there as well."""
    if isinstance(value, str):
        if _ABSOLUTE.match(value) and (not inside_task or Path(value).exists()):
            yield value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _private(key, inside_task)
            yield from _private(item, inside_task or key == "task")
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _private(item, inside_task)


def without_paths(value: Any, private: Collection[str]) -> Any:
    """Give the same with these paths cut to their last part."""
    if isinstance(value, Mapping):
        return {without_paths(key, private): without_paths(item, private) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [without_paths(item, private) for item in value]
    return _last_part(value) if isinstance(value, str) and value in private else value


def text_without_paths(text: str, private: Collection[str]) -> str:
    """Give a text with these paths cut to their last part."""
    for place in sorted(private, key=len, reverse=True):
        text = text.replace(place, _last_part(place))
    return text


def _last_part(path: str) -> str:
    return re.split(r"[\\/]", path.rstrip("\\/"))[-1]
