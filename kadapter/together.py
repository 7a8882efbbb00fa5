"""Several models over one frozen backbone, which answer in one pass: their trunk runs once, their branches together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from kadapter.backbone import Backbone
from kadapter.errors import BackboneError, ConfigError, UnknownNameError
from kadapter.model import KnowledgeModel
from kadapter.naming import check_name
from kadapter.output import KnowledgeOutput
from kadapter.passes import run
from kadapter.registry import Registry
from kadapter.storage import read_description


class Together(nn.Module):
    """Models side by side, each with its adapters, composition and head; they do not see each other.

    Attributes:
        models: name -> model.
    """

    def __init__(self, models: Mapping[str, KnowledgeModel]) -> None:
        """Put models together.

        Args:
            models: name -> model, all of them over the same backbone object.

        Raises:
            ConfigError: there is none, or a name cannot be one.
            BackboneError: they have several backbones, or one that was tuned for one of them.
        """
        super().__init__()
        for name in models:
            check_name(name)
        _check_shared([model.backbone for model in models.values()])
        self.models = nn.ModuleDict(models)

    @property
    def backbone(self) -> Backbone:
        """The backbone of all models."""
        return next(iter(self.by_name().values())).backbone

    @classmethod
    def from_pretrained(cls, folders: Mapping[str, Path | str], registry: Registry | None = None) -> Together:
        """Load saved models or runs; their backbone is loaded once.

        Args:
            folders: name -> folder.
            registry: where names are looked up; by default, what is installed.

        Raises:
            ConfigError: there is none.
            BackboneError: a model was made for another backbone than the first, or its backbone was tuned.
            KadapterError: one of its other children says what is wrong with a name or a file.
        """
        models: dict[str, KnowledgeModel] = {}
        for name, folder in folders.items():
            check_name(name)
            _check_frozen(name, Path(folder))
            shared = next(iter(models.values())).backbone if models else None
            models[name] = KnowledgeModel.from_pretrained(folder, registry=registry, backbone=shared)
        return cls(models).eval()

    def by_name(self) -> dict[str, KnowledgeModel]:
        """Give name -> model."""
        return dict(self.models.items())  # type: ignore[arg-type]

    def forward(
        self, asks: Sequence[str] | None = None, exact: bool = False, **batch: Tensor
    ) -> dict[str, KnowledgeOutput]:
        """Let all models answer for the whole batch, or each for the rows that ask for it.

        The clean pass runs once. Adapters that edit from the same layer on go side by side, as one widened batch.

        Args:
            asks: for each row, the name of the model that it is for; None asks all of them for all rows.
            exact: whether each adapter that edits has a pass of its own above the trunk: slower, and bit for bit what
                each model gives by itself; otherwise it is that to float tolerance.
            batch: `input_ids` (B, T), `attention_mask` (B, T), and what backbone and tasks ask for.

        Returns:
            Model -> what it gives; with `asks`, of its own rows, in their order, and of the models that are asked.

        Raises:
            UnknownNameError: a row asks for a model that there is not.
            ConfigError: there are more or fewer of `asks` than rows.
        """
        batch_size = len(batch["input_ids"])
        models = self.by_name() if asks is None else self._asked(asks, batch_size)
        rows = {name: _rows_for(name, asks, batch["input_ids"].device) for name in models} if asks is not None else None
        adapters = {f"{name}/{own}": it for name, model in models.items() for own, it in model.by_name().items()}
        of_adapters = {key: rows[key.partition("/")[0]] for key in adapters} if rows is not None else None
        reads = frozenset[int]().union(*(model.reads for model in models.values()))
        states, features = run(self.backbone, batch, adapters, reads, of_adapters, exact)
        last = states.get(self.backbone.info.layers)
        answers = {}
        for name, model in models.items():
            own = {adapter: features[f"{name}/{adapter}"] for adapter in model.plugged}
            given = {"hidden": last, **batch} if model.reads and last is not None else dict(batch)
            if rows is not None:
                given = {key: _pick(key, it, rows[name], batch_size) for key, it in given.items() if it is not None}
            answers[name] = model.finish(given.pop("hidden", None), own, given)
        return answers

    def _asked(self, asks: Sequence[str], batch: int) -> dict[str, KnowledgeModel]:
        """Give the models that are asked, in their own order."""
        if len(asks) != batch:
            raise ConfigError(f"asks names {len(asks)} models for {batch} rows; name one for each row")
        unknown = sorted(set(asks) - self.by_name().keys())
        if unknown:
            raise UnknownNameError(f"there is no model '{unknown[0]}'; there are {', '.join(self.by_name())}")
        return {name: model for name, model in self.by_name().items() if name in asks}


def _rows_for(name: str, asks: Sequence[str], device: torch.device) -> Tensor:
    return torch.tensor([row for row, asked in enumerate(asks) if asked == name], device=device)


def _pick(field: str, value: Tensor, rows: Tensor, batch: int) -> Tensor:
    if len(value) != batch:
        raise ConfigError(
            f"the batch has {batch} rows and {len(value)} of '{field}'; rows can ask for different models only where "
            f"all that is given has a row for each"
        )
    return value[rows]


def _check_shared(backbones: Sequence[Backbone]) -> None:
    if not backbones:
        raise ConfigError("no model is given; give one or more, by name")
    if any(backbone is not backbones[0] for backbone in backbones):
        raise BackboneError("the models have backbones of their own; load them by `Together.from_pretrained`")
    if backbones[0].info.tuned:
        raise BackboneError(f"backbone '{backbones[0].info.name}' was tuned for one of the models; share a frozen one")


def _check_frozen(name: str, folder: Path) -> None:
    """Raise BackboneError before a shared backbone gets the weights of one that was tuned."""
    purpose = f"no saved model or run in {folder} (`kadapter finetune … --output {folder}` makes one)"
    if read_description(folder / "model.json", purpose, {"backbone": dict})["backbone"]["tuned"]:
        raise BackboneError(
            f"model '{name}' in {folder} has a backbone that was tuned for it alone; train it with a frozen one"
        )
