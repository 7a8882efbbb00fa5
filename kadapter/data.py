"""From a recipe's source to examples: read, split, fit the task, encode, and keep account of everything."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kadapter.errors import ConfigError
from kadapter.registry import Registry, default_registry
from kadapter.task import Task, build_task
from knowledge_data import DataError

if TYPE_CHECKING:
    from datasets import Dataset, DatasetDict
    from transformers import PreTrainedTokenizerBase

    from kadapter.knowledge import Knowledge


@dataclass(frozen=True)
class Examples:
    """The examples of a run.

    Attributes:
        task: with everything filled in that the data decides.
        splits: split -> examples with a column `input_ids`.
        provenance: source, licence, content hash, rows kept and skipped by reason.
    """

    task: Task
    splits: Mapping[str, Dataset]
    provenance: Mapping[str, Any]


def load_knowledge(source: Mapping[str, Any], registry: Registry | None = None) -> Knowledge:
    """Read and split what a recipe's `source` says: `name`, perhaps `path`, perhaps `seed`.

    Raises:
        ConfigError: the source needs a path and has none, or has options that it does not know.
        knowledge_data.DataError: the data is not what it should be.
    """
    options = dict(source)
    kind = (registry or default_registry()).sources[str(options.pop("name"))]
    path, seed = options.pop("path", None), options.pop("seed", 0)
    if options:
        raise ConfigError(f"source '{kind.name}' has no option {', '.join(options)}; it has path, seed")
    if kind.needs_path and path is None:
        raise ConfigError(f"source '{kind.name}' needs to know where the data lies: --data PATH")
    return kind().load(Path(path) if path is not None else None, seed)


def prepare(
    source: Mapping[str, Any],
    task: Mapping[str, Any],
    tokenizer: PreTrainedTokenizerBase,
    registry: Registry | None = None,
) -> Examples:
    """Read the source, fit the task to it and encode every split.

    Raises:
        ConfigError: the source does not give what the task needs.
        knowledge_data.DataError: the data is not what it should be, or nothing is left of a split.
    """
    registry = registry or default_registry()
    knowledge = load_knowledge(source, registry)
    plain = build_task(task, registry)
    _check_columns(plain, source, knowledge.splits)
    fitted = type(plain)(plain.fit(plain.config, knowledge.splits))
    encoded = {name: fitted.encode(rows, tokenizer) for name, rows in knowledge.splits.items()}
    for name, split in encoded.items():
        if not len(split.examples):
            raise DataError(f"nothing is left of split '{name}' of source '{source['name']}': {dict(split.skipped)}")
    provenance = {
        "source": dict(source),
        "licence": knowledge.licence,
        "content_hash": content_hash(knowledge.splits),
        "skipped": dict(knowledge.skipped),
        "splits": {
            name: {"examples": len(split.examples), "skipped": dict(split.skipped)} for name, split in encoded.items()
        },
    }
    return Examples(fitted, {name: split.examples for name, split in encoded.items()}, provenance)


def content_hash(splits: DatasetDict) -> str:
    """Give 16 hexadecimal digits that change when any row of any split does."""
    digest = hashlib.sha256()
    for name in sorted(splits):
        digest.update(name.encode())
        for row in splits[name]:
            digest.update(repr(sorted(row.items())).encode())
    return digest.hexdigest()[:16]


def _check_columns(task: Task, source: Mapping[str, Any], splits: DatasetDict) -> None:
    for name, rows in splits.items():
        missing = [column for column in task.columns if column not in rows.column_names]
        if missing:
            raise ConfigError(
                f"task '{task.name}' needs columns {', '.join(missing)}, which split '{name}' of source "
                f"'{source['name']}' lacks; choose a source that fits the task"
            )
