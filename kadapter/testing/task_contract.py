"""The rules that every task keeps, as tests that a plugin's tests inherit."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import asdict
from typing import Any, ClassVar

import pytest
import torch
from datasets import Dataset, DatasetDict
from torch import Tensor

from kadapter import Backbone, BackboneError, KnowledgeModel, Task
from kadapter.data import SPLITS
from kadapter.task import build_task
from kadapter.testing.backbones import fill_randomly
from kadapter.testing.comparing import assert_close, assert_same
from kadapter.testing.on_backbones import OnBackbones


class TaskContract(OnBackbones):
    """Holds a task to its rules.

    Attributes:
        options: of the task, with its `name`.
    """

    options: ClassVar[Mapping[str, Any]]

    def rows(self) -> DatasetDict:
        """Give rows in `train`, `validation` and `test`, a few of each: by default those of the first example."""
        task = build_task(self.options, self.registry)
        said = [example["rows"] for example in task.examples if "rows" in example]
        if not said:
            raise NotImplementedError(f"{type(self).__name__} gives no rows, nor does {type(task).__name__}.examples")
        return in_every_split(said[0])

    @pytest.fixture
    def splits(self) -> DatasetDict:
        """Give the rows."""
        return self.rows()

    @pytest.fixture
    def task(self, splits: DatasetDict) -> Task:
        """Give the task, fitted to the rows."""
        plain = build_task(self.options, self.registry)
        return type(plain)(plain.fit(plain.config, splits))

    @pytest.fixture
    def encoded(self, task: Task, splits: DatasetDict, backbone: Backbone) -> Dataset:
        """Give the examples of the training split."""
        return task.encode(splits["train"], backbone.tokenizer).examples

    @pytest.fixture
    def examples(self, encoded: Dataset) -> list[dict[str, Any]]:
        """Give the examples of the training split as a list."""
        return list(encoded)

    @pytest.fixture
    def model(self, task: Task, backbone: Backbone) -> KnowledgeModel:
        """Give backbone and head, the head filled at random, in evaluation mode.

        A task may refuse a kind of backbone, as language modelling does.
        """
        try:
            model = KnowledgeModel(backbone, task=task)
        except BackboneError as refused:
            pytest.skip(str(refused))
        fill_randomly(model.get_submodule("head"), seed=1)
        return model.eval()

    def test_it_reads_only_the_columns_that_it_names(
        self, task: Task, splits: DatasetDict, backbone: Backbone, examples: list[dict[str, Any]]
    ) -> None:
        """It reads only the columns that it names."""
        narrow, plain = splits.select_columns(list(task.columns)), build_task(self.options, self.registry)
        assert plain.fit(plain.config, narrow) == task.config
        assert list(task.encode(narrow["train"], backbone.tokenizer).examples) == examples

    def test_fitting_twice_is_fitting_once(self, splits: DatasetDict) -> None:
        """Fitting twice is fitting once, and changes no config that is given."""
        plain = build_task(self.options, self.registry)
        before = deepcopy(plain.config)
        fitted = plain.fit(plain.config, splits)
        assert plain.config == before
        assert plain.fit(fitted, splits) == fitted

    def test_the_fitted_config_survives_json(self, task: Task) -> None:
        """The fitted config survives JSON: what is written into `model.json` gives the same task."""
        said = json.loads(json.dumps({"name": task.name, **asdict(task.config)}))
        assert build_task(said, self.registry).config == task.config

    def test_every_row_becomes_an_example_or_is_counted(
        self, task: Task, splits: DatasetDict, backbone: Backbone
    ) -> None:
        """Every row becomes an example with tokens or is counted: none is lost in silence."""
        for name, rows in splits.items():
            encoded = task.encode(rows, backbone.tokenizer)
            assert len(encoded.examples) + sum(encoded.skipped.values()) == len(rows), f"split '{name}'"
            assert all(len(tokens) for tokens in encoded.examples["input_ids"]), f"split '{name}' has empty examples"

    def test_a_batch_is_padded_to_its_longest_example(
        self, task: Task, backbone: Backbone, examples: list[dict[str, Any]]
    ) -> None:
        """A batch is padded to its longest example: the mask is 1 at tokens, `labels` has a row each."""
        batch = task.collate(examples, backbone.tokenizer)
        lengths = [len(tokens) for example in examples for tokens in _parts(example["input_ids"])]
        assert batch["input_ids"].shape == batch["attention_mask"].shape == (len(lengths), max(lengths))
        assert batch["attention_mask"].sum(1).tolist() == lengths
        assert len(batch["labels"]) == len(examples)

    @pytest.mark.parametrize("side", ["right", "left"])
    def test_batch_mates_do_not_change_the_logits(
        self, task: Task, model: KnowledgeModel, examples: list[dict[str, Any]], side: str
    ) -> None:
        """Neighbours in the batch do not change the logits, whichever side is padded, up to float tolerance."""
        model.backbone.tokenizer.padding_side = side
        alone = [_logits(model, task.collate([example], model.backbone.tokenizer)) for example in examples]
        together = _logits(model, task.collate(examples, model.backbone.tokenizer))
        for number, logits in enumerate(alone):
            own = together[number][task.part(logits.shape[1:], side)]
            assert_close(own, logits[0], f"example {number} in a batch, padded on the {side}")

    def test_the_head_reads_only_the_fields_that_it_names(
        self, task: Task, model: KnowledgeModel, examples: list[dict[str, Any]]
    ) -> None:
        """The head reads only the fields that it names: logits can be had without labels."""
        batch = task.collate(examples, model.backbone.tokenizer)
        inputs = {"input_ids", "attention_mask", *({"token_type_ids"} & batch.keys())}
        narrow = {name: batch[name] for name in inputs | task.fields | (task.may_read & batch.keys())}
        assert_same(_logits(model, narrow), _logits(model, batch), "a batch with nothing but `fields`")

    def test_the_loss_is_finite_and_reaches_the_head(
        self, task: Task, model: KnowledgeModel, examples: list[dict[str, Any]]
    ) -> None:
        """The loss is a finite scalar, and reaches every parameter of the head."""
        loss = model.train()(**task.collate(examples, model.backbone.tokenizer)).loss
        assert loss.dim() == 0
        assert loss.isfinite(), f"the loss is {loss}"
        loss.backward()
        wanting = [(name, parameter) for name, parameter in model.named_parameters() if parameter.requires_grad]
        missed = [name for name, parameter in wanting if parameter.grad is None or not parameter.grad.any()]
        assert not missed, f"no gradient reaches {missed}"

    def test_metrics_are_fractions_and_perfect_logits_are_perfect(
        self, task: Task, model: KnowledgeModel, encoded: Dataset
    ) -> None:
        """Metrics are fractions, and the task's own is 1 for the best logits there are."""
        batch = task.collate(list(encoded), model.backbone.tokenizer)
        logits, labels = _logits(model, batch), batch["labels"].numpy()
        best = torch.as_tensor(task.best_logits(logits.numpy(), labels))
        scores = [
            task.metrics(task.predictions(given, batch).numpy(), labels, encoded) for given in (logits, -logits, best)
        ]
        perfect = scores[-1]
        for metrics in scores:
            assert task.metric in metrics, f"metric '{task.metric}' is not among {sorted(metrics)}"
            fractions = {name: value for name, value in metrics.items() if name not in task.not_fractions}
            assert all(0 <= value <= 1 for value in fractions.values()), f"not fractions: {fractions}"
        assert perfect[task.metric] == pytest.approx(1)


def in_every_split(rows: Sequence[Mapping[str, Any]]) -> DatasetDict:
    """Give the same rows as `train`, `validation` and `test`."""
    return DatasetDict(dict.fromkeys(SPLITS, Dataset.from_list([dict(row) for row in rows])))


def _logits(model: KnowledgeModel, batch: Mapping[str, Tensor]) -> Tensor:
    with torch.no_grad():
        return model(**batch).logits


def _parts(tokens: Sequence[Any]) -> Sequence[Sequence[int]]:
    """Give the token lists of an example, mostly one."""
    return tokens if isinstance(tokens[0], list) else [tokens]
