"""Say what something is: a saved adapter or run, installed knowledge, a backbone."""

from __future__ import annotations

from math import prod
from pathlib import Path
from typing import Any

from safetensors import safe_open

from kadapter.backbone import info_as_dict, load_backbone
from kadapter.model import is_folder
from kadapter.registry import Registry, default_registry
from kadapter.storage import describe_adapter


def inspect(what: str, registry: Registry | None = None) -> dict[str, Any]:
    """Give the facts about a folder of a saved adapter, a kind of knowledge, or a backbone, in this order.

    Raises:
        KadapterError: it is none of them; one of its children says why.
    """
    registry = registry or default_registry()
    if is_folder(what) and not (Path(what) / "config.json").exists():
        return _saved(Path(what))
    if what in registry.knowledge:
        return _knowledge(what, registry)
    return info_as_dict(load_backbone(what, registry).info)


def _saved(folder: Path) -> dict[str, Any]:
    said = describe_adapter(folder)
    with safe_open(folder / "adapter.safetensors", framework="pt") as tensors:
        sizes = [tensors.get_slice(name).get_shape() for name in tensors.keys()]  # noqa: SIM118
    return {**said, "parameters": sum(prod(size) for size in sizes)}


def _knowledge(name: str, registry: Registry) -> dict[str, Any]:
    knowledge, provider = registry.knowledge[name], registry.provider("knowledge", name)
    facts = {key: value for key, value in vars(knowledge).items() if key != "weights"}
    return {
        **facts,
        "weights for": sorted(knowledge.weights),
        "from": f"{provider.distribution} {provider.version}",
    }
