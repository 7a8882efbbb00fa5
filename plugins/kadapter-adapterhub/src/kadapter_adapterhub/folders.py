"""AdapterHub's files: where they are, and what their JSON says."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from kadapter import ConfigError, StorageError, read_weights

ADAPTER = "adapter_config.json"
ADAPTER_WEIGHTS = ("adapter.safetensors", "pytorch_adapter.bin")
FUSION = "adapter_fusion_config.json"
FUSION_WEIGHTS = ("model_adapter_fusion.safetensors", "pytorch_model_adapter_fusion.bin")
HEAD = "head_config.json"
HEAD_WEIGHTS = ("model_head.safetensors", "pytorch_model_head.bin")


def find_folder(place: Path) -> Path:
    """Give the folder that holds what is to be read: `place`, or the only one in it that does.

    Of a folder with a fusion and its members, as `save_adapter_setup` makes it, that of the fusion.

    Raises:
        StorageError: there is none, or more than one.
    """
    folder = place if place.is_dir() else place.parent
    for name in (FUSION, ADAPTER):
        if (folder / name).is_file():
            return folder
    for name in (FUSION, ADAPTER):
        inside = sorted(file.parent for file in folder.glob(f"*/{name}"))
        if len(inside) == 1:
            return inside[0]
        if inside:
            raise StorageError(f"{folder} holds {', '.join(path.name for path in inside)}; name one of these folders")
    raise StorageError(f"{folder} holds neither {ADAPTER} nor {FUSION}; name a folder that AdapterHub's package saved")


def read_description(path: Path, *entries: str) -> dict[str, Any]:
    """Read a JSON object that has these entries.

    Raises:
        StorageError: it is missing or no JSON object, or lacks one.
    """
    try:
        described = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise StorageError(f"cannot read {path}: {error}; save or download it again") from error
    lacking = [entry for entry in entries if not isinstance(described, dict) or entry not in described]
    if lacking:
        raise StorageError(f"{path} does not say {', '.join(lacking)}; save or download it again")
    return dict(described)


def check_kind(place: Path, entry: str, value: object, kinds: type | tuple[type, ...], wanted: str) -> None:
    """Raise ConfigError unless what an entry says is of one of these kinds; true and false are no numbers."""
    if not isinstance(value, kinds) or isinstance(value, bool):
        raise ConfigError(f"{place}: {entry} is {value!r}, which {wanted}; mend it, or save or download it again")


def read_tensors(folder: Path, names: tuple[str, ...]) -> tuple[Path, dict[str, Tensor]]:
    """Read the first of the files that is there; give its path too.

    Raises:
        StorageError: none is there, or it is damaged or holds more than tensors.
    """
    for name in names:
        if (folder / name).is_file():
            return folder / name, read_weights(folder / name)
    raise StorageError(f"{folder} holds none of {', '.join(names)}; save or download it again")


def origin_of(described: Mapping[str, Any]) -> dict[str, Any]:
    """Give what a description says of where it comes from."""
    said = {"saved_as": "name", "saved_by": "version", "trained_on": "model_name"}
    return {entry: described[theirs] for entry, theirs in said.items() if described.get(theirs)}
