"""The laws that every source of knowledge keeps, as tests that a plugin's tests inherit."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, fields
from itertools import combinations
from pathlib import Path
from typing import Any, ClassVar

import pytest
from datasets import DatasetDict

from kadapter import Knowledge, KnowledgeSource, Registry
from kadapter.config import make_config
from kadapter.data import SPLITS, SourceOptions, load_knowledge, prepare
from kadapter.registry import default_registry
from kadapter.testing.backbones import tiny_tokenizer
from knowledge_data import DataError, check_no_pair_shared, content_hash


class SourceContract:
    """Holds a source to the laws, with a small sample of what it reads.

    Attributes:
        options: of the source as a recipe says them: its `name`, the `path` of a sample if it needs one, its own
            options; what they leave out is that of its first example.
        task: options of the task that the rows are for, with its `name`; None leaves that law out.
        registry: where names are looked up; None is what is installed.
    """

    options: ClassVar[Mapping[str, Any]]
    task: ClassVar[Mapping[str, Any] | None] = None
    registry: ClassVar[Registry | None] = None

    def sample(self, folder: Path) -> dict[str, Any]:
        """Give the `path` of a small sample, and options; what must be made for it is made in `folder`."""
        return sample_of(self._kind(), folder)

    @pytest.fixture
    def said(self, tmp_path: Path) -> dict[str, Any]:
        """Give the source as a recipe says it, its sample made if it must be."""
        try:
            return {**self.sample(tmp_path / "sample"), **self.options}
        except DataError as error:
            pytest.skip(f"no sample can be made: {error}")

    @pytest.fixture
    def source(self, said: dict[str, Any]) -> KnowledgeSource:
        """Give the source."""
        kind = self._kind()
        return kind(make_config(kind.Config, own_options(said), owner=f"source '{kind.name}'"))

    @pytest.fixture
    def knowledge(self, source: KnowledgeSource, said: dict[str, Any]) -> Knowledge:
        """Give what it reads of the sample."""
        return source.load(_place(said), seed=0)

    def _kind(self) -> type[KnowledgeSource]:
        return (self.registry or default_registry()).sources[self.options["name"]]

    def test_it_says_what_it_reads(self) -> None:
        """It says in one line what it reads."""
        description = self._kind().description
        assert description.strip(), f"{self._kind().__name__}.description is empty"
        assert len(description.splitlines()) == 1, f"more than one line: {description!r}"

    def test_its_options_survive_json(self, source: KnowledgeSource) -> None:
        """Its options survive JSON: what a run writes down gives the same source."""
        said = json.loads(json.dumps(asdict(source.config)))
        assert make_config(type(source.config), said, owner="what was written") == source.config

    def test_there_are_three_splits_with_rows(self, knowledge: Knowledge) -> None:
        """It gives train, validation and test, with rows in each."""
        empty = [name for name in SPLITS if not len(knowledge.splits.get(name, ()))]
        assert not empty, f"no rows in {', '.join(empty)}"

    def test_the_same_seed_gives_the_same_splits(
        self, source: KnowledgeSource, knowledge: Knowledge, said: dict[str, Any]
    ) -> None:
        """The same seed gives the same splits."""
        again = source.load(_place(said), seed=0)
        assert content_hash(again.splits) == content_hash(knowledge.splits), "a second time the splits are others"

    def test_no_row_and_no_fact_is_in_two_splits(self, knowledge: Knowledge) -> None:
        """No row is in two splits, and no pair of entities in two of train, validation and test."""
        rows = {name: set(map(_as_text, split)) for name, split in knowledge.splits.items()}
        for one, other in combinations(rows, 2):
            shared = rows[one] & rows[other]
            assert not shared, f"{one} and {other} share {len(shared)} rows, such as {min(shared)}"
        three = DatasetDict({name: knowledge.splits[name] for name in SPLITS})
        if all({"subject_id", "object_id"} <= set(split.column_names) for split in three.values()):
            check_no_pair_shared(three)

    def test_rows_are_plain(self, knowledge: Knowledge) -> None:
        """Rows and their origin are plain: JSON gives them back, and every split has the same columns."""
        columns = {name: split.column_names for name, split in knowledge.splits.items()}
        assert all(names == columns["train"] for names in columns.values()), f"columns differ: {columns}"
        for plain in (*(split.to_list() for split in knowledge.splits.values()), dict(knowledge.origin)):
            assert json.loads(json.dumps(plain)) == plain

    def test_what_was_skipped_is_counted(self, knowledge: Knowledge) -> None:
        """What was left out is counted, by reason."""
        for reason, count in knowledge.skipped.items():
            assert reason, f"{count} without a reason"
            assert type(count) is int, f"{reason}: {count!r} is no count"
            assert count >= 0, f"{reason}: {count}"

    def test_the_licence_is_said(self, knowledge: Knowledge) -> None:
        """The licence of the data is said."""
        assert knowledge.licence.strip(), "licence is empty; say whose it is to say, if nothing is known"

    def test_a_path_that_leads_nowhere_is_an_error(self, source: KnowledgeSource, tmp_path: Path) -> None:
        """A path that leads nowhere is a DataError that names it."""
        if not source.needs_path:
            pytest.skip("it needs no path")
        with pytest.raises(DataError, match="nowhere-at-all"):
            source.load(tmp_path / "nowhere-at-all", seed=0)

    def test_recipes_can_name_it(self, said: dict[str, Any], knowledge: Knowledge) -> None:
        """A recipe that names it gets the same rows."""
        assert content_hash(load_knowledge(said, self.registry).splits) == content_hash(knowledge.splits)

    def test_rows_fit_the_task(self, said: dict[str, Any]) -> None:
        """The rows fit the task that they are for: every split gives examples."""
        if self.task is None:
            pytest.skip("no task is named")
        examples = prepare(said, self.task, tiny_tokenizer(), self.registry)
        assert all(len(split) for split in examples.splits.values())


def sample_of(kind: type[KnowledgeSource], folder: Path, number: int = 0) -> dict[str, Any]:
    """Give one of a source's examples as a recipe says it; a sample that must be made is made in `folder`."""
    example = {name: value for name, value in [*kind.examples, {}][number].items() if name != "task"}
    if callable(example.get("path")):
        folder.mkdir(parents=True, exist_ok=True)
        example["path"] = example["path"](folder)
    return example


def own_options(said: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out what a recipe says to any source."""
    shared = {field.name for field in fields(SourceOptions)}
    return {name: value for name, value in said.items() if name not in shared}


def _place(said: Mapping[str, Any]) -> Path | None:
    return Path(said["path"]) if "path" in said else None


def _as_text(row: Mapping[str, Any]) -> str:
    return json.dumps(row, sort_keys=True, default=str)
