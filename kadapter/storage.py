"""An adapter on disk: `adapter.safetensors`, `adapter.json` that says what it is, and a card for people."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from packaging.utils import canonicalize_name
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn

from kadapter.adapter import Adapter, BackboneInfo, build_adapter
from kadapter.card import adapter_card
from kadapter.errors import BackboneError, StorageError, UnknownNameError
from kadapter.files import read_json, write_json, write_text, written_whole
from kadapter.hub import Access, check_there, fetch_adapter, is_on_hub
from kadapter.knowledge import KnowledgeModule
from kadapter.registry import Registry, default_registry

if TYPE_CHECKING:
    from typing_extensions import Unpack

FORMAT = 1

_ENTRIES: Mapping[str, type] = {"name": str, "backbone": dict, "adapter": dict, "trained_on": dict}


def save_adapter(
    folder: Path | str,
    adapter: Adapter,
    name: str,
    trained_on: Mapping[str, Any] | None = None,
    card: str | None = None,
    registry: Registry | None = None,
) -> None:
    """Write an adapter's tensors, what they are, and its card; each file appears whole.

    Args:
        folder: is made when it is not there; files of the same names are replaced.
        adapter: what to save.
        name: of the knowledge in it.
        trained_on: recipe, data hash, seed, metrics: whatever is known; by default what it was loaded with.
        card: text of README.md; by default it is made of `adapter.json`.
        registry: where the type's provider is looked up.

    Raises:
        StorageError: the folder cannot be written to.
    """
    folder = Path(folder)
    trained_on = dict(adapter.trained_on if trained_on is None else trained_on)
    providers = _providers(adapter, registry or default_registry())
    save_tensors(folder / "adapter.safetensors", adapter.state_dict())
    said = {
        "format": FORMAT,
        "name": name,
        "backbone": adapter.backbone.as_dict(),
        "adapter": adapter.options,
        "provided_by": providers.pop(adapter.name),
        **({"holds": providers} if providers else {}),
        "trained_on": trained_on,
    }
    write_json(folder / "adapter.json", said)
    write_text(folder / "README.md", card or adapter_card(said))


def _providers(adapter: Adapter, registry: Registry) -> dict[str, dict[str, str]]:
    """Say who provides the types of an adapter and of those that it holds: type -> `distribution` and `version`."""
    kinds = {module.name for module in adapter.modules() if isinstance(module, Adapter)}
    plugins = {kind: registry.provider("adapter_type", kind) for kind in sorted(kinds)}
    return {kind: {"distribution": p.distribution, "version": p.version} for kind, p in plugins.items()}


def load_adapter(
    adapter: Path | str | Mapping[str, Any],
    backbone: BackboneInfo,
    registry: Registry | None = None,
    **access: Unpack[Access],
) -> Adapter:
    """Load a saved adapter for a backbone, bit for bit as it was saved; or build a fresh one.

    Args:
        adapter: its folder, the name of installed knowledge, or "user/name" or "user/name@revision" on the Hugging
            Face Hub; or the options of a fresh one.
        backbone: what it was trained on.
        registry: where names are looked up; by default, what is installed.
        access: how the Hub is reached: `token`, `cache_dir`, `local_files_only`, `force_download`.

    Raises:
        StorageError: the folder holds no adapter, or one that does not fit its own config, or its type is here that of
            another distribution; or the Hub has none.
        UnknownNameError: its type is not installed, or that knowledge is not or has no weights for the backbone.
        BackboneError: it was trained on another backbone.
        ConfigError: the options of a fresh one are not those of its type.
    """
    if isinstance(adapter, Mapping):
        return build_adapter(adapter, backbone, registry)
    fetched = fetch_adapter(str(adapter), **access) if is_on_hub(adapter) else None
    folder = fetched.folder if fetched else folder_of(adapter, backbone, registry)
    description = describe_adapter(folder)
    check_backbone(folder, description["backbone"], backbone)
    check_providers(folder, description, registry or default_registry())
    loaded = build_adapter(description["adapter"], backbone, registry)
    load_tensors(loaded, folder / "adapter.safetensors")
    loaded.trained_on = {**description["trained_on"], **({"hub": fetched.as_dict()} if fetched else {})}
    return loaded


def folder_of(adapter: Path | str, backbone: BackboneInfo, registry: Registry | None = None) -> Path:
    """Find the saved adapter that a folder, an id of the Hub or the name of installed knowledge stands for.

    Raises:
        StorageError: the Hub does not give it.
        UnknownNameError: nobody registered that knowledge, or it has no weights for the backbone.
    """
    if saved := saved_at(adapter):
        return saved
    registry = registry or default_registry()
    knowledge = registry.knowledge[str(adapter)]
    if backbone.fingerprint in knowledge.weights:
        return Path(knowledge.weights[backbone.fingerprint])
    known = sorted({_backbone_of(Path(folder), print_) for print_, folder in knowledge.weights.items()})
    there = f" (it has them for {', '.join(known)})" if known else ""
    raise UnknownNameError(
        f"knowledge '{knowledge.name}' comes without weights for backbone '{backbone.name}'{there}; "
        f"{_how_to_make(knowledge, backbone, registry)}"
    )


def _backbone_of(folder: Path, fingerprint: str) -> str:
    """Name the backbone of a saved adapter: as it says, or else by its fingerprint."""
    try:
        return str(describe_adapter(folder)["backbone"]["name"])
    except (StorageError, KeyError):
        return fingerprint


def _how_to_make(knowledge: KnowledgeModule, backbone: BackboneInfo, registry: Registry) -> str:
    name, source = knowledge.name, str(knowledge.source.get("name"))
    if "name" not in knowledge.task or "name" not in knowledge.source:
        return "no recipe is known that makes them: ask who made those, or pretrain an adapter of your own"
    data = " --data PATH" if source in registry.sources and registry.sources[source].needs_path else ""
    command = f"kadapter pretrain {name} --backbone {backbone.name}{data} --output runs/{name}"
    return f"make them with `{command}` and plug runs/{name}"


def random_options(adapter: Path | str | Mapping[str, Any], registry: Registry | None = None) -> dict[str, Any]:
    """Give the options of an adapter of the same shape with random weights, to measure a trained one against.

    Args:
        adapter: a folder, the name of installed knowledge, or options.
        registry: where names are looked up; by default, what is installed.

    Raises:
        StorageError: the folder holds no adapter.
        UnknownNameError: nobody registered that knowledge, or that type.
    """
    registry = registry or default_registry()
    options = options_of(adapter, registry)
    return registry.adapter_types[str(options["type"])].random_control(options)


def options_of(adapter: Path | str | Mapping[str, Any], registry: Registry) -> Mapping[str, Any]:
    """Give the options of an adapter that is saved, installed or said. Raises as `random_options` does."""
    if isinstance(adapter, Mapping):
        return adapter
    if saved := saved_at(adapter):
        said: Mapping[str, Any] = describe_adapter(saved)["adapter"]
        return said
    return registry.knowledge[str(adapter)].adapter


def saved_at(adapter: Path | str, **access: Unpack[Access]) -> Path | None:
    """Give the folder of what is saved there or on the Hub; None when the name of installed knowledge is meant.

    A plain name is a folder when that holds an adapter.

    Raises:
        StorageError: the Hub does not give it, or its folder is not there.
    """
    if is_on_hub(adapter):
        return fetch_adapter(str(adapter), **access).folder
    if isinstance(adapter, str):
        check_there(adapter)
    is_named = isinstance(adapter, Path) or len(Path(adapter).parts) > 1 or "/" in adapter
    return Path(adapter) if is_named or (Path(adapter) / "adapter.json").is_file() else None


def describe_adapter(folder: Path | str) -> dict[str, Any]:
    """Give what `adapter.json` says.

    Raises:
        StorageError: it is missing, not JSON, of a later format, or lacks an entry.
    """
    purpose = f"no saved adapter in {folder} (`kadapter pretrain … --output {folder}` makes one)"
    return read_description(Path(folder) / "adapter.json", purpose, _ENTRIES)


def read_description(path: Path, purpose: str, entries: Mapping[str, Any]) -> dict[str, Any]:
    """Read a JSON file that says what is saved beside it; `purpose` begins the message when it cannot be read.

    Raises:
        StorageError: it is missing, not JSON, of a later format, or lacks one of `entries`: name -> type.
    """
    description = read_json(path, purpose)
    if description.get("format") != FORMAT:
        raise StorageError(
            f"{path} has format {description.get('format')!r}, this kadapter reads {FORMAT}; "
            f"install the version of kadapter that wrote it"
        )
    check_entries(path, description, entries)
    return description


def check_entries(path: Path, said: Mapping[str, Any], entries: Mapping[str, Any], part: str = "") -> None:
    """Raise StorageError when what a file says, or a `part` of it, lacks one of `entries`: name -> type."""
    for entry, kind in entries.items():
        if not isinstance(said.get(entry, ...), kind):
            problem = "does not say" if entry not in said else "says something else than it should for"
            raise StorageError(f"{path} {problem} '{part}{entry}'; save or download it again")


def types_in(folder: Path, description: Mapping[str, Any]) -> dict[str, Mapping[str, str]]:
    """Give the types that a saved adapter is made of -> `distribution` and `version` that provided them, if it says so.

    Raises:
        StorageError: what it says of them is not that.
    """
    options, holds = description["adapter"], description.get("holds", {})
    known = "provided_by" in description and "type" in options
    own = {str(options["type"]): description["provided_by"]} if known else {}
    said = {**own, **(holds if isinstance(holds, dict) else {"": holds})}
    for provider in said.values():
        facts = [provider.get(fact) for fact in ("distribution", "version")] if isinstance(provider, dict) else [None]
        if not all(isinstance(fact, str) for fact in facts):
            raise StorageError(f"{folder} does not say who provided its adapter type; save or download it again")
    return said


def check_providers(folder: Path, description: Mapping[str, Any], registry: Registry) -> None:
    """Make sure that a saved adapter's types are those of the distributions that provided them when it was saved.

    Raises:
        StorageError: another distribution provides one here.
        UnknownNameError: one is not installed.
    """
    for kind, said in types_in(folder, description).items():
        theirs = f"{said['distribution']} {said['version']}"
        try:
            here = registry.provider("adapter_type", kind)
        except UnknownNameError as error:
            raise UnknownNameError(f"{error}; {folder} was saved with that of {theirs}: install it") from error
        if canonicalize_name(here.distribution) != canonicalize_name(said["distribution"]):
            raise StorageError(
                f"{folder} was saved with adapter type '{kind}' of {theirs}, but here that is a type of "
                f"{here.distribution} {here.version}; install the one in place of the other, or do not trust it"
            )


def save_tensors(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Write tensors to one safetensors file, whole.

    Raises:
        StorageError: the folder cannot be written to.
    """
    with written_whole(path) as aside:
        # Not `save_file`, whose files only their owner may read.
        aside.write_bytes(save({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}))


