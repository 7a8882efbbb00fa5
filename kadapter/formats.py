"""Foreign formats: how adapters that other software saved are read as ours, and ours written as theirs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from torch import Tensor

from kadapter.adapter import Adapter, BackboneInfo
from kadapter.config import NoOptions, make_config, replace_options
from kadapter.errors import ConfigError
from kadapter.registry import Registry, default_registry


@dataclass(frozen=True)
class Imported:
    """What a format read: everything that makes an adapter.

    Attributes:
        name: what the files call it; where they say nothing, "": then it is called as the place is.
        options: what builds the adapter, with its `type`.
        tensors: exactly what its `state_dict()` holds.
        origin: what is known of where it comes from, ready for JSON; `adapter.json` keeps it.
        skipped: tensor of the files that was left out -> why.
        task: options of the task whose head the files hold, with its `name`; None when they hold none that fits.
        head: exactly what the `state_dict()` of that task's head holds.
    """

    name: str
    options: Mapping[str, Any]
    tensors: Mapping[str, Tensor]
    origin: Mapping[str, Any] = field(default_factory=dict)
    skipped: Mapping[str, str] = field(default_factory=dict)
    task: Mapping[str, Any] | None = None
    head: Mapping[str, Tensor] = field(default_factory=dict)


class Format(ABC):
    """A foreign format. A kind of format is a subclass, which a plugin returns from `register_formats`.

    Attributes:
        name: what the command line calls it.
        description: one line for people.
        Config: a frozen dataclass with its options.
    """

    name: ClassVar[str]
    description: ClassVar[str] = ""
    Config: ClassVar[type] = NoOptions

    def __init__(self, config: Any = None) -> None:
        self.config = self.Config() if config is None else config

    @abstractmethod
    def read(self, place: Path, backbone: BackboneInfo) -> Imported:
        """Read an adapter that others saved for this backbone; what is not understood is an error or `skipped`.

        Args:
            place: a file or folder. Of an archive, where it was unpacked: without the one folder that is around all.
            backbone: what the adapter is for.

        Raises:
            StorageError: the files cannot be read, or hold something else.
            ConfigError: they hold what kadapter cannot do, or the options do not fit them.
            BackboneError: they are for another backbone.
        """

    def write(self, adapter: Adapter, name: str, folder: Path) -> None:
        """Write one of our adapters; by default, the format is only read.

        Args:
            adapter: what to write.
            name: of the knowledge in it.
            folder: is there and empty; it gets its final place when all is written.

        Raises:
            ConfigError: an adapter of this type, or with these options, cannot be said in this format.
        """
        raise ConfigError(f"format '{self.name}' is only read: nothing can be exported to it")


def build_format(name: str, options: Mapping[str, Any], registry: Registry | None = None) -> Format:
    """Build a format by its name; an option inside another one may be said with a dot between.

    Raises:
        UnknownNameError: nobody registered it.
        ConfigError: it has no such option.
    """
    kind = (registry or default_registry()).formats[name]
    nested: dict[str, Any] = {}
    replace_options(nested, options, owner := f"format '{name}'")
    return kind(make_config(kind.Config, nested, owner))
