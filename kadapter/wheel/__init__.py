"""A saved adapter becomes a package: `pip install` it, and its knowledge is a name."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from kadapter.errors import StorageError
from kadapter.files import folder_written_whole
from kadapter.registry import Registry, default_registry
from kadapter.wheel.about import about
from kadapter.wheel.project import build, side_files, write_project
from kadapter.wheel.saved import check_together, read_saved


@dataclass(frozen=True)
class Packed:
    """What `pack` made.

    Attributes:
        wheel: the file that pip installs.
        source: folder of the source project, if it was asked for.
        knowledge: under which name the adapter is plugged once it is installed.
        backbones: those that it has weights for, as they were called in training.
        requires: the distributions that it needs, with the versions that will do.
        files: the small files that options of its source name, such as templates, which are in the package.
    """

    wheel: Path
    source: Path | None
    knowledge: str
    backbones: tuple[str, ...]
    requires: tuple[str, ...]
    files: tuple[str, ...] = ()


def pack(
    folders: Iterable[Path | str],
    name: str,
    knowledge: str | None = None,
    version: str = "0.1.0",
    licence: str | None = None,
    description: str | None = None,
    source: bool = False,
    output: Path | str = "dist",
    registry: Registry | None = None,
) -> Packed:
    """Make a wheel of saved adapters of the same knowledge, one for each backbone; no network is needed.

    The same content gives the same file, byte for byte. Paths of this machine are cut to their last part.

    Args:
        folders: saved adapters, or runs.
        name: of the distribution, for instance "kadapter-geo".
        knowledge: under which name the adapter is plugged; by default, that under which it was saved.
        version: of the distribution.
        licence: of the weights, an SPDX expression or any text; by default, what their cards say, or that of the data
            they were trained on.
        description: one line; by default, what the adapter is and what it was trained on.
        source: whether to write the source project beside the wheel too, in a folder called as the distribution.
        output: where the wheel goes; a wheel of the same name and version is replaced.
        registry: where types are looked up; by default, what is installed.

    Raises:
        ConfigError: a name, version or licence cannot be one, or the adapters do not belong together.
        StorageError: a folder holds no adapter, or one that works in its own run only; or the output cannot be written.
        UnknownNameError: a type is not installed.
    """
    registry = registry or default_registry()
    saved = [read_saved(Path(folder), registry) for folder in folders]
    check_together(saved)
    said = about(saved, name, knowledge, version, licence, description, registry)
    output = Path(output)
    wheel, home = output / f"{said.package}-{said.version}-py3-none-any.whl", output / said.distribution
    if source and home.exists():
        raise StorageError(f"{home} is there already; remove it, or choose another --output")
    with TemporaryDirectory() as place:
        project = Path(place) / said.distribution
        write_project(project, said, saved, registry, relicensed=bool(licence))
        build(project, wheel)
        if source:
            with folder_written_whole(home) as aside:
                shutil.copytree(project, aside, dirs_exist_ok=True)
    files = tuple(str(file) for file in side_files(saved[0]).values())
    backbones = tuple(one.backbone for one in saved)
    return Packed(wheel, home if source else None, said.name, backbones, said.requires, files)