def load_tensors(module: nn.Module, path: Path) -> None:
    """Load one safetensors file into `module`, every tensor of both sides matched.

    Raises:
        StorageError: the file is missing or damaged, or has other tensors than the module.
    """
    module.load_state_dict(matching(read_tensors(path), module.state_dict(), path))


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Read one safetensors file.

    Raises:
        StorageError: it is missing or damaged.
    """
    try:
        return load_file(path)
    except (OSError, SafetensorError, TypeError, ValueError, RuntimeError) as error:
        # Beside its own error, whatever torch says of shapes that cannot be.
        raise StorageError(f"cannot read {path}: {error}; save or download it again") from error


def matching(found: dict[str, Tensor], wanted: Mapping[str, Tensor], path: Path) -> dict[str, Tensor]:
    """Give `found` when its names, shapes and kinds of numbers are those of `wanted`.

    Raises:
        StorageError: a tensor is missing, is unknown or has another shape, or other numbers.
    """
    missing, unknown = sorted(wanted.keys() - found.keys()), sorted(found.keys() - wanted.keys())
    reshaped = sorted(key for key in wanted.keys() & found.keys() if wanted[key].shape != found[key].shape)
    retyped = sorted(
        key for key in wanted.keys() & found.keys() if not torch.can_cast(found[key].dtype, wanted[key].dtype)
    )
    problems = ("lacks", "has unknown", "has other shapes for", "has other numbers for")
    for problem, keys in zip(problems, (missing, unknown, reshaped, retyped), strict=True):
        if keys:
            names = ", ".join(keys[:3]) + (f" and {len(keys) - 3} more" if keys[3:] else "")
            raise StorageError(f"{path} {problem} {names}; it does not fit its config, save or download it again")
    return found


def check_backbone(folder: Path, trained_on: Mapping[str, Any], backbone: BackboneInfo) -> None:
    """Raise BackboneError unless what is saved in `folder` was trained on this very backbone."""
    for fact in ("width", "layers", "fingerprint"):
        name, said = trained_on.get("name"), trained_on.get(fact)
        if said != getattr(backbone, fact):
            raise BackboneError(
                f"{folder} was trained on backbone '{name}' ({fact} {said}), "
                f"not on '{backbone.name}' ({fact} {getattr(backbone, fact)}); "
                f"load it for backbone '{name}' as that was, or pretrain it again for this one"
            )


def full_name(backbone: Mapping[str, Any]) -> str:
    """Give the name by which a backbone that something was trained on is loaded again, at the same commit."""
    revision = backbone.get("revision")
    return f"{backbone['name']}@{revision}" if revision else str(backbone["name"])
