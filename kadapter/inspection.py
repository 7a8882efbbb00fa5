"""Say what something is: a saved adapter or run, installed knowledge, a backbone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from kadapter.adapter import BackboneInfo
from kadapter.errors import BackboneError, UnknownNameError
from kadapter.files import read_json, read_text
from kadapter.hub import find_saved, hub_id
from kadapter.loading import load_backbone
from kadapter.registry import Registry, default_registry
from kadapter.storage import describe_adapter, read_tensors


def inspect(what: str, registry: Registry | None = None) -> dict[str, Any]:
    """Give the facts about a saved adapter, run or model, a kind of knowledge, or a backbone, in this order.

    Raises:
        KadapterError: it is none of them; one of its children says why.
    """
    registry = registry or default_registry()
    place = Path(what)
    # A path that is not there may still be an id on the Hub.
    if (place.exists() or place.is_absolute()) and not (place / "config.json").exists():
        return _saved(place)
    if fetched := _fetched(what):
        return _saved(fetched)
    if what in registry.knowledge:
        return _knowledge(what, registry)
    try:
        return _backbone(load_backbone(what, registry).info)
    except BackboneError as error:
        there = ", ".join(registry.knowledge) or "none"
        raise UnknownNameError(f"'{what}' is no folder, no installed knowledge ({there}), and {error}") from error


def _saved(folder: Path) -> dict[str, Any]:
    # A run of a control has no adapter.
    if (folder / "model.json").exists() and not (folder / "adapter.json").exists():
        return read_json(folder / "model.json", "saved model")
    said, tensors = describe_adapter(folder), read_tensors(folder / "adapter.safetensors")
    return {**said, "parameters": sum(tensor.numel() for tensor in tensors.values())}


def _fetched(what: str) -> Path | None:
    known = hub_id(what)
    found = known and (find_saved(*known, "adapter.json") or find_saved(*known, "model.json"))
    return found.folder if found else None


def card_of(what: str, registry: Registry | None = None) -> str | None:
    """Give the text of the card of what is saved in a folder, on the Hub or in a package; None when it has none.

    Raises:
        StorageError: it is not text.
    """
    path = (_fetched(what) or _installed(what, registry or default_registry()) or Path(what)) / "README.md"
    text = read_text(path) if path.is_file() else None
    # A stranger's card may hold commands to the terminal.
    return text and "".join(letter for letter in text if letter.isprintable() or letter in "\n\t")


def _installed(what: str, registry: Registry) -> Path | None:
    """Give the folder of the first weights of installed knowledge."""
    if Path(what).exists() or what not in registry.knowledge:
        return None
    return next(map(Path, registry.knowledge[what].weights.values()), None)


def _backbone(info: BackboneInfo) -> dict[str, Any]:
    """Say, beside the facts, which modules the sites of the first layer are."""
    paths = {site.place: path for site, path in sorted(info.sites.paths.items()) if site.layer == 1}
    return {**info.as_dict(), "sites of layer 1": paths}


def _knowledge(name: str, registry: Registry) -> dict[str, Any]:
    knowledge, provider = registry.knowledge[name], registry.provider("knowledge", name)
    facts = {key: value for key, value in vars(knowledge).items() if key != "weights"}
    return {
        **facts,
        "weights for": {str(describe_adapter(at)["backbone"]["name"]): str(at) for at in knowledge.weights.values()},
        "from": f"{provider.distribution} {provider.version}",
    }
