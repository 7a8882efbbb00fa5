"""How adapters are called in a model: what can be a name, and what one is called when nobody says."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import nn

from kadapter.adapter import Adapter
from kadapter.errors import ConfigError
from kadapter.hub import Access, fetch_adapter, is_on_hub
from kadapter.storage import describe_adapter, saved_at

if TYPE_CHECKING:
    from typing_extensions import Unpack

Pluggable = str | Path | Mapping[str, Any] | Adapter


def check_name(name: str) -> None:
    """Raise ConfigError unless an adapter can be called so."""
    if not (isinstance(name, str) and re.fullmatch(r"[a-z0-9][a-z0-9_-]*", name)):
        raise ConfigError(f"'{name}' cannot name an adapter; use lower-case letters, digits, '-' and '_'")
    # Modules and parameters are kept under this name, where torch has attributes of its own ("train").
    if hasattr(nn.ModuleDict(), name) or hasattr(nn.ParameterDict(), name):
        raise ConfigError(f"'{name}' cannot name an adapter, since torch uses that name; choose another one")


def as_name(text: str) -> str:
    """Make a name that an adapter can have of what others call it, a file's or folder's name for instance."""
    stem = re.sub(r"\.(zip|tar|tar\.gz|tgz|bin|safetensors)$", "", text.lower())
    name = re.sub(r"[^a-z0-9_]+", "-", stem).strip("-_")
    try:
        check_name(name)
    except ConfigError:
        return f"{name}-adapter".lstrip("-")
    return name


def named(
    adapters: Iterable[Pluggable] | Mapping[str, Pluggable], **access: Unpack[Access]
) -> Iterator[tuple[str, Pluggable]]:
    """Give each adapter with its name: the one that is said, or its own."""
    if isinstance(adapters, Mapping):
        yield from adapters.items()
        return
    for adapter in adapters:
        if isinstance(adapter, str) and is_on_hub(adapter):
            # Name and weights of one commit, though the branch may move in between.
            adapter = fetch_adapter(adapter, **access).pinned
        yield own_name(adapter, **access), adapter


def own_name(adapter: Pluggable, **access: Unpack[Access]) -> str:
    """Take the name of an adapter from the knowledge, from what was saved, or from its type."""
    if isinstance(adapter, Mapping):
        return str(adapter.get("type", "adapter"))
    if isinstance(adapter, Adapter):
        return adapter.name
    if saved := saved_at(adapter, **access):
        return str(describe_adapter(saved)["name"])
    return str(adapter)
