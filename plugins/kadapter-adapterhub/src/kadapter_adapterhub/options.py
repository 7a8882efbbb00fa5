"""AdapterHub's options of a bottleneck adapter as those of type "standard", and back."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kadapter import BackboneInfo, ConfigError
from kadapter_adapterhub.folders import check_kind

DEFAULTS: Mapping[str, Any] = {
    "adapter_residual_before_ln": False,
    "cross_adapter": False,
    "dropout": 0.0,
    "init_weights": "bert",
    "inv_adapter": None,
    "is_parallel": False,
    "leave_out": [],
    "ln_after": False,
    "ln_before": False,
    "original_ln_after": True,
    "original_ln_before": False,
    "phm_layer": False,
    "residual_before_ln": True,
    "scaling": 1.0,
    "stochastic_depth": 0.0,
    "use_gating": False,
}
"""Option -> what it is where a folder does not say it."""

_SEQ: Mapping[str, Any] = {
    "mh_adapter": False,
    "output_adapter": True,
    "reduction_factor": 16,
    "non_linearity": "relu",
    "original_ln_before": True,
}
_DOUBLE: Mapping[str, Any] = {
    "mh_adapter": True,
    "output_adapter": True,
    "reduction_factor": 16,
    "non_linearity": "swish",
}
_PARALLEL: Mapping[str, Any] = {
    **_SEQ,
    "original_ln_before": False,
    "reduction_factor": 2,
    "init_weights": "mam_adapter",
    "is_parallel": True,
    "scaling": 4.0,
}
_SCALED: Mapping[str, Any] = {**_PARALLEL, "scaling": "learned"}

NAMED: Mapping[str, Mapping[str, Any]] = {
    "double_seq_bn": _DOUBLE,
    "houlsby": _DOUBLE,
    "par_bn": _PARALLEL,
    "parallel": _PARALLEL,
    "pfeiffer": _SEQ,
    "scaled_par_bn": _SCALED,
    "scaled_parallel": _SCALED,
    "seq_bn": _SEQ,
}
"""Name of a set of options -> those that are not the defaults."""

_REQUIRED = ("mh_adapter", "output_adapter", "reduction_factor", "non_linearity")

_WITHOUT_EFFECT = (
    "architecture",
    "cross_adapter",
    "init_weights_seed",
    "inv_adapter_reduction_factor",
    "invertible_adapter",
)
"""On a bottleneck in an encoder that is trained; so is what says how Compacter's matrices are, where there are none."""

_METHODS: Mapping[str, str] = {
    "lora": "LoRA",
    "mtl_lora": "MTL-LoRA",
    "prefix_tuning": "prefix tuning",
    "prompt_tuning": "prompt tuning",
    "reft": "ReFT",
}

_PARTS: Mapping[str, str] = {
    "inv_adapter": "an invertible adapter",
    "phm_layer": "PHM layers, as in Compacter,",
    "stochastic_depth": "stochastic depth",
    "use_gating": "a gate, as in UniPELT,",
}
"""Option -> what it is that type "standard" does not have."""

_INITS = {"bert": "bert", "houlsby": "houlsby", "mam_adapter": "zero"}
_ACTIVATIONS = {"leakyrelu": "leaky_relu"}
_ACTIVATIONS_BEFORE_VERSIONS = {"gelu": "gelu_new", "gelu_orig": "gelu"}


def refuse(folder: Path, what: str) -> ConfigError:
    """Give the error for what cannot be imported."""
    return ConfigError(
        f"{folder}: {what} cannot be imported; of AdapterHub's methods the bottlenecks can, seq_bn, double_seq_bn and "
        f"par_bn, and their fusion"
    )


def their_options(folder: Path, described: Mapping[str, Any], has_invertible: bool) -> dict[str, Any]:
    """Give AdapterHub's options of a bottleneck, the defaults among them.

    Args:
        folder: for errors.
        described: what `adapter_config.json` says.
        has_invertible: whether there are weights of an invertible adapter.

    Raises:
        ConfigError: it is another method, or has parts, that type "standard" cannot say.
    """
    config = described["config"]
    if isinstance(config, str) and config in NAMED:
        config = {**NAMED[config]}
    if not isinstance(config, Mapping) or config.get("architecture"):
        raise refuse(folder, _method(folder, config))
    if lacking := [option for option in _REQUIRED if option not in config]:
        raise ConfigError(
            f"{folder}: the config does not say {', '.join(lacking)}; save it again with `adapters` 1.3.0"
        )
    options = {**DEFAULTS, **config}
    if block := options.get("invertible_adapter"):
        options["inv_adapter"] = block
    # In old folders task adapters name an invertible one, which they do not have.
    if described.get("type") == "text_task" and not has_invertible:
        options["inv_adapter"] = None
    _check_parts(folder, options)
    check_kind(folder, "non_linearity", options["non_linearity"], str, "is no name")
    check_kind(folder, "init_weights", options["init_weights"], (str, type(None)), "is no name")
    if "version" not in described:
        said = options["non_linearity"]
        options["non_linearity"] = _ACTIVATIONS_BEFORE_VERSIONS.get(said, said)
    return options


def _method(folder: Path, config: Any) -> str:
    """Say which method it is that is no bottleneck."""
    if not isinstance(config, Mapping):
        return f"the method {config!r}"
    name = config.get("architecture")
    if not name:
        return "a bottleneck"
    if name == "union":
        configs = config.get("configs", [])
        check_kind(folder, "configs", configs, list, "is no list")
        return f"a union of methods ({', '.join(_method(folder, one) for one in configs)})"
    if name == "lora" and config.get("composition_mode") == "scale":
        return "(IA)³"
    return _METHODS.get(str(name), f"the method {name!r}")


