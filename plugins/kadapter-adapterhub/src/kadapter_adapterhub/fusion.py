"""A fusion's folder, read with those of its members as an adapter of type "fusion"."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from kadapter import BackboneInfo, ConfigError, Imported, StorageError
from kadapter_adapterhub.bottleneck import current_key, key_of, read_bottleneck
from kadapter_adapterhub.families import check_made_for, family_of
from kadapter_adapterhub.folders import (
    ADAPTER,
    FUSION,
    FUSION_WEIGHTS,
    check_kind,
    origin_of,
    read_description,
    read_tensors,
)
from kadapter_adapterhub.options import refuse

_PARTS = {
    **{f"{module}.{kind}": f"{module}.{kind}" for module in ("query", "key") for kind in ("weight", "bias")},
    "value.weight": "value",
}
"""Their name -> ours, of the tensors of one mixer."""

NAMED: Mapping[str, Mapping[str, Any]] = {"dynamic": {"regularization": True}, "static": {"value": False}}
"""Name of a set of options -> those that are not the defaults."""


def read_fusion(folder: Path, places: Mapping[str, str], backbone: BackboneInfo) -> Imported:
    """Read a folder with `adapter_fusion_config.json`; `places` says where members lie that are not beside it.

    Raises as `Format.read` does.
    """
    described = read_description(folder / FUSION, "name", "model_type", "hidden_size", "config")
    family_of(backbone)
    check_made_for(folder, described["model_type"], described["hidden_size"], backbone)
    members = _members(folder, described, places, backbone)
    form = _common_form(folder, members)
    config = described["config"]
    check_kind(folder, "config", config, (str, Mapping), "is no mapping")
    options = _options(folder, NAMED.get(config, {}) if isinstance(config, str) else config, form)
    mixers, skipped = _mixers(folder, str(described["name"]), form, members, backbone)
    tensors = {f"members.{name}.{key}": t for name, member in members.items() for key, t in member.tensors.items()}
    return Imported(
        name=str(described["name"]),
        options={**options, "members": {name: member.options for name, member in members.items()}},
        tensors={**tensors, **mixers, "steps": torch.zeros((), dtype=torch.long)},
        origin={**origin_of(described), "members": {name: member.origin for name, member in members.items()}},
        skipped=skipped,
    )


def _members(
    folder: Path, described: Mapping[str, Any], places: Mapping[str, str], backbone: BackboneInfo
) -> dict[str, Imported]:
    entry = "adapter_names" if described.get("adapter_names") else "name"
    names = described[entry]
    check_kind(folder, entry, names, (str, list), "is no list of names")
    names = [str(name) for name in (names.split(",") if isinstance(names, str) else names)]
    if strange := sorted(places.keys() - set(names)):
        raise ConfigError(f"option members names {', '.join(strange)}; the fusion in {folder} has {', '.join(names)}")
    found = {name: Path(places[name]) if name in places else _beside(folder, name) for name in names}
    return {name: read_bottleneck(place, backbone) for name, place in found.items()}


def _beside(folder: Path, name: str) -> Path:
    """Find a member in the folder of the fusion or beside it; its name is no path.

    Raises:
        StorageError: it is not there.
    """
    near = [folder / name, folder.parent / name] if Path(name).name == name else []
    for place in near:
        if (place / ADAPTER).is_file():
            return place
    raise StorageError(
        f"the fusion in {folder} mixes '{name}', which is not beside it; say where it is with "
        f"`--set members.{name}=FOLDER`"
    )


def _common_form(folder: Path, members: Mapping[str, Imported]) -> str:
    """Give the form that all members have.

    Raises:
        ConfigError: they differ, or in that form AdapterHub mixes something else than what members give alone.
    """
    forms = {name: member.options["form"] for name, member in members.items()}
    if len(set(forms.values())) > 1:
        said = ", ".join(f"{name}: {form}" for name, form in forms.items())
        raise refuse(folder, f"a fusion of members that take their input at different points ({said})")
    form = str(next(iter(forms.values())))
    if form == "parallel":
        raise refuse(folder, "a fusion of parallel members (is_parallel), where the residual is added twice,")
    if normed := [name for name, member in members.items() if member.options["norm_after"]]:
        raise refuse(folder, f"a fusion that leaves out its members' own norm (ln_after: {', '.join(normed)})")
    return form


def _options(folder: Path, config: Mapping[str, Any], form: str) -> dict[str, Any]:
    """Give the options of type "fusion", but for the members.

    Raises:
        ConfigError: it cannot do the same.
    """
    dropout = config.get("dropout_prob") or 0.0
    check_kind(folder, "dropout_prob", dropout, (int, float), "is no number")
    if config.get("temperature"):
        raise refuse(
            folder, "a fusion with `temperature: true`, which does not say how far it has cooled (false means: to 1),"
        )
    if form == "around-norm":
        for flag in ("query_before_ln", "residual_before"):
            if config.get(flag):
                raise refuse(folder, f"a fusion with `{flag}: true` over members of original_ln_before")
    return {
        "type": "fusion",
        **{part: bool(config.get(part, True)) for part in ("query", "key", "value")},
        "residual": "before" if config.get("residual_before") else "after",
        "dropout": float(dropout),
        "regularization": 0.01 if config.get("regularization") else 0.0,
    }


def _mixers(
    folder: Path, name: str, form: str, members: Mapping[str, Imported], backbone: BackboneInfo
) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Give the tensors of the mixers under our names, and what is left out."""
    path, found = read_tensors(folder, FUSION_WEIGHTS)
    family, between = family_of(backbone), f".adapter_fusion_layer.{name}."
    places, mixed = family.places(backbone.layers), _places_of(members.values())
    mixers, skipped = {}, {}
    for key, tensor in found.items():
        holder, _, part = current_key(key, family).partition(between)
        if holder not in places or not (part in _PARTS or part.startswith("dense.")):
            raise StorageError(
                f"{path} has '{key}', which is no part of fusion '{name}' in a {backbone.model_type} of "
                f"{backbone.layers} layers; save it again, or import it for another backbone"
            )
        if part not in _PARTS:
            skipped[key] = "it is used nowhere"
        elif (ours := key_of(*places[holder], form)) in mixed:
            mixers[f"mixers.{ours}.{_PARTS[part]}"] = tensor
        else:
            skipped[key] = f"no member works in layer {places[holder][0]}"
    return mixers, skipped


def _places_of(members: Iterable[Imported]) -> set[str]:
    """Give the places where some member works, as parameters are named."""
    return {key.split(".")[1] for member in members for key in member.tensors}
