"""Checkpoints of the published K-Adapter code (microsoft/K-Adapter), read strictly, under all names that they have."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

from torch import Tensor

from kadapter import BackboneError, BackboneInfo, ConfigError, Format, Imported, StorageError, read_weights

FILE = "pytorch_model.bin"


@dataclass(frozen=True)
class MicrosoftConfig:
    """What the files do not say.

    Attributes:
        reads: one state for each adapter layer; null is 0, 11, 22 of a backbone with 24 layers, as the published
            scripts have it.
        adapter: which one to take of a whole model that was saved with both.
        heads: attention heads of an adapter's transformer layers; null is one for each 64 of their width: 12 of 768.
        adapter_skip_layers: what the published code was run with; it must be 0.
        compat: "microsoft" looks at padding as the published code does; null leaves padding out.
    """

    reads: tuple[int, ...] | None = None
    adapter: Literal["fac", "lin"] | None = None
    heads: int | None = None
    adapter_skip_layers: int = 0
    compat: Literal["microsoft"] | None = "microsoft"

    def __post_init__(self) -> None:
        if self.adapter_skip_layers != 0:
            raise ConfigError(
                f"adapter_skip_layers is {self.adapter_skip_layers}; only 0 is supported: of three adapter layers, 1 "
                f"crashes the published code, 2 and 3 add an output where none is meant, and 4 or more does nothing, "
                f"for which say 0"
            )


class Microsoft(Format):
    """The released adapters, `fac-adapter` and `lin-adapter`, and what else that code saves."""

    name: ClassVar[str] = "microsoft"
    description: ClassVar[str] = "checkpoints of the published K-Adapter code"
    Config: ClassVar[type] = MicrosoftConfig

    def read(self, place: Path, backbone: BackboneInfo) -> Imported:
        """Read `pytorch_model.bin` or a folder that holds it."""
        file = _file(place)
        own, skipped, which = _sorted(read_weights(file), self.config.adapter, file)
        sizes = Sizes.of(own, file)
        _check(own, sizes, backbone, file)
        options = {
            "type": "k-adapter",
            "init": "random",
            "reads": self._reads(sizes.layers, backbone),
            "transformer_layers": sizes.transformer_layers,
            "width": sizes.width,
            "heads": self._heads(sizes.width),
            "intermediate": sizes.intermediate,
            "dropout": 0.1,
            "activation": "gelu",
            "compat": self.config.compat,
        }
        tensors = {_our_name(key): tensor for key, tensor in own.items()}
        return Imported(_name(place, which), options, tensors, self._origin(file, which), skipped)

    def _reads(self, layers: int, backbone: BackboneInfo) -> tuple[int, ...]:
        reads: tuple[int, ...] | None = self.config.reads
        if reads is None and (layers, backbone.layers) == (3, 24):
            return (0, 11, 22)
        if reads is None:
            raise ConfigError(
                f"the files do not say which states their {layers} adapter layers read, and 0,11,22 is for three of a "
                f"backbone with 24 layers ('{backbone.name}' has {backbone.layers}); say --reads"
            )
        if len(reads) != layers:
            raise ConfigError(f"reads names {len(reads)} states; the files hold {layers} adapter layers, one for each")
        return reads

    def _heads(self, width: int) -> int:
        if self.config.heads is None and width % 64:
            raise ConfigError(f"a width of {width} has no heads of 64 each; say how many there are: --set heads=…")
        return self.config.heads or width // 64

    def _origin(self, file: Path, which: str | None) -> dict[str, Any]:
        said = {option: getattr(self.config, option) is not None for option in ("reads", "heads")}
        return {
            "code": "https://github.com/microsoft/K-Adapter",
            "paper": "https://arxiv.org/abs/2002.01808",
            "file": file.name,
            **({"which": which} if which else {}),
            "adapter_skip_layers": self.config.adapter_skip_layers,
            # No file says these; whoever finds other features than published should doubt them first.
            "assumed": [option for option, given in said.items() if not given],
        }


def _file(place: Path) -> Path:
    if not place.is_dir():
        return place
    if not (place / FILE).is_file():
        there = ", ".join(sorted(path.name for path in place.iterdir())[:5]) or "nothing"
        raise StorageError(f"{place} holds {there}; a checkpoint of the published code holds {FILE}")
    return place / FILE


def _name(place: Path, which: str | None) -> str:
    if which:
        return f"{which}-adapter"
    return place.parent.name if place.name == FILE else ""


# --- whose a tensor is

_PREFIX = re.compile(r"(?:module\.)*(?:model\.(?=(?:fac_|lin_)?adapter\.))?(?:(fac|lin)_adapter\.)?")
_ADAPTER = re.compile(r"adapter\.(?:(\d+)\.)?(down_project|up_project|encoder\.layer\.\d+\.[\w.]+)\.(weight|bias)")
_PRETRAINING = re.compile(r"(com_dense|dense|out_proj|self_attention)\.")
_DOWNSTREAM = re.compile(r"task_dense(_fac|_lin)?\.")


def _sorted(
    tensors: Mapping[str, Tensor], wanted: str | None, file: Path
) -> tuple[dict[str, Tensor], dict[str, str], str | None]:
    """Give the chosen adapter's tensors under their plain names, why each other one is left out, and which it is."""
    split = {key: (which, rest) for key in tensors for which, rest in [_split(key)]}
    which = _choice({which for which, rest in split.values() if _ADAPTER.fullmatch(rest)}, wanted, file)
    own: dict[str, Tensor] = {}
    skipped: dict[str, str] = {}
    for key, (whose, rest) in split.items():
        if whose == which and (said := _ADAPTER.fullmatch(rest)):
            plain = f"adapter.{said[1] or 0}.{said[2]}.{said[3]}"
            if plain in own:
                raise StorageError(f"{file} holds {plain} twice, once as {key}; it is of two checkpoints, take one")
            own[plain] = tensors[key]
        else:
            skipped[key] = _reason(key, whose, rest, which, file)
    return own, skipped, which


