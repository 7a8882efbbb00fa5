"""AdapterHub's prediction heads: those that are one linear layer are the heads of tasks of ours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from kadapter_adapterhub.folders import HEAD, HEAD_WEIGHTS, check_kind, read_description, read_tensors

_TASKS: Mapping[str, Mapping[str, Any]] = {
    "classification": {"name": "sequence-classification", "pool": "first"},
    "tagging": {"name": "token-classification"},
}
"""Type of head -> options of the task whose head is a linear layer over the same features."""


@dataclass(frozen=True)
class Head:
    """What became of a head; the fields are those of `Imported`."""

    task: Mapping[str, Any] | None = None
    head: Mapping[str, Tensor] = field(default_factory=dict)
    skipped: Mapping[str, str] = field(default_factory=dict)


def read_head(folder: Path) -> Head:
    """Read the head that lies beside an adapter, if there is one.

    Raises:
        ConfigError: an entry says something of a kind that it cannot.
        StorageError: its files are damaged.
    """
    if not (folder / HEAD).is_file():
        return Head()
    described = read_description(folder / HEAD, "model_class", "config")
    _check(folder / HEAD, described)
    _, tensors = read_tensors(folder, HEAD_WEIGHTS)
    kind, linear, problem = _form(described)
    weights = {f"linear.{part}": tensors.get(f"{linear}.{part}") for part in ("weight", "bias")}
    found = {name: tensor for name, tensor in weights.items() if tensor is not None}
    if not problem and not len(found) == len(tensors) == 2:
        problem = "a head of other layers than its config says"
    if problem:
        return Head(skipped=dict.fromkeys(tensors, f"{problem}; train a head anew with `kadapter finetune`"))
    return Head({**_TASKS[kind], "labels": _labels(described, found["linear.bias"].numel())}, found)


def _check(file: Path, described: Mapping[str, Any]) -> None:
    """Raise ConfigError unless the entries that matter say what is of their kind; each may be left out."""
    config = described["config"]
    check_kind(file, "config", config, (Mapping, type(None)), "is no mapping")
    if config and str(config.get("head_type")) in _TASKS:
        check_kind(file, "num_labels", config.get("num_labels", 2), (int, float), "is no number")
    for numbers in filter(None, (holder.get("label2id") for holder in (config or {}, described))):
        values = numbers.values() if isinstance(numbers, Mapping) else [None]
        wrong = any(not isinstance(number, int) for number in values)
        check_kind(file, "label2id", numbers, () if wrong else Mapping, "says no number for each label")


def _form(described: Mapping[str, Any]) -> tuple[str, str, str]:
    """Give the type of a head, the path of its linear layer, and why it is none of ours, if it is none."""
    config = described["config"]
    if not isinstance(config, Mapping):
        kind = str(described["model_class"])
        problem = "" if kind.endswith("ForTokenClassification") else f"no task has the head of {kind}"
        return "tagging", "classifier", problem
    kind = str(config.get("head_type"))
    return kind, f"heads.{described.get('name')}.1", _problem(kind, config)


def _problem(kind: str, config: Mapping[str, Any]) -> str:
    if kind not in _TASKS:
        return f"no task has exactly a head of type '{kind}'"
    task = _TASKS[kind]["name"]
    if config.get("layers") != 1:
        return f"the head of task '{task}' is one linear layer, and this one has {config.get('layers')}"
    if config.get("use_pooler"):
        return f"the head of task '{task}' does not read the backbone's pooler"
    return "" if config.get("num_labels", 2) > 1 else f"task '{task}' is no regression"


def _labels(described: Mapping[str, Any], count: int) -> list[str]:
    """Give the labels in the order of their numbers; where they have no names, those that transformers gives."""
    numbers = (described["config"] or {}).get("label2id") or described.get("label2id") or {}
    named = {number: str(label) for label, number in numbers.items()}
    if named.keys() != {*range(count)}:
        named = {number: f"LABEL_{number}" for number in range(count)}
    return [named[number] for number in range(count)]
