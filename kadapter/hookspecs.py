"""The seven hooks by which a plugin says what it gives.

A plugin is a module (or another object) that an entry point of the group `kadapter` names. A function there
that is marked with `hookimpl` and named after a hook returns a list of things, each with a `name`. Hooks have
no arguments and are called once, when a name is first looked up. Built-ins come in through the same hooks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from kadapter.adapter import Adapter
    from kadapter.backbone import BackboneAlias
    from kadapter.composition import Composition
    from kadapter.formats import Format
    from kadapter.knowledge import KnowledgeModule, KnowledgeSource
    from kadapter.task import Task

ENTRY_POINT_GROUP = "kadapter"
"""The group of entry points in which a distribution names its plugins."""

hookspec = pluggy.HookspecMarker("kadapter")
"""Marks a function of this module as a hook."""

hookimpl = pluggy.HookimplMarker("kadapter")
"""Marks a function of a plugin as its answer to the hook of the same name."""


@hookspec
def register_adapter_types() -> list[type[Adapter]]:
    """Give types of adapters.

    This one reads the backbone's last state through a narrow layer:

        from dataclasses import dataclass

        from torch import Tensor, nn

        from kadapter import Adapter, BackboneInfo, HiddenStates, hookimpl

        @dataclass(frozen=True)
        class LowRankConfig:
            rank: int = 8

        class LowRankReader(Adapter):
            name = "low-rank"
            Config = LowRankConfig

            def __init__(self, config: LowRankConfig, backbone: BackboneInfo) -> None:
                super().__init__(config, backbone)
                self.reads = (backbone.layers,)
                self.down = nn.Linear(backbone.width, config.rank)
                self.up = nn.Linear(config.rank, backbone.width)

            def forward(self, states: HiddenStates) -> Tensor:
                return self.up(self.down(states[self.reads[0]]))

        @hookimpl
        def register_adapter_types() -> list[type[Adapter]]:
            return [LowRankReader]
    """
    return []


@hookspec
def register_compositions() -> list[type[Composition]]:
    """Give ways to mix the backbone's last state with the features of the adapters.

    This one takes the mean of them all:

        from collections.abc import Mapping
        from dataclasses import make_dataclass

        import torch
        from torch import Tensor

        from kadapter import Composition, hookimpl

        class Mean(Composition):
            name = "mean"
            Config = make_dataclass("NoOptions", [], frozen=True)

            def forward(self, hidden: Tensor, features: Mapping[str, Tensor]) -> Tensor:
                return torch.stack([hidden, *features.values()]).mean(dim=0)

        @hookimpl
        def register_compositions() -> list[type[Composition]]:
            return [Mean]
    """
    return []


@hookspec
def register_tasks() -> list[type[Task]]:
    """Give tasks: from rows to tokens, from features to a loss and metrics.

    This one says from a sentence's first token how many points, 0 to 1, the sentence deserves:

        from collections import Counter
        from dataclasses import make_dataclass

        import torch
        from torch import nn

        from kadapter import Encoded, Task, hookimpl

        class FirstToken(nn.Linear):
            def forward(self, hidden, batch):
                return super().forward(hidden[:, 0])

        class Rating(Task):
            name = "rating"
            Config = make_dataclass("NoOptions", [], frozen=True)
            metric = "closeness"
            columns = ("text", "points")

            @classmethod
            def fit(cls, config, splits):
                return config

            def encode(self, rows, tokenizer):
                examples = rows.map(lambda row: tokenizer(row["text"], truncation=True))
                return Encoded(examples, skipped=Counter())

            def collate(self, examples, tokenizer):
                batch = tokenizer.pad([{"input_ids": e["input_ids"]} for e in examples], return_tensors="pt")
                return {**batch, "labels": torch.tensor([[e["points"]] for e in examples])}

            def head(self, width):
                return FirstToken(width, 1)

            def loss(self, logits, batch):
                return nn.functional.mse_loss(logits, batch["labels"])

            def metrics(self, predictions, labels, examples):
                return {"closeness": 1 - float(abs(predictions - labels).mean())}

        @hookimpl
        def register_tasks() -> list[type[Task]]:
            return [Rating]
    """
    return []


@hookspec
def register_knowledge_sources() -> list[type[KnowledgeSource]]:
    """Give sources of knowledge: from files to rows in splits.

    This one reads a table:

        from pathlib import Path

        from datasets import Dataset, DatasetDict

        from kadapter import Knowledge, KnowledgeSource, hookimpl

        class Table(KnowledgeSource):
            name = "table"
            description = "a CSV file with a header"

            def load(self, path: Path, seed: int) -> Knowledge:
                rows = Dataset.from_csv(str(path)).train_test_split(test_size=0.2, seed=seed)
                held_out = rows["test"].train_test_split(test_size=0.5, seed=seed)
                splits = DatasetDict(train=rows["train"], validation=held_out["train"], test=held_out["test"])
                return Knowledge(splits, skipped={}, licence="CC0-1.0")

        @hookimpl
        def register_knowledge_sources() -> list[type[KnowledgeSource]]:
            return [Table]
    """
    return []


@hookspec
def register_knowledge() -> list[KnowledgeModule]:
    """Give kinds of knowledge: a named adapter, its task, its source and, once trained, its weights.

    All that it names may come from any plugin:

        from kadapter import KnowledgeModule, hookimpl

        geography = KnowledgeModule(
            name="geography",
            description="which place lies in which",
            adapter={"type": "k-adapter"},
            task={"name": "relation-classification"},
            source={"name": "table"},
        )

        @hookimpl
        def register_knowledge() -> list[KnowledgeModule]:
            return [geography]
    """
    return []


@hookspec
def register_backbones() -> list[BackboneAlias]:
    """Give short names of backbones.

    What `locate` gives is a folder, or an id on the hub:

        from pathlib import Path

        from kadapter import BackboneAlias, hookimpl

        house = BackboneAlias("house", locate=lambda: Path.home() / "models" / "house", licence="Apache-2.0")

        @hookimpl
        def register_backbones() -> list[BackboneAlias]:
            return [house]
    """
    return []


@hookspec
def register_formats() -> list[type[Format]]:
    """Give foreign formats: from the files of other software to adapters, and perhaps back.

    This one reads and writes the weights of a scalar mix as JSON:

        import json
        from pathlib import Path

        import torch

        from kadapter import Adapter, BackboneInfo, Format, Imported, hookimpl

        class Weights(Format):
            name = "weights"
            description = "a list of weights, one for each state"

            def read(self, place: Path, backbone: BackboneInfo) -> Imported:
                weights = torch.tensor(json.loads(place.read_text()))
                return Imported("", {"type": "scalar-mix"}, {"weights": weights, "factor": torch.ones(())})

            def write(self, adapter: Adapter, name: str, folder: Path) -> None:
                (folder / f"{name}.json").write_text(json.dumps(adapter.weights.tolist()))

        @hookimpl
        def register_formats() -> list[type[Format]]:
            return [Weights]
    """
    return []
