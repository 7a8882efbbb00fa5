"""The members of a fusion: trained adapters, built from what a config says of them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from torch import nn

from kadapter import Adapter, BackboneInfo, ConfigError, build_adapter, default_registry, load_adapter


def build_members(members: Mapping[str, Any], backbone: BackboneInfo) -> dict[str, Adapter]:
    """Load each member from its folder or from installed knowledge, or build it fresh from its options.

    Raises:
        ConfigError: some edit the backbone and some only read it, or a name cannot be one.
        KadapterError: one of its children says what is wrong with a member.
    """
    built = {name: _member(name, member, backbone) for name, member in members.items()}
    editing = [name for name, adapter in built.items() if adapter.edits]
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
    if isinstance(member, Mapping):
        return build_adapter(member, backbone)
    if isinstance(member, (str, Path)):
        return load_adapter(member, backbone)
    raise ConfigError(
        f"adapter type 'fusion': member '{name}' is {member!r}; it must be a folder, the name of installed knowledge, "
        f"or options"
    )


def options_of(adapter: Adapter) -> dict[str, Any]:
    """Say what builds an adapter of the same shape."""
    return {"type": adapter.name, **asdict(adapter.config)}


def random_options(member: Any) -> dict[str, Any]:
    """Say what builds a member of the same shape with random weights."""
    registry = default_registry()
    if isinstance(member, Mapping):
        options = dict(member)
    elif Path(member).is_dir():
        options = json.loads((Path(member) / "adapter.json").read_text())["adapter"]
    else:
        options = dict(registry.knowledge[str(member)].adapter)
    return registry.adapter_types[options["type"]].random_control(options)
