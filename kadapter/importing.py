"""Bring in adapters that other software saved, and give ours away in its formats."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from kadapter.adapter import build_adapter
from kadapter.backbone import Backbone
from kadapter.composing import backbone_of
from kadapter.files import check_free, folder_written_whole
from kadapter.foreign import unpacked
from kadapter.formats import Imported, build_format
from kadapter.loading import load_backbone
from kadapter.model import KnowledgeModel
from kadapter.naming import as_name, check_name, own_name
from kadapter.registry import Registry, default_registry
from kadapter.storage import load_adapter, matching, save_adapter
from kadapter.task import build_task


def import_adapter(
    format: str,
    place: Path | str,
    backbone: str | Path | Backbone,
    output: Path | str,
    options: Mapping[str, Any] | None = None,
    name: str | None = None,
    registry: Registry | None = None,
    check: Callable[[KnowledgeModel], object] | None = None,
) -> KnowledgeModel:
    """Read an adapter that other software saved, and save it as ours; give a model with it plugged in.

    Args:
        format: name of the format.
        place: file, folder or archive (.zip, .tar.gz) that holds it.
        backbone: alias, folder or hub id of what it was trained on, or that itself.
        output: a new or empty folder, for the adapter; with a task's head, also for the model that has it.
        options: of the format.
        name: what to call it; by default what the files or the place are called.
        registry: where names are looked up; by default, what is installed.
        check: is given the model before anything is written; what it raises leaves nothing behind.

    Raises:
        StorageError: the files cannot be read or do not fit, or the folder is not free.
        KadapterError: another of its children says what is wrong with a name, an option or the backbone.
    """
    registry = registry or default_registry()
    reader = build_format(format, options or {}, registry)
    check_free(Path(output))
    if name is not None:
        check_name(name)
    backbone = _loaded(backbone, registry)
    with unpacked(place) as files:
        imported = reader.read(files, backbone.info)
    name = name or as_name(imported.name or Path(place).name)
    model = _model(imported, name, backbone, Path(place), registry)
    model.by_name()[name].trained_on = {"imported": _origin(format, Path(place), imported, registry)}
    if check is not None:
        check(model)
    _save(model, name, Path(output), registry)
    return model


def _loaded(backbone: str | Path | Backbone, registry: Registry) -> Backbone:
    return backbone if isinstance(backbone, Backbone) else load_backbone(backbone, registry)


def _model(imported: Imported, name: str, backbone: Backbone, place: Path, registry: Registry) -> KnowledgeModel:
    adapter = build_adapter(imported.options, backbone.info, registry)
    _fill(adapter, imported.tensors, place)
    model = KnowledgeModel(backbone, task=build_task(imported.task, registry) if imported.task else None)
    if model.head is not None:
        _fill(model.head, imported.head, place)
    model.plug(name, adapter, registry)
    model.recompose(model.usual_composition("sum"), registry)
    return model.eval()


def _fill(module: nn.Module, tensors: Mapping[str, Tensor], place: Path) -> None:
    module.load_state_dict(matching(dict(tensors), module.state_dict(), place))


def _origin(format: str, place: Path, imported: Imported, registry: Registry) -> dict[str, Any]:
    provider = registry.provider("format", format)
    return {
        "format": format,
        "read_by": {"distribution": provider.distribution, "version": provider.version},
        "place": place.name,
        "origin": dict(imported.origin),
        "skipped": dict(imported.skipped),
    }


def _save(model: KnowledgeModel, name: str, output: Path, registry: Registry) -> None:
    with folder_written_whole(output) as folder:
        save_adapter(folder, model.by_name()[name], name, registry=registry)
        if model.task is not None:
            model.save_around(folder, {name: "."})


def export_adapter(
    format: str,
    adapter: Path | str,
    output: Path | str,
    backbone: str | Path | Backbone | None = None,
    options: Mapping[str, Any] | None = None,
    registry: Registry | None = None,
) -> None:
    """Write one of our adapters as other software saves its own.

    Args:
        format: name of the format.
        adapter: folder of a saved adapter, or name of installed knowledge.
        output: a new or empty folder.
        backbone: alias, folder or hub id, or that itself; by default what the saved adapter was trained on.
        options: of the format.
        registry: where names are looked up; by default, what is installed.

    Raises:
        ConfigError: the format is only read, or cannot say what the adapter is.
        KadapterError: another of its children says what is wrong with a name, a file or the backbone.
    """
    registry = registry or default_registry()
    writer = build_format(format, options or {}, registry)
    check_free(Path(output))
    loaded = load_adapter(adapter, _loaded(backbone or backbone_of([adapter]), registry).info, registry)
    with folder_written_whole(Path(output)) as folder:
        writer.write(loaded, own_name(adapter), folder)
