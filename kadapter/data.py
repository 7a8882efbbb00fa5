"""From a recipe's source to examples: read, split, fit the task, encode, and keep account of everything."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from datasets import DatasetDict, disable_caching, enable_caching, is_caching_enabled

from kadapter.config import make_config
from kadapter.errors import ConfigError
from kadapter.registry import Registry, default_registry
from kadapter.task import Task, build_task
from knowledge_data import DataError, check_no_pair_shared, content_hash

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import PreTrainedTokenizerBase

    from kadapter.knowledge import Knowledge


SPLITS = ("train", "validation", "test")
"""What every source gives; it may give more."""


@dataclass(frozen=True)
class Examples:
    """The examples of a run.

    Attributes:
        task: with everything filled in that the data decides.
        splits: split -> examples with a column `input_ids`.
        provenance: source, licence, content hash, rows kept and skipped by reason, and the origin if there is one.
    """

    task: Task
    splits: Mapping[str, Dataset]
    provenance: Mapping[str, Any]


@dataclass(frozen=True)
class SourceOptions:
    """What a recipe's `source` says, whatever the kind of source.

    Attributes:
        name: of the source.
        path: where the data lies.
        seed: of the split.
    """

    name: str
    path: str | Path | None = None
    seed: int = 0


def load_knowledge(source: Mapping[str, Any], registry: Registry | None = None) -> Knowledge:
    """Read and split what a recipe's `source` says: `SourceOptions`, and the source's own options.

    Raises:
        UnknownNameError: there is no such source.
        ConfigError: the source needs a path and has none, takes none and has one, has options that it does not
            know, or does not give the three splits.
        knowledge_data.DataError: the data is not what it should be, or a pair of entities is in two splits.
    """
    common = {field.name for field in fields(SourceOptions)}
    shared = {name: value for name, value in source.items() if name in common}
    options = make_config(SourceOptions, shared, owner="source")
    kind = (registry or default_registry()).sources[options.name]
    if kind.needs_path != (options.path is not None):
        problem = "needs to know where the data lies: --data PATH" if kind.needs_path else "reads no file, drop --data"
        raise ConfigError(f"source '{kind.name}' {problem}")
    own = {name: value for name, value in source.items() if name not in common}
    config: Any = make_config(kind.Config, own, owner=f"source '{kind.name}'")
    knowledge = kind(config).load(Path(options.path) if options.path is not None else None, options.seed)
    _check_splits(kind.name, knowledge.splits, knowledge.recalled)
    return knowledge


def _check_splits(source: str, splits: DatasetDict, recalled: bool) -> None:
    missing = [name for name in SPLITS if name not in splits]
    if missing:
        raise ConfigError(f"source '{source}' gives no split {', '.join(missing)}; it must give {', '.join(SPLITS)}")
    if not recalled and all({"subject_id", "object_id"} <= set(splits[name].column_names) for name in SPLITS):
        check_no_pair_shared(DatasetDict({name: splits[name] for name in SPLITS}))


def prepare(
    source: Mapping[str, Any],
    task: Mapping[str, Any],
    tokenizer: PreTrainedTokenizerBase,
    registry: Registry | None = None,
    trained_on: str | None = None,
) -> Examples:
    """Read the source, fit the task to it and encode every split.

    Args:
        source: as in a recipe.
        task: as in a recipe.
        tokenizer: the backbone's.
        registry: where names are looked up; by default, what is installed.
        trained_on: content hash of the data of a run, which this must be.

    Raises:
        ConfigError: the source does not give what the task needs, or is not what a run was trained on.
        knowledge_data.DataError: the data is not what it should be, or nothing is left of a split.
    """
    registry = registry or default_registry()
    knowledge = load_knowledge(source, registry)
    now = knowledge.content_hash or content_hash(knowledge.splits)
    _check_same_data(now, trained_on)
    plain = build_task(task, registry)
    _check_columns(plain, source, knowledge.splits)
    fitted = type(plain)(plain.fit(plain.config, knowledge.splits))
    with _nothing_left_behind():
        encoded = {name: fitted.encode(rows, tokenizer) for name, rows in knowledge.splits.items()}
    for name, split in encoded.items():
        if not len(split.examples):
            lost = ", ".join(f"{count} rows: {reason}" for reason, count in split.skipped.items())
            problem = f"nothing is left of split '{name}' of source '{source['name']}' ({lost})"
            raise DataError(problem, f"give more data, or other options of task '{fitted.name}'")
    provenance = {
        "source": dict(source),
        "licence": knowledge.licence,
        "content_hash": now,
        "skipped": dict(knowledge.skipped),
        "splits": {
            name: {"examples": len(split.examples), "skipped": dict(split.skipped), "lost": dict(split.lost)}
            for name, split in encoded.items()
        },
        **({"origin": dict(knowledge.origin)} if knowledge.origin else {}),
    }
    return Examples(fitted, {name: split.examples for name, split in encoded.items()}, provenance)


@contextmanager
def _nothing_left_behind() -> Iterator[None]:
    """Keep `datasets` from writing examples beside rows that lie in files: they go where the system clears up."""
    enabled = is_caching_enabled()
    disable_caching()
    try:
        yield
    finally:
        if enabled:
            enable_caching()


def _check_same_data(now: str, trained_on: str | None) -> None:
    if trained_on not in (None, now):
        raise ConfigError(
            f"the data has changed since this run was trained (content hash {now}, was {trained_on}), so its test "
            f"split may hold what it was trained on; point --data to the data of the run, or train it again"
        )


def _check_columns(task: Task, source: Mapping[str, Any], splits: DatasetDict) -> None:
    for name, rows in splits.items():
        missing = [column for column in task.columns if column not in rows.column_names]
        if missing:
            raise ConfigError(
                f"task '{task.name}' needs columns {', '.join(missing)}, which split '{name}' of source "
                f"'{source['name']}' lacks; choose a source that fits the task"
            )
