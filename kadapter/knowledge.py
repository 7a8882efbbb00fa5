"""Kinds of knowledge: where it comes from (a source) and what is made of it (a knowledge module)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from kadapter.config import NoOptions
from kadapter.errors import StorageError
from kadapter.files import read_json

if TYPE_CHECKING:
    from datasets import DatasetDict


@dataclass(frozen=True)
class Knowledge:
    """What a source gave: rows in splits, and their provenance.

    Attributes:
        splits: at least `train`, `validation` and `test`; no fact is in two of them, unless it is `recalled`.
        skipped: how many records were left out, by reason.
        licence: under which licence the data stands.
        content_hash: of the rows, when the source knows it; else they are all read for it.
        origin: what else is known of where the rows come from, ready for JSON; adapters trained on them keep it.
        recalled: whether validation and test ask for what was taught, in other words.
    """

    splits: DatasetDict
    skipped: Mapping[str, int]
    licence: str
    content_hash: str = ""
    origin: Mapping[str, Any] = field(default_factory=dict)
    recalled: bool = False


class KnowledgeSource(ABC):
    """Turns files into rows. A kind of source is a subclass, from a plugin's `register_knowledge_sources`.

    Attributes:
        name: what recipes and the command line call it.
        Config: a frozen dataclass with its options, beside path and seed.
        description: one line for people.
        needs_path: whether the user must say where the data lies.
        examples: for the contracts: options; the `path` of a small sample, or a function that makes one in an empty
            folder and gives its path, or raises DataError where that cannot be; and the `task`, as in a recipe, that
            the rows are for.
    """

    name: ClassVar[str]
    Config: ClassVar[type] = NoOptions
    description: ClassVar[str] = ""
    needs_path: ClassVar[bool] = True
    examples: ClassVar[Sequence[Mapping[str, Any]]] = ()

    def __init__(self, config: Any = None) -> None:
        self.config = self.Config() if config is None else config

    @abstractmethod
    def load(self, path: Path | None, seed: int) -> Knowledge:
        """Read and split. The same `seed` gives the same splits.

        Raises:
            knowledge_data.DataError: the data is not what it should be; names file, line and field.
        """


@dataclass(frozen=True)
class KnowledgeModule:
    """A named kind of knowledge: everything `kadapter pretrain NAME` needs, and the weights when it is trained.

    Attributes:
        name: how it is plugged and asked for.
        description: one line for people.
        adapter: options of the adapter, with its `type` and perhaps a `preset`.
        task: options of the task, with its `name`.
        source: options of the source, with its `name`.
        composition: options of the composition, with its `name`; None is what a recipe that says none gets.
        training: what differs from the defaults of `kadapter.recipe.Training`.
        weights: fingerprint of a backbone -> folder of a saved adapter.
    """

    name: str
    description: str
    adapter: Mapping[str, Any]
    task: Mapping[str, Any]
    source: Mapping[str, Any]
    composition: Mapping[str, Any] | None = field(default_factory=lambda: {"name": "concat"})
    training: Mapping[str, Any] = field(default_factory=dict)
    weights: Mapping[str, Path] = field(default_factory=dict)


def weights_in(folder: Path) -> dict[str, Path]:
    """Find the saved adapters that lie in `folder`, one folder for each backbone: what `KnowledgeModule.weights` is.

    Returns:
        Fingerprint of the backbone -> folder of the adapter; no tensor is read.

    Raises:
        StorageError: an `adapter.json` does not say for which backbone it is, or two are for the same one.
    """
    weights: dict[str, Path] = {}
    for path in sorted(Path(folder).glob("*/adapter.json")):
        fingerprint = _fingerprint(path)
        if fingerprint in weights:
            raise StorageError(
                f"{path.parent} and {weights[fingerprint]} hold adapters for the same backbone ({fingerprint}); "
                f"keep one"
            )
        weights[fingerprint] = path.parent
    return weights


def _fingerprint(path: Path) -> str:
    backbone = read_json(path, "trained weights").get("backbone")
    fingerprint = backbone.get("fingerprint") if isinstance(backbone, Mapping) else None
    if not isinstance(fingerprint, str):
        raise StorageError(f"{path} does not say the fingerprint of a backbone; save or download it again")
    return fingerprint