def _check_parts(folder: Path, options: Mapping[str, Any]) -> None:
    for option, part in _PARTS.items():
        if options[option]:
            raise refuse(folder, f"{part} ({option}: {options[option]!r})")
    known = {*DEFAULTS, *_REQUIRED, *_WITHOUT_EFFECT}
    for option, value in options.items():
        if value and option not in known and "phm" not in option and option != "hypercomplex_nonlinearity":
            raise refuse(folder, f"the option {option}: {value!r}, which is not known here,")


def standard_options(folder: Path, theirs: Mapping[str, Any], backbone: BackboneInfo) -> dict[str, Any]:
    """Give the options of type "standard" that do the same.

    Raises:
        ConfigError: none do.
    """
    if theirs["scaling"] == "channel":
        raise refuse(folder, "a scale for each channel (scaling: 'channel')")
    activation = theirs["non_linearity"].lower()
    left_out, layers = _left_out(folder, theirs["leave_out"]), range(1, backbone.layers + 1)
    return {
        "type": "standard",
        "places": _places(folder, theirs),
        "form": _form(folder, theirs),
        "size": [0 if k in left_out else _size(folder, theirs["reduction_factor"], k, backbone) for k in layers],
        "leave_out": [k for k in layers if k in left_out],
        "activation": _ACTIVATIONS.get(activation, activation),
        "init": _INITS.get(theirs["init_weights"], "bert"),
        "scale": theirs["scaling"],
        "dropout": theirs["dropout"],
        "norm_before": bool(theirs["ln_before"]),
        "norm_after": bool(theirs["ln_after"]),
        "train_norms": False,
    }


def _left_out(folder: Path, said: Any) -> set[int]:
    """Give the layers, counted from 1, that theirs, counted from 0, are."""
    if not isinstance(said or [], list) or not all(type(layer) is int for layer in said or []):
        raise ConfigError(f"{folder}: leave_out is {said!r}, which is no list of layers; mend it")
    return {layer + 1 for layer in said or []}


def _places(folder: Path, theirs: Mapping[str, Any]) -> list[str]:
    places = [place for place, option in _PLACES.items() if theirs[option]]
    if not places:
        raise refuse(folder, "an adapter that works nowhere (mh_adapter and output_adapter are false)")
    return places


_PLACES = {"attention": "mh_adapter", "feedforward": "output_adapter"}


def _form(folder: Path, theirs: Mapping[str, Any]) -> str:
    """Say what the flags about norms and residuals come to, where a norm follows each sub-layer."""
    before, residual = bool(theirs["original_ln_before"]), theirs["residual_before_ln"]
    flags = ["original_ln_after"]
    if theirs["original_ln_after"]:
        if theirs["is_parallel"]:
            return "parallel"
        if theirs["ln_after"] and theirs["adapter_residual_before_ln"]:
            flags = ["ln_after", "adapter_residual_before_ln"]
        elif residual is True or (not before and residual is False):
            return "around-norm" if before else "sequential"
        else:
            flags = ["original_ln_before", "residual_before_ln"]
    said = ", ".join(f"{flag}: {theirs[flag]!r}" for flag in flags)
    raise refuse(folder, f"an order of norms and residuals that type 'standard' does not have ({said})")


_WIDEST = 16
"""How many times as wide as the backbone a bottleneck may be."""


def _size(folder: Path, factor: Any, layer: int, backbone: BackboneInfo) -> int:
    """Give m in a layer, 1 to L; theirs are counted from 0."""
    one = factor.get(str(layer - 1), factor.get("default")) if isinstance(factor, Mapping) else factor
    # None is so small in earnest, and what it asks for would not fit into memory. NaN compares as false.
    if not _is_number(one) or not 1 / _WIDEST <= one < math.inf:
        raise ConfigError(
            f"{folder}: reduction_factor is {factor!r}, which says nothing for layer {layer - 1} that is a number from "
            f"1/{_WIDEST} up; mend it"
        )
    return max(1, int(backbone.width // one))


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def hub_options(ours: Mapping[str, Any], width: int) -> dict[str, Any]:
    """Give AdapterHub's options for those of an adapter of type "standard"; it trains no norms."""
    inits = {ours_: theirs for theirs, ours_ in _INITS.items()}
    empty = {k for k, size in enumerate(ours["size"]) if not size}
    around = ours["form"] == "around-norm"
    return {
        **DEFAULTS,
        **{option: place in ours["places"] for place, option in _PLACES.items()},
        "reduction_factor": _factors(ours["size"], width),
        "non_linearity": ours["activation"],
        "original_ln_before": around,
        "is_parallel": ours["form"] == "parallel",
        "leave_out": sorted({k - 1 for k in ours["leave_out"]} | empty),
        "init_weights": inits.get(ours["init"], "bert"),
        "scaling": ours["scale"] if ours["scale"] == "learned" else float(ours["scale"]),
        "dropout": float(ours["dropout"]),
        "ln_before": ours["norm_before"],
        "ln_after": ours["norm_after"],
    }


def _factors(sizes: tuple[int, ...], width: int) -> float | dict[str, float]:
    factors = {str(k): reduction_factor(size, width) for k, size in enumerate(sizes) if size}
    different = set(factors.values())
    return different.pop() if len(different) == 1 else factors


def reduction_factor(size: int, width: int) -> float:
    """Give what `width` is divided by, rounded down, to give `size`."""
    exact = width / size
    # Half a step away from both neighbours, where rounding could go either way.
    return exact if exact.is_integer() else width / (size + 0.5)
