"""The format `adapterhub`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import ClassVar

from kadapter import Adapter, BackboneInfo, Format, Imported
from kadapter_adapterhub.bottleneck import read_bottleneck, write_bottleneck
from kadapter_adapterhub.folders import FUSION, find_folder
from kadapter_adapterhub.fusion import read_fusion
from kadapter_adapterhub.heads import read_head


@dataclass(frozen=True)
class AdapterHubConfig:
    """Options of AdapterHub's format.

    Attributes:
        members: of a fusion, name -> folder, of those that do not lie beside it.
    """

    members: Mapping[str, str] = field(default_factory=dict)


class AdapterHub(Format):
    """What AdapterHub's package `adapters` saves: `save_adapter`, `save_adapter_fusion`, `save_adapter_setup`."""

    name: ClassVar[str] = "adapterhub"
    description: ClassVar[str] = "folders of AdapterHub's package `adapters`: bottleneck adapters and fusions"
    Config: ClassVar[type] = AdapterHubConfig

    def read(self, place: Path, backbone: BackboneInfo) -> Imported:
        """Read a bottleneck adapter, or a fusion with its members, and the head beside it where a task has it."""
        folder = find_folder(place)
        if (folder / FUSION).is_file():
            imported = read_fusion(folder, self.config.members, backbone)
        else:
            imported = read_bottleneck(folder, backbone)
        head = read_head(folder)
        return replace(imported, task=head.task, head=head.head, skipped={**imported.skipped, **head.skipped})

    def write(self, adapter: Adapter, name: str, folder: Path) -> None:
        """Write an adapter of type "standard" that trains no norms."""
        write_bottleneck(adapter, name, folder)
