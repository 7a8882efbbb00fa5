"""A bottleneck adapter's folder: read as an adapter of type "standard", written from one."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor

from kadapter import Adapter, BackboneInfo, ConfigError, Imported, StorageError
from kadapter_adapterhub.families import Family, check_made_for, family_of
from kadapter_adapterhub.folders import ADAPTER, ADAPTER_WEIGHTS, origin_of, read_description, read_tensors
from kadapter_adapterhub.options import hub_options, standard_options, their_options

_HELD = r"(?:adapters|(?:attention|layer)_text_(?:task|lang)_adapters)"
"""What holds the bottlenecks of a place; the longer names are those of old folders."""


def read_bottleneck(folder: Path, backbone: BackboneInfo) -> Imported:
    """Read a folder with `adapter_config.json`. Raises as `Format.read` does."""
    described = read_description(folder / ADAPTER, "name", "model_type", "hidden_size", "config")
    path, found = read_tensors(folder, ADAPTER_WEIGHTS)
    theirs = their_options(folder, described, any("invertible" in key for key in found))
    family = family_of(backbone)
    check_made_for(folder, described["model_type"], described["hidden_size"], backbone)
    options = standard_options(folder, theirs, backbone)
    names = _names(str(described["name"]), options, family, backbone.layers)
    tensors: dict[str, Tensor] = {}
    for key, tensor in found.items():
        name = names.get(current_key(key, family))
        if name is None:
            raise StorageError(
                f"{path} has '{key}', which is no part of adapter '{described['name']}' in a {backbone.model_type} of "
                f"{backbone.layers} layers, as {ADAPTER} describes it; save it again, or import it for another backbone"
            )
        # A norm is saved under two names.
        if name in tensors and not torch.equal(tensors[name], tensor):
            raise StorageError(f"{path} has two values for the norm at '{key}'; save or download it again")
        tensors[name] = tensor
    return Imported(str(described["name"]), options, tensors, origin_of(described))


def current_key(key: str, family: Family) -> str:
    """Name a tensor as a model with a head names it today: the model itself, and old releases, have other names."""
    key = re.sub(rf"\.{_HELD}\.", ".adapters.", key, count=1)
    return key if key.startswith(f"{family.prefix}.") else f"{family.prefix}.{key}"


def key_of(layer: int, place: str, form: str) -> str:
    """Name a place as type "standard" names it in its parameters."""
    return f"{layer}-{place}{'-norm' if form == 'around-norm' else ''}"


def _names(name: str, options: Mapping[str, Any], family: Family, layers: int) -> dict[str, str]:
    """Give their name -> ours, of all tensors that the options ask for."""
    return {
        f"{path}.adapters.{name}.{theirs}": f"bottlenecks.{key_of(layer, place, options['form'])}.{ours}"
        for path, (layer, place) in family.places(layers).items()
        if place in options["places"] and options["size"][layer - 1] and layer not in options["leave_out"]
        for theirs, ours in _parts(options).items()
    }


def _parts(options: Mapping[str, Any]) -> dict[str, str]:
    """Give their name -> ours, of the tensors of one bottleneck."""
    down = "adapter_down.1" if options["norm_before"] else "adapter_down.0"
    modules = {down: "down", "adapter_up": "up"}
    if options["norm_before"]:
        modules |= {"adapter_norm_before": "norm_before", "adapter_down.0": "norm_before"}
    if options["norm_after"]:
        modules["adapter_norm_after"] = "norm_after"
    parts = {f"{theirs}.{kind}": f"{ours}.{kind}" for theirs, ours in modules.items() for kind in ("weight", "bias")}
    return parts | ({"scaling": "scale"} if options["scale"] == "learned" else {})


def write_bottleneck(adapter: Adapter, name: str, folder: Path) -> None:
    """Write a folder that `load_adapter` of AdapterHub's package loads. Raises as `Format.write` does."""
    tensors = _exported(adapter, name)
    backbone = adapter.backbone
    described = {
        "config": hub_options(adapter.options, backbone.width),
        "hidden_size": backbone.width,
        "model_name": backbone.name,
        "model_type": backbone.model_type,
        "name": name,
        "version": "adapters.1.3.0",
    }
    (folder / ADAPTER).write_text(json.dumps(described, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    safe, pickled = ADAPTER_WEIGHTS
    (folder / safe).write_bytes(save(tensors))
    # Their package looks for this one, unless it is told otherwise.
    torch.save(tensors, folder / pickled)


def _exported(adapter: Adapter, name: str) -> dict[str, Tensor]:
    """Give the tensors under their names."""
    _check_exportable(adapter, name)
    names = _names(name, adapter.options, family_of(adapter.backbone), adapter.backbone.layers)
    state = adapter.state_dict()
    if strange := sorted(state.keys() - set(names.values())):
        raise ConfigError(f"AdapterHub's bottlenecks have no place for {', '.join(strange[:3])}; it is not exported")
    return {theirs: state[ours].detach().cpu().clone().contiguous() for theirs, ours in names.items()}


def _check_exportable(adapter: Adapter, name: str) -> None:
    if adapter.name != "standard":
        raise ConfigError(
            f"an adapter of type '{adapter.name}' cannot be said in AdapterHub's format; one of type 'standard' can"
        )
    if any(key.startswith("norms.") for key in adapter.state_dict()):
        raise ConfigError(
            "AdapterHub's bottlenecks leave the backbone's norms as they are, and this adapter has trained copies of "
            "them; pretrain it with `train_norms: false`"
        )
    if not name or "." in name:
        raise ConfigError(f"'{name}' cannot name an adapter of AdapterHub's, since there is a dot in it; rename it")
