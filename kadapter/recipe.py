"""A recipe: one YAML file that says a whole run."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from kadapter.config import differences, make_config, read_yaml_file, replace_options, write_yaml
from kadapter.errors import ConfigError
from kadapter.files import write_text
from kadapter.registry import Registry, default_registry
from kadapter.sizes import bytes_of

Part = Literal["head", "composition", "adapters", "backbone"]
"""What can be trained."""


@dataclass(frozen=True)
class Training:
    """How a model is trained.

    Attributes:
        epochs: passes over the training split.
        batch_size: sentences, on each device.
        learning_rate: at the top of the schedule: linear warm-up, then linear decay to 0.
        weight_decay: of AdamW.
        warmup: share of all steps.
        clip: largest norm of the gradient.
        seed: of the initial weights, the order of the data and dropout.
        precision: of the computation; weights stay in float32.
        gradient_checkpointing: whether a backward pass through the backbone computes its layers again: less memory,
            more time.
        trains: what gets gradients, of "head", "composition", "adapters" (all that are plugged) and "backbone"; null
            is head, composition and the adapters that are new. The rest is frozen.
        report_to: integrations of transformers to log to ("tensorboard", "wandb", …).
        store: where the states of a frozen backbone that adapters read are kept from epoch to epoch and run to run: a
            folder; "auto", the user's cache, for more than one epoch or where they are there already; or "off". The
            numbers are the same.
        store_limit: the most that the store may take, say "20GB"; what was used least recently goes.
    """

    epochs: int = 3
    batch_size: int = 32
    learning_rate: float = 3e-4
    weight_decay: float = 0.01
    warmup: float = 0.1
    clip: float = 1.0
    seed: int = 0
    precision: Literal["float32", "bfloat16"] = "float32"
    gradient_checkpointing: bool = False
    trains: tuple[Part, ...] | None = None
    report_to: tuple[str, ...] = ()
    store: str = "auto"
    store_limit: str = "20GB"

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "learning_rate", "clip"):
            self._check(name, 0 < getattr(self, name) < math.inf, "more than 0")
        self._check("weight_decay", 0 <= self.weight_decay < math.inf, "0 or more")
        self._check("warmup", 0 <= self.warmup <= 1, "a share of all steps, 0 to 1")
        self._check("seed", 0 <= self.seed < 2**32, "0 or more and under 2**32")
        self._check("trains", self.trains != (), "one or more of head, composition, adapters, backbone, or null")
        self._check("store", bool(self.store.strip()), "auto, off or a folder")
        bytes_of(self.store_limit)

    def _check(self, name: str, holds: bool, must_be: str) -> None:
        if not holds:
            raise ConfigError(f"training: {name} is {getattr(self, name)}; it must be {must_be}")


@dataclass(frozen=True)
class Recipe:
    """A whole run, said in data.

    Attributes:
        name: of the knowledge, or of what is fine-tuned; the new adapter is plugged under it.
        backbone: alias, folder or hub id; or the folder of a saved model, whose adapters are plugged then.
        source: `name`, `path` if it needs one, `seed` of the split.
        task: `name` and the task's options.
        adapter: the new one: `type`, perhaps `preset`, and the type's options; null makes none.
        adapters: those beside it: name -> folder, name of installed knowledge, or options of another new one.
        composition: `name` and its options; null is that of the saved model, or else "concat", and "alone" where the
            only adapter edits the backbone.
        training: see `Training`.
    """

    name: str
    backbone: str
    source: Mapping[str, Any]
    task: Mapping[str, Any]
    adapter: Mapping[str, Any] | None = None
    adapters: Mapping[str, Any] = field(default_factory=dict)
    composition: Mapping[str, Any] | None = None
    training: Training = field(default_factory=Training)

    def __post_init__(self) -> None:
        for part in ("source", "task"):
            if "name" not in getattr(self, part):
                raise ConfigError(f"recipe: {part} has no name; say which, for instance {part}: {{name: …}}")
        if self.adapter is not None and self.name in self.adapters:
            raise ConfigError(f"recipe: the new adapter and one of adapters are both called '{self.name}'; rename one")

    @classmethod
    def of(cls, knowledge: str, backbone: str, registry: Registry | None = None) -> Recipe:
        """Give the recipe of an installed kind of knowledge.

        Raises:
            UnknownNameError: nobody registered that knowledge.
        """
        module = (registry or default_registry()).knowledge[knowledge]
        training = make_config(Training, module.training, owner=f"training of knowledge '{knowledge}'")
        parts = (module.name, backbone, module.source, module.task, module.adapter)
        return cls(*parts, composition=module.composition, training=training)

    @classmethod
    def of_graph(cls, name: str, backbone: str, graph: Path | str, templates: Path | str | None = None) -> Recipe:
        """Give the recipe of new knowledge: a k-adapter that learns the relations of a graph of one's own.

        Args:
            name: what the adapter will be called.
            backbone: alias, folder or hub id.
            graph: file or folder of triples.
            templates: YAML file, relation -> phrasings; what else the source `graph` can be told is an option of it.
        """
        task, adapter = {"name": "relation-classification"}, {"type": "k-adapter"}
        return cls(name, backbone, graph_source(graph, templates), task, adapter)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], owner: str = "recipe") -> Recipe:
        """Build a recipe from plain data.

        Raises:
            ConfigError: an unknown, missing or ill-typed entry.
        """
        if not isinstance(values, Mapping):
            raise ConfigError(f"{owner} is not a mapping; it needs name, backbone, source, task, adapter")
        said = values.get("training")
        training = make_config(Training, {} if said is None else _as_texts(said), owner=f"{owner}: training")
        return make_config(cls, {**values, "training": training}, owner)

    @classmethod
    def load(cls, path: Path | str) -> Recipe:
        """Read a YAML file.

        Raises:
            ConfigError: it cannot be read, is not YAML, or is not a recipe.
        """
        return cls.from_dict(read_yaml_file(path, "recipe"), owner=f"recipe {path}")

    @property
    def plugs(self) -> dict[str, Any]:
        """What is plugged, in this order: name -> folder, name of installed knowledge, or options of a new adapter."""
        return {**self.adapters, **({self.name: self.adapter} if self.adapter is not None else {})}

    @property
    def new(self) -> frozenset[str]:
        """The names of the adapters that start fresh."""
        return frozenset(name for name, adapter in self.plugs.items() if isinstance(adapter, Mapping))

    def with_options(self, options: Mapping[str, Any]) -> Recipe:
        """Give a recipe in which dotted options are replaced: `{"training.epochs": 5, "adapter.reads": [2]}`.

        Raises:
            ConfigError: an option that there is not.
        """
        values = self.as_dict()
        replace_options(values, options, "recipe")
        return Recipe.from_dict(values)

    def as_dict(self) -> dict[str, Any]:
        """Give plain data that `from_dict` reads."""
        return _plain({**vars(self), "training": vars(self.training)})

    def differences(self, other: Recipe) -> list[str]:
        """Say where another recipe differs, option by option: "training.epochs is 3, not 5" (5 is this one's)."""
        return list(differences(self.as_dict(), other.as_dict()).values())

    def save(self, path: Path) -> None:
        """Write the YAML file, whole."""
        write_text(path, write_yaml(self.as_dict()))


def graph_source(graph: Path | str, templates: Path | str | None) -> dict[str, Any]:
    """Give the options of the source `graph`."""
    said = {"name": "graph", "path": str(graph)}
    return said if templates is None else {**said, "templates": str(templates)}


def _as_texts(training: Any) -> Any:
    """Undo what YAML makes of `store: off` and `store_limit: 300000`: a truth value and a number."""
    if not isinstance(training, Mapping):
        return training
    said = dict(training)
    if said.get("store") is False:
        said["store"] = "off"
    if type(said.get("store_limit")) is int:
        said["store_limit"] = str(said["store_limit"])
    return said


def _plain(value: Any) -> Any:
    """Turn tuples into lists, mappings into dicts and paths into texts, as YAML has them."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, Path) else value
