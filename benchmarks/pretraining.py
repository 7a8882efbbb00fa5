"""Pretraining an adapter, in sentences a second over five epochs, beside the published recipe (`published.py`).

Then the recipe with one means at a time, and kadapter's own model with all of them. The backbone has random weights
and RoBERTa-base's shape, or is MiniLM; the adapter has three layers of two transformer layers each, of the backbone's
width, beside states at the start, in the middle and near the end, and a head over it and the last state. The last rows
train kadapter's default adapter instead, with the same head over the same examples. Sentences are random tokens, 23 on
average as in the published data. What the store takes to be filled is part of its five epochs. Timed are
three batches of an epoch over 12,800 sentences: each stands for a third of it by length. The same sentences, mixed, are
timed where batches are not made by length.
"""

from __future__ import annotations

import random
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, nullcontext, suppress
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import RobertaConfig, RobertaModel

from benchmarks.models import QUICK, Shape
from benchmarks.published import BATCH, CLASSES, CLIP, LENGTH, PublishedAdapter, all_states, published_reads
from benchmarks.reporting import ratios
from kadapter import Backbone, BackboneError, KnowledgeModel, load_backbone
from kadapter.features import FeatureStore, Folder, FrozenStates, RowSet, rows_of
from kadapter.task import build_task
from kadapter.testing import tiny_backbone, tiny_tokenizer
from kadapter.trainer import LengthGrouped

EPOCHS = 5
Batch = dict[str, Tensor]


@dataclass(frozen=True)
class Means:
    """What makes a training faster.

    Attributes:
        grouped: batches of about equal length, padded to their longest, instead of to `LENGTH`.
        read_states: only the states that are read are kept.
        early_exit: the head looks at the adapter alone, and the backbone ends at the last state that this reads.
        bfloat16: of the computation.
        fused: one kernel for all of AdamW.
        rows: rows of the same length go through the backbone together, without padding.
        store: states come from the feature store.
        usual: the adapter is kadapter's own default, two copied layers beside a state in the middle.
    """

    grouped: bool = False
    read_states: bool = False
    early_exit: bool = False
    bfloat16: bool = False
    fused: bool = False
    rows: bool = False
    store: bool = False
    usual: bool = False


ALL = Means(grouped=True, read_states=True, bfloat16=True, fused=True, rows=True, store=True)

PUBLISHED = "published recipe"

BY_HAND = {
    PUBLISHED: Means(),
    "+ only the states that are read": Means(read_states=True),
    "+ early exit": Means(read_states=True, early_exit=True),
    "+ bfloat16": Means(bfloat16=True),
    "+ batches by length": Means(grouped=True),
    "+ fused AdamW": Means(fused=True),
    "+ feature store": Means(store=True),
}
"""The recipe in plain PyTorch, and one means at a time."""

OURS = {
    "kadapter, float32, no store": replace(ALL, bfloat16=False, store=False),
    "kadapter, float32": replace(ALL, bfloat16=False),
    "kadapter, bfloat16, no store": replace(ALL, store=False),
    "kadapter, bfloat16": ALL,
    "kadapter's default adapter, float32": replace(ALL, bfloat16=False, usual=True),
    "kadapter's default adapter, bfloat16": replace(ALL, usual=True),
}


def measure(quick: bool) -> dict[str, Any]:
    """Time an epoch of every row in turn, over and over, on each backbone."""
    shape = QUICK if quick else Shape(batch=BATCH, tokens=LENGTH, repetitions=2, warm_up=0)
    texts = examples(96 if quick else 12800)
    backbones = {"tiny": tiny_backbone("roberta")} if quick else real_backbones()
    rows = {
        f"{name}, {row}": it for name, made in backbones.items() for row, it in compared(made, texts, shape).items()
    }
    setting = {
        **shape.said(),
        "backbones": list(backbones),
        "sentences": len(texts),
        "epochs": EPOCHS,
    }
    return {"setting": setting, "rows": rows, "drawn": "times_the_recipe"}