def _split(key: str) -> tuple[str | None, str]:
    """Say whose a tensor is, "fac", "lin" or nobody's by name, and what it is called there."""
    prefix = _PREFIX.match(key)
    assert prefix is not None  # It matches nothing, too.
    rest = key[prefix.end() :]
    # One version of the code left the first word out.
    return prefix[1], f"adapter.{rest}" if rest.startswith("encoder.") else rest


def _choice(there: set[str | None], wanted: str | None, file: Path) -> str | None:
    named = sorted(name for name in there if name)
    if wanted and wanted not in named:
        raise ConfigError(f"{file} names no adapter '{wanted}'; it names {', '.join(named) or 'none: leave this out'}")
    if len(named) > 1 and not wanted:
        raise ConfigError(f"{file} holds two adapters, {' and '.join(named)}; say which: --set adapter={named[0]}")
    if not there:
        raise StorageError(f"{file} holds no adapter of the published code, no adapter.0.down_project.weight")
    return wanted or (named[0] if named else None)


def _reason(key: str, whose: str | None, rest: str, which: str | None, file: Path) -> str:
    if _PRETRAINING.match(rest):
        return "for pretraining only"
    if _DOWNSTREAM.match(rest):
        return "mixes features of one downstream task"
    if whose != which and _ADAPTER.fullmatch(rest) and whose:
        return f"of the other adapter, {whose}"
    if which and whose is None and key.removeprefix("module.").startswith("model."):
        return "the backbone's own"
    raise StorageError(f"{file} holds {key}, which is in no adapter of the published code; is it the right file?")


# --- what there must be


@dataclass(frozen=True)
class Sizes:
    """How large an adapter is, as far as its tensors tell."""

    layers: int
    transformer_layers: int
    width: int
    intermediate: int

    @classmethod
    def of(cls, own: Mapping[str, Tensor], file: Path) -> Sizes:
        """Look at the first adapter layer, and count."""
        numbers = [tuple(map(int, re.findall(r"\.(\d+)\.", key))) for key in own]
        width = _rows(own, "adapter.0.down_project.weight", file)
        intermediate = _rows(own, "adapter.0.encoder.layer.0.intermediate.dense.weight", file)
        blocks = {places[1] for places in numbers if len(places) > 1}
        return cls(len({places[0] for places in numbers}), len(blocks), width, intermediate)


def _rows(own: Mapping[str, Tensor], key: str, file: Path) -> int:
    if key not in own:
        raise StorageError(f"{file} lacks {key}; get a whole copy")
    if own[key].dim() != 2:
        raise StorageError(f"{file}: {key} is {list(own[key].shape)}; it must be a matrix")
    return own[key].shape[0]


_OURS = {
    "attention.self.query": "query",
    "attention.self.key": "key",
    "attention.self.value": "value",
    "attention.output.dense": "mix",
    "attention.output.LayerNorm": "attention_norm",
    "intermediate.dense": "expand",
    "output.dense": "contract",
    "output.LayerNorm": "output_norm",
    "down_project": "down",
    "up_project": "up",
}
"""Module of an adapter layer or of its transformer layers, there -> here."""


def _our_name(key: str) -> str:
    _, layer, rest = key.split(".", 2)
    module, _, parameter = rest.rpartition(".")
    if inner := re.fullmatch(r"encoder\.layer\.(\d+)\.(.+)", module):
        return f"layers.{layer}.transformer.layers.{inner[1]}.{_OURS[inner[2]]}.{parameter}"
    return f"layers.{layer}.{_OURS[module]}.{parameter}"


def shapes(sizes: Sizes, outer: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Give every tensor of an adapter for a backbone of width `outer`, and its shape."""
    width, inner = sizes.width, sizes.intermediate
    within = dict.fromkeys(list(_OURS)[:4], (width, width))
    within |= {"intermediate.dense": (inner, width), "output.dense": (width, inner)}
    for layer in (f"adapter.{number}" for number in range(sizes.layers)):
        linears = {f"{layer}.down_project": (width, outer), f"{layer}.up_project": (outer, width)}
        for block in (f"{layer}.encoder.layer.{number}" for number in range(sizes.transformer_layers)):
            linears |= {f"{block}.{module}": shape for module, shape in within.items()}
            for norm in ("attention.output.LayerNorm", "output.LayerNorm"):
                yield f"{block}.{norm}.weight", (width,)
                yield f"{block}.{norm}.bias", (width,)
        for module, shape in linears.items():
            yield f"{module}.weight", shape
            yield f"{module}.bias", shape[:1]


def _check(own: Mapping[str, Tensor], sizes: Sizes, backbone: BackboneInfo, file: Path) -> None:
    """Raise StorageError unless all tensors are there, no others, and of the right shapes."""
    theirs = own["adapter.0.down_project.weight"].shape[-1]
    if theirs != backbone.width:
        raise BackboneError(
            f"{file} is for a backbone of width {theirs}; '{backbone.name}' has {backbone.width}. The released "
            f"adapters are for roberta-large"
        )
    wanted = dict(shapes(sizes, backbone.width))
    for problem, keys in (("lacks", wanted.keys() - own.keys()), ("has unknown", own.keys() - wanted.keys())):
        if keys:
            raise StorageError(f"{file} {problem} {', '.join(sorted(keys)[:3])} ({len(keys)} in all); get a whole copy")
    for key, shape in wanted.items():
        if tuple(own[key].shape) != shape:
            raise StorageError(f"{file}: {key} is {list(own[key].shape)}; beside the others it must be {list(shape)}")
