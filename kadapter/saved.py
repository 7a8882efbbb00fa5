"""A saved model: `model.json` that says what it is, its own tensors, its adapters, and a card; here or on the Hub."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor

from kadapter.adapter import Adapter, BackboneInfo
from kadapter.backbone import Backbone
from kadapter.card import model_card
from kadapter.files import inside, read_json, write_json, write_text
from kadapter.hub import Access, Fetched, check_there, find_saved, hub_id
from kadapter.loading import load_backbone
from kadapter.naming import check_name
from kadapter.registry import Registry
from kadapter.storage import (
    check_backbone,
    check_entries,
    describe_adapter,
    load_adapter,
    matching,
    read_description,
    read_tensors,
    save_tensors,
)

if TYPE_CHECKING:
    from typing_extensions import Unpack

_ENTRIES: Mapping[str, Any] = {"backbone": dict, "composition": dict, "task": (dict, type(None)), "adapters": dict}

_PARTS: Mapping[str, Mapping[str, Any]] = {
    "backbone": {"name": str, "tuned": bool},
    "composition": {"plugged": list},
    "task": {"name": str},
}


@dataclass(frozen=True)
class SavedModel:
    """A model that was saved.

    Attributes:
        folder: where it lies.
        said: what its `model.json` says.
        fetched: from where on the Hub, if from there.
    """

    folder: Path
    said: Mapping[str, Any]
    fetched: Fetched | None = None

    def backbone(self, registry: Registry, loaded: Backbone | None, access: Access) -> Backbone:
        """Give its backbone, of the commit that it was saved with, or the one that is loaded if it is the same.

        Raises:
            BackboneError: it cannot be loaded, or is another one.
        """
        told = self.said["backbone"]
        backbone = loaded or load_backbone(told["name"], registry, told.get("revision"), **access)
        check_backbone(self.folder, told, backbone.info)
        if told["tuned"]:
            backbone.thaw()
        return backbone

    def trained_on(self) -> dict[str, Any]:
        """Give what is known of the run that made it, which is nothing where `result.json` does not lie beside it.

        Raises:
            StorageError: that cannot be read.
        """
        path = self.folder / "result.json"
        return read_json(path, "finished run") if path.exists() else {}

    def tensors(self, wanted: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Give its own tensors, which must be those that are wanted.

        Raises:
            StorageError: they are not, or cannot be read.
        """
        path = self.folder / "model.safetensors"
        return matching(read_tensors(path), wanted, path)

    def adapters(self, backbone: Backbone, registry: Registry) -> dict[str, Adapter]:
        """Give its adapters by name.

        Raises:
            KadapterError: one of its children says what is wrong with one of them.
        """
        return {name: self._adapter(name, place, backbone, registry) for name, place in self.said["adapters"].items()}

    def _adapter(self, name: str, place: str, backbone: Backbone, registry: Registry) -> Adapter:
        check_name(name)
        folder = inside(self.folder, place)
        adapter = load_adapter(folder, _info_for(folder, backbone), registry)
        if self.fetched:
            adapter.trained_on = {**adapter.trained_on, "hub": {**self.fetched.as_dict(), "folder": place}}
        return adapter


def _info_for(adapter: Path, backbone: Backbone) -> BackboneInfo:
    """Give what a saved model's adapter must have been trained on: its backbone, or that before it was tuned."""
    theirs = describe_adapter(adapter)["backbone"]["fingerprint"]
    return backbone.loaded if theirs == backbone.loaded.fingerprint else backbone.info


def saved_model(
    name: str | Path, registry: Registry, revision: str | None = None, **access: Unpack[Access]
) -> SavedModel | None:
    """Find the saved model of that folder or id; None when it is a backbone.

    Raises:
        StorageError: `model.json` cannot be read, is of a later format, or lacks an entry.
    """
    folder, fetched = Path(name), None
    if not (folder / "model.json").is_file():
        fetched = _on_hub(str(name), registry, revision, access)
        if fetched is None:
            return None
        folder = fetched.folder
    return SavedModel(folder, _describe_model(folder), fetched)


def _describe_model(folder: Path) -> dict[str, Any]:
    path = folder / "model.json"
    said = read_description(path, f"no saved model in {folder}", _ENTRIES)
    for part, entries in _PARTS.items():
        if said[part] is not None:
            check_entries(path, said[part], entries, f"{part}.")
    return said


def _on_hub(name: str, registry: Registry, revision: str | None, access: Access) -> Fetched | None:
    if name in registry.backbones:
        return None
    check_there(name)
    known = hub_id(name)
    return find_saved(known[0], revision or known[1], **access) if known else None


def write_around(folder: Path, said: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
    """Write everything of a model but its adapters, which are written already where `said` says.

    Raises:
        StorageError: the folder cannot be written to.
    """
    save_tensors(folder / "model.safetensors", tensors)
    write_json(folder / "model.json", said)
    # A new adapter that lies in the folder itself has its own card there.
    if "." not in said["adapters"].values():
        adapters = {name: describe_adapter(folder / place) for name, place in said["adapters"].items()}
        write_text(folder / "README.md", model_card(said, adapters))