def real_backbones() -> dict[str, Backbone]:
    """Give one of RoBERTa-base's shape, and MiniLM where it is installed."""
    random_one = RobertaModel(RobertaConfig(vocab_size=1000, max_position_embeddings=514)).eval()
    made = {"roberta-base": Backbone(random_one, tiny_tokenizer())}
    with suppress(BackboneError):
        made["minilm"] = load_backbone("minilm")
    return made


def compared(backbone: Backbone, texts: list[dict[str, Any]], shape: Shape) -> dict[str, dict[str, float]]:
    """Give the figures of every row: seconds of five epochs, with the filling of a store, and what follows of them."""
    rows: dict[str, Callable[[], object]] = {}
    groups = timed(by_length(texts, epoch=0))
    texts = [text for group in groups for text in group]
    with ExitStack() as stack:
        for name, means in {**BY_HAND, **OURS}.items():
            training = Training(backbone, texts, means, by_hand=name in BY_HAND, groups=groups)
            rows[name] = training.epoch
            if means.store:
                rows[f"{name}: filling"] = training.fill
                training.keep(stack)
        seconds = shape.timed(rows)
    whole = {name: EPOCHS * seconds[name] + seconds.get(f"{name}: filling", 0) for name in {**BY_HAND, **OURS}}
    return {
        name: {
            **figures,
            "sentences_a_second": round(EPOCHS * len(texts) / whole[name], 2),
            "times_the_recipe": round(whole[PUBLISHED] / whole[name], 2),
        }
        for name, figures in ratios(whole, PUBLISHED).items()
    }


def examples(count: int) -> list[dict[str, Any]]:
    """Give random sentences: `input_ids`, and a label."""
    drawn = random.Random(0)
    lengths = [min(LENGTH, max(6, round(drawn.gauss(23, 8)))) for _ in range(count)]
    return [
        {"input_ids": [drawn.randrange(5, 100) for _ in range(n)], "labels": drawn.randrange(CLASSES)} for n in lengths
    ]


def length(text: Mapping[str, Any]) -> int:
    """Count the tokens of a sentence."""
    return len(text["input_ids"])


