"""Compose saved or installed adapters into one model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from kadapter.errors import ConfigError
from kadapter.files import check_free
from kadapter.model import KnowledgeModel
from kadapter.registry import Registry
from kadapter.storage import describe_adapter, full_name, saved_at


def compose(
    adapters: Mapping[str, Path | str],
    output: Path | str,
    backbone: str | None = None,
    composition: Mapping[str, Any] | None = None,
    registry: Registry | None = None,
) -> KnowledgeModel:
    """Plug adapters side by side and write the model, which `KnowledgeModel.from_pretrained` loads.

    Args:
        adapters: name -> folder of a saved adapter, or name of installed knowledge.
        output: a new or empty folder.
        backbone: alias, folder or hub id; by default the one that the first folder's adapter was trained on.
        composition: `name` and options; by default "concat", which starts as a mean and is trained by `finetune`;
            for one adapter that edits, "alone".
        registry: where names are looked up; by default, what is installed.

    Raises:
        ConfigError: no adapter is given, or no backbone and no folder.
        StorageError: the folder is not free or cannot be written to.
        KadapterError: one of its children says what is wrong with the backbone, a name or a file.
    """
    if not adapters:
        raise ConfigError("nothing to compose; give folders of saved adapters or names of installed knowledge")
    check_free(Path(output))
    backbone = backbone or backbone_of(adapters.values())
    model = KnowledgeModel.from_pretrained(backbone, adapters, composition, registry)
    if composition is None:
        model.recompose(model.usual_composition("concat"), registry)
    model.save_pretrained(output, registry)
    return model


def backbone_of(adapters: Iterable[Path | str]) -> str:
    """Say which backbone the first of these that is saved was trained on; the others are installed knowledge.

    Raises:
        ConfigError: none is saved in a folder or on the Hub.
    """
    adapters = list(adapters)
    for place in adapters:
        if saved := saved_at(place):
            return full_name(describe_adapter(saved)["backbone"])
    asked = ", ".join(map(str, adapters))
    raise ConfigError(f"which backbone for {asked}? Say --backbone minilm, or another alias or folder")
