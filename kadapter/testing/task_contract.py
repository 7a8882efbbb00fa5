"""The rules that every task keeps, as tests that a plugin's tests inherit."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pytest
import torch
from torch import Tensor

from kadapter import Backbone, KnowledgeModel, Registry, Task
from kadapter.task import build_task
from kadapter.testing.backbones import fill_randomly, tiny_backbone
from kadapter.testing.comparing import assert_close, assert_same

if TYPE_CHECKING:
    from datasets import Dataset, DatasetDict


class TaskContract:
    """Holds a task to its rules.

    Attributes:
        options: of the task, with its `name`.
        families: of `FAMILIES`; each gives a tiny backbone and tokenizer.
        registry: where the task is looked up; None is what is installed.
    """

    options: ClassVar[Mapping[str, Any]]
    families: ClassVar[Sequence[str]] = ("roberta", "gpt2")
    registry: ClassVar[Registry | None] = None

    def rows(self) -> DatasetDict:
        """Give rows in `train`, `validation` and `test`, a few of each. Every subclass says which."""
        raise NotImplementedError(f"{type(self).__name__} does not say which rows the task is tested with")

    def perfect_logits(self, logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Give the best possible logits for `labels`, in the shape of `logits`.

        By default, for labels that are numbers of classes; below 0 stands for "not asked".
        """
        return np.eye(logits.shape[-1])[np.clip(labels, 0, None)]

    def part(self, sizes: Sequence[int], side: str) -> tuple[slice, ...]:
        """Say where the logits of a shorter example, of these sizes, stand among those padded on a `side`."""
        return tuple(slice(-size, None) if side == "left" else slice(size) for size in sizes)

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Run every test that needs a backbone once for each family."""
        if "backbone" in metafunc.fixturenames:
            metafunc.parametrize("backbone", self.families, indirect=True)

    @pytest.fixture
    def backbone(self, request: pytest.FixtureRequest) -> Backbone:
        """Give the backbone. A subclass may give another one."""
        return tiny_backbone(request.param)

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
        """Give backbone and head, the head filled at random, in evaluation mode."""
        model = KnowledgeModel(backbone, task=task)
        fill_randomly(model.get_submodule("head"), seed=1)
        return model.eval()

    def test_it_reads_only_the_columns_that_it_names(
        self, task: Task, splits: DatasetDict, backbone: Backbone, examples: list[dict[str, Any]]
    ) -> None:
        """`fit` and `encode` give the same for rows with nothing but `columns`."""
        narrow, plain = splits.select_columns(list(task.columns)), build_task(self.options, self.registry)
        assert plain.fit(plain.config, narrow) == task.config
        assert list(task.encode(narrow["train"], backbone.tokenizer).examples) == examples

    def test_fitting_twice_is_fitting_once(self, splits: DatasetDict) -> None:
        """`fit` changes no config that is given, and nothing of one that is fitted already."""
        plain = build_task(self.options, self.registry)
        before = deepcopy(plain.config)
        fitted = plain.fit(plain.config, splits)
        assert plain.config == before
        assert plain.fit(fitted, splits) == fitted

    def test_the_fitted_config_survives_json(self, task: Task) -> None:
        """What is written into `model.json` gives the same task."""
        said = json.loads(json.dumps({"name": task.name, **asdict(task.config)}))
        assert build_task(said, self.registry).config == task.config

    def test_every_row_becomes_an_example_or_is_counted(
        self, task: Task, splits: DatasetDict, backbone: Backbone
    ) -> None:
        """No row is lost in silence; the examples have tokens."""
        for name, rows in splits.items():
            encoded = task.encode(rows, backbone.tokenizer)
            assert len(encoded.examples) + sum(encoded.skipped.values()) == len(rows), f"split '{name}'"
            assert all(len(tokens) for tokens in encoded.examples["input_ids"]), f"split '{name}' has empty examples"

    def test_a_batch_is_padded_to_its_longest_example(
        self, task: Task, backbone: Backbone, examples: list[dict[str, Any]]
    ) -> None:
        """`input_ids` and `attention_mask` are (B, T), the mask is 1 at tokens; `labels` has a row each."""
        batch = task.collate(examples, backbone.tokenizer)
        lengths = [len(tokens) for example in examples for tokens in _parts(example["input_ids"])]
        assert batch["input_ids"].shape == batch["attention_mask"].shape == (len(lengths), max(lengths))
        assert batch["attention_mask"].sum(1).tolist() == lengths
        assert len(batch["labels"]) == len(examples)

    @pytest.mark.parametrize("side", ["right", "left"])
    def test_batch_mates_do_not_change_the_logits(
        self, task: Task, model: KnowledgeModel, examples: list[dict[str, Any]], side: str
    ) -> None:
        """An example has the same logits alone as in a batch, whichever side is padded, up to float tolerance."""
        model.backbone.tokenizer.padding_side = side
        alone = [_logits(model, task.collate([example], model.backbone.tokenizer)) for example in examples]
        together = _logits(model, task.collate(examples, model.backbone.tokenizer))
        for number, logits in enumerate(alone):
            own = together[number][self.part(logits.shape[1:], side)]
            assert_close(own, logits[0], f"example {number} in a batch, padded on the {side}")

    def test_the_head_reads_only_the_fields_that_it_names(
        self, task: Task, model: KnowledgeModel, examples: list[dict[str, Any]]
    ) -> None:
        """Beside the hidden states, `fields` are all that it needs of a batch: logits can be had without labels."""
        batch = task.collate(examples, model.backbone.tokenizer)
        inputs = {"input_ids", "attention_mask", *({"token_type_ids"} & batch.keys())}
        narrow = {name: batch[name] for name in inputs | task.fields}
        assert_same(_logits(model, narrow), _logits(model, batch), "a batch with nothing but `fields`")

    def test_the_loss_is_finite_and_reaches_the_head(
        self, task: Task, model: KnowledgeModel, examples: list[dict[str, Any]]
    ) -> None:
        """A scalar; every parameter of the head gets a gradient."""
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
        """Every metric lies in 0 to 1; the task's own is 1 for the best logits there are."""
        batch = task.collate(list(encoded), model.backbone.tokenizer)
        logits, labels = _logits(model, batch), batch["labels"].numpy()
        best = torch.as_tensor(self.perfect_logits(logits.numpy(), labels))
        scores = [
            task.metrics(task.predictions(given, batch).numpy(), labels, encoded) for given in (logits, -logits, best)
        ]
        perfect = scores[-1]
        for metrics in scores:
            assert task.metric in metrics, f"metric '{task.metric}' is not among {sorted(metrics)}"
            assert all(0 <= value <= 1 for value in metrics.values()), f"not fractions: {metrics}"
        assert perfect[task.metric] == pytest.approx(1)


def _logits(model: KnowledgeModel, batch: Mapping[str, Tensor]) -> Tensor:
    with torch.no_grad():
        return model(**batch).logits


def _parts(tokens: Sequence[Any]) -> Sequence[Sequence[int]]:
    """Give the token lists of an example, mostly one."""
    return tokens if isinstance(tokens[0], list) else [tokens]
