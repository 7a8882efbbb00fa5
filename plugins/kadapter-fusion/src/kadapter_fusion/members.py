"""The members of a fusion: trained adapters, built from what a config says of them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn

from kadapter import Adapter, BackboneInfo, ConfigError, load_adapter


def build_members(members: Mapping[str, Any], backbone: BackboneInfo) -> dict[str, Adapter]:
    """Load each member from its folder or from installed knowledge, or build it fresh from its options.

    Raises:
        ConfigError: some edit the backbone and some only read it, or a name cannot be one.
        KadapterError: one of its children says what is wrong with a member.
    """
    built = {name: _member(name, member, backbone) for name, member in members.items()}
    editing = [name for name, adapter in built.items() if adapter.replaces]
    for name in editing:
        if not built[name].edits:
            raise ConfigError(f"adapter type 'fusion': member '{name}' is dropped in every layer; leave it out")
    if editing and len(editing) < len(built):
        reading = ", ".join(name for name in built if name not in editing)
        raise ConfigError(
            f"adapter type 'fusion': {', '.join(editing)} edit the backbone and {reading} only read it; fuse each kind "
            f"by itself, and plug both fusions side by side"
        )
    return built


def _member(name: str, member: Any, backbone: BackboneInfo) -> Adapter:
    # torch keeps members and parameters under this name, where it has attributes of its own ("double").
    if not isinstance(name, str) or not name or "." in name or hasattr(nn.ModuleDict(), name):
        raise ConfigError(
            f"adapter type 'fusion': '{name}' cannot name a member: a name is a text without dots, and none that torch "
            f"uses; choose another one"
        )
    if isinstance(member, (str, Path, Mapping)):
        return load_adapter(member, backbone)
    raise ConfigError(
        f"adapter type 'fusion': member '{name}' is {member!r}; it must be a folder, the name of installed knowledge, "
        f"or options"
    )