def timed(batches: list[list[dict[str, Any]]]) -> list[list[dict[str, Any]]]:
    """Give three batches that stand for a third of an epoch each, by their lengths."""
    ordered = sorted(batches, key=lambda batch: sum(map(length, batch)))
    return [ordered[len(ordered) * sixth // 6] for sixth in (1, 3, 5)]


def by_length(texts: list[dict[str, Any]], epoch: int) -> list[list[dict[str, Any]]]:
    """Give the batches of an epoch, of about equal length, as kadapter's trainer does."""
    sampler = LengthGrouped([length(text) for text in texts], BATCH, seed=0)
    sampler.set_epoch(epoch)
    return cut([texts[number] for number in sampler])


def cut(texts: list[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    """Give batches, one after another."""
    return [texts[start : start + BATCH] for start in range(0, len(texts), BATCH)]


class Training:
    """A training that goes on from epoch to epoch."""

    def __init__(
        self,
        backbone: Backbone,
        texts: list[dict[str, Any]],
        means: Means,
        by_hand: bool,
        rate: float = 1e-4,
        groups: list[list[dict[str, Any]]] | None = None,
    ) -> None:
        self.backbone, self.texts, self.means, self.groups = backbone, texts, means, groups
        self.reads = published_reads(backbone.info.layers)
        self.frozen = FrozenStates(backbone, "bfloat16" if means.bfloat16 else "float32")
        self.model = self._by_hand() if by_hand else self._ours()
        trained = [parameter for parameter in self.model.parameters() if parameter.requires_grad]
        self.optimizer = torch.optim.AdamW(trained, lr=rate, foreach=False, fused=means.fused)
        self.trained, self.number = trained, 0
        self.logits = self._logits_by_hand if by_hand else lambda batch: self.model(**batch).logits

    def _by_hand(self) -> nn.Module:
        info = self.backbone.info
        return PublishedAdapter(info.width, info.heads, info.intermediate, self.reads).train()

    def _ours(self) -> nn.Module:
        task = build_task({"name": "sequence-classification", "labels": [str(n) for n in range(CLASSES)]})
        model = KnowledgeModel(self.backbone, task=task)
        published = {"init": "random", "reads": list(self.reads), "width": self.backbone.info.width}
        adapter = model.plug("it", {"type": "k-adapter", **({} if self.means.usual else published)})
        self.reads = tuple(sorted(adapter.reads))
        model.recompose({"name": "concat"})
        if self.means.rows:
            model.clean = self.frozen
        return model.train()

    def accuracy(self, texts: list[dict[str, Any]]) -> float:
        """Score other texts: the fraction that is right."""
        self.model.eval()
        with torch.no_grad():
            batches = map(self._padded, cut(texts))
            right = sum(int((self.logits(batch).argmax(-1) == batch["labels"]).sum()) for batch in batches)
        self.model.train()
        return right / len(texts)

    def batches(self) -> Iterator[Batch]:
        """Give the batches of the next epoch."""
        self.number += 1
        if self.means.grouped:
            yield from map(self._padded, self.groups or by_length(self.texts, self.number))
        else:
            drawn = random.Random(self.number).sample(self.texts, len(self.texts))
            yield from map(self._padded, cut(drawn))

    def _padded(self, texts: list[dict[str, Any]]) -> Batch:
        longest = max(map(length, texts)) if self.means.grouped else LENGTH
        batch = self.backbone.tokenizer.pad(
            [{"input_ids": text["input_ids"]} for text in texts],
            padding="max_length",
            max_length=longest,
            padding_side="right",
            return_tensors="pt",
        )
        labels = torch.tensor([text["labels"] for text in texts])
        return {"input_ids": batch["input_ids"], "attention_mask": batch["attention_mask"], "labels": labels}

    def epoch(self) -> None:
        """Train for an epoch."""
        for batch in self.batches():
            precise = torch.autocast("cpu", torch.bfloat16) if self.means.bfloat16 else nullcontext()
            with precise:
                loss = functional.cross_entropy(self.logits(batch), batch["labels"])
            loss.backward()
            nn.utils.clip_grad_norm_(self.trained, CLIP)
            self.optimizer.step()
            self.optimizer.zero_grad()

    def _logits_by_hand(self, batch: Batch) -> Tensor:
        states = self._states(batch)
        return self.model(states, states[max(states)], batch["attention_mask"].bool())

    def _states(self, batch: Batch) -> Mapping[int, Tensor]:
        inputs = {name: batch[name] for name in ("input_ids", "attention_mask")}
        reads = frozenset(self.reads if self.means.early_exit else (*self.reads, self.backbone.info.layers))
        if self.means.store:
            return self.frozen(inputs, reads).states
        if self.means.read_states:
            return self.backbone(inputs, reads).states
        return all_states(self.backbone.model, inputs)

    def fill(self) -> None:
        """Fill a new store, and leave it."""
        with ExitStack() as stack:
            self._filled(stack)

    def keep(self, stack: ExitStack) -> None:
        """Read from a new store, which stays as long as the stack does."""
        self.frozen.kept = tuple(self._filled(stack))

    def _filled(self, stack: ExitStack) -> list[Folder]:
        store = FeatureStore(stack.enter_context(tempfile.TemporaryDirectory()))
        rows = rows_of(self._padded(self.texts), self.backbone.accepts) or []
        folders = stack.enter_context(store.opened(self.frozen, [RowSet(rows, ["input_ids"])]))
        store.fill(folders, frozenset({*self.reads, self.backbone.info.layers}), self.frozen)
        return folders
