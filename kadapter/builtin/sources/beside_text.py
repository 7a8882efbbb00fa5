"""Any knowledge, and beside it text that is not to be disturbed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import knowledge_data as kd
from kadapter import ConfigError, Knowledge, KnowledgeSource
from kadapter.builtin.sources.places import place_of

if TYPE_CHECKING:
    from datasets import Dataset

_HARBOUR = kd.sample_path("harbour")


@dataclass(frozen=True)
class BesideTextConfig:
    """Options of knowledge beside text.

    Attributes:
        knowledge: the source of what is to be learned, as a recipe says it: `name`, `path`, and its options.
        limit: how many passages to take, drawn by the seed; null takes all.
    """

    knowledge: Mapping[str, Any]
    limit: int | None = None

    def __post_init__(self) -> None:
        if "name" not in self.knowledge:
            raise ConfigError("source 'beside-text': knowledge has no name; say which source teaches")


class BesideText(KnowledgeSource):
    """What another source gives, and passages for a task that holds them: their rows have `hold` true."""

    name: ClassVar[str] = "beside-text"
    Config: ClassVar[type] = BesideTextConfig
    description: ClassVar[str] = "another source, and plain text (file or folder) for a task with `hold`"
    examples: ClassVar[Sequence[Mapping[str, Any]]] = (
        {
            "path": kd.sample_path("text"),
            "knowledge": {
                "name": "graph",
                "path": str(_HARBOUR / "triples.tsv"),
                "templates": str(_HARBOUR / "templates.yaml"),
                "labels": str(_HARBOUR / "labels.tsv"),
                "objective": "cloze",
            },
            "task": {"name": "masked-lm", "objective": "cloze", "hold": 1.0},
        },
    )

    def load(self, path: Path | None, seed: int) -> Knowledge:
        """Read both; the text goes to the training split alone, which it does not score."""
        from datasets import DatasetDict, concatenate_datasets

        # Here and not above: it imports datasets, which a list of plugins need not wait for.
        from kadapter import load_knowledge

        known = load_knowledge({"seed": seed, **self.config.knowledge})
        read = kd.read_text(place_of(self, path))
        passages = read.rows
        if self.config.limit is not None:
            passages = kd.draw(passages, kd.by_text(passages), seed, self.config.limit)
        marked = {name: rows.add_column("hold", [False] * rows.num_rows) for name, rows in known.splits.items()}
        splits = DatasetDict(marked)
        splits["train"] = concatenate_datasets([splits["train"], _like(splits["train"], passages)])
        skipped = {**known.skipped, **read.report.skipped}
        return replace(known, splits=splits, skipped=skipped, content_hash="")


def _like(rows: Dataset, passages: Dataset) -> Dataset:
    """Give the passages the columns of other rows, empty but for the text and the mark."""
    from datasets import Dataset

    count, empty = passages.num_rows, {"string": "", "int64": 0}
    filled = {name: [empty.get(getattr(kind, "dtype", ""), [])] * count for name, kind in rows.features.items()}
    texts = {"text": passages["text"][:], "hold": [True] * count}
    return Dataset.from_dict({**filled, **texts}, features=rows.features)
