"""KnowledgeModel: a frozen backbone, the adapters plugged beside it, their composition, and a task's head."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from kadapter.adapter import Adapter
from kadapter.attention import TextAttention, attention_of, mean_attention
from kadapter.backbone import Backbone
from kadapter.composition import Composition, build_composition
from kadapter.errors import BackboneError, ConfigError, UnknownNameError
from kadapter.generation import Writes
from kadapter.hub import Access, Pushable
from kadapter.loading import load_backbone
from kadapter.naming import Pluggable, check_name, named
from kadapter.output import KnowledgeOutput
from kadapter.passes import CleanPass, run
from kadapter.registry import Registry, default_registry
from kadapter.saved import SavedModel, saved_model, write_around
from kadapter.storage import FORMAT, load_adapter, save_adapter
from kadapter.task import Task, answer, build_task
from kadapter.transformers_like import TransformersLike

if TYPE_CHECKING:
    from typing_extensions import Unpack


class KnowledgeModel(Pushable, TransformersLike, Writes, nn.Module):
    """A backbone with knowledge plugged in.

    Attributes:
        backbone: runs once a pass for all adapters that read it, and once for each that edits it.
        composition: mixes the backbone's last state with the features.
        task: what the head is for, or None.
        clean: what gives the clean pass where all adapters only read; None is the backbone itself.
        exact: whether each adapter works by itself, so that its features are the same, bit for bit, whatever else is
            plugged. False lets several work at once where that is quicker; they are the same to float tolerance then.
        trained_on: what is known of the training of what is no adapter's: recipe, data, metrics; None where nothing was
            loaded, nothing in it where nothing is known.
    """

    trained_on: Mapping[str, Any] | None = None
    clean: CleanPass | None = None
    exact: bool = True

    def __init__(self, backbone: Backbone, composition: Composition | None = None, task: Task | None = None) -> None:
        super().__init__()
        self.backbone = backbone
        self.composition = composition or build_composition({"name": "sum"}, backbone.info.width)
        self.task = task
        self.head = task.head_for(backbone) if task else None
        self.adapters = nn.ModuleDict()

    @property
    def plugged(self) -> tuple[str, ...]:
        """The names of the plugged adapters, in the order of plugging."""
        return tuple(self.adapters)

    def plug(
        self,
        name: str,
        adapter: Pluggable | None = None,
        registry: Registry | None = None,
        **access: Unpack[Access],
    ) -> Adapter:
        """Plug an adapter in under a name of its own, and give it.

        Args:
            name: lower-case letters, digits, `-` and `_`.
            adapter: a folder, an id on the Hub ("user/name@revision"), the options of a fresh one, or the adapter
                itself; None looks `name` up among the knowledge that is installed.
            registry: where names are looked up; by default, what is installed.
            access: how the Hub is reached: `token`, `cache_dir`, `local_files_only`, `force_download`.

        Raises:
            ConfigError: the name is taken or cannot be a name.
            UnknownNameError: nobody registered that knowledge.
            BackboneError: the adapter was made for another backbone.
        """
        self._check_name(name)
        registry = registry or default_registry()
        return self._add(name, self._build(name if adapter is None else adapter, registry, access))

    def _add(self, name: str, adapter: Adapter) -> Adapter:
        device = next(self.backbone.parameters()).device
        self.adapters[name] = adapter.to(device).train(self.training)
        self.composition.plug(name)
        self.composition.to(device)
        return adapter

    def unplug(self, name: str) -> Adapter:
        """Take an adapter out and give it; what the composition learned for it stays until the model is dropped."""
        adapter = self._plugged(name)
        del self.adapters[name]
        return adapter

    def set(self, name: str, **options: Any) -> None:
        """Change options of a plugged adapter, for all passes from here on: `model.set("sst2", layers=5)`.

        Raises:
            UnknownNameError: no adapter of that name is plugged.
            ConfigError: its type has no such options, or none that can be changed once it is built.
        """
        self._plugged(name).set(**options)

    def _plugged(self, name: str) -> Adapter:
        if name not in self.adapters:
            there = ", ".join(self.plugged) or "none"
            raise UnknownNameError(f"no adapter '{name}' is plugged; plugged: {there}")
        return self.adapters[name]  # type: ignore[return-value]

    def recompose(self, composition: Mapping[str, Any], registry: Registry | None = None) -> None:
        """Mix features by a fresh composition from here on.

        Args:
            composition: `name` and options.
            registry: where the name is looked up; by default, what is installed.

        Raises:
            UnknownNameError: nobody registered that composition.
            ConfigError: it has no such option.
        """
        fresh = build_composition(composition, self.backbone.info.width, registry)
        for name in self.plugged:
            fresh.plug(name)
        self.composition = fresh.to(next(self.backbone.parameters()).device).train(self.training)

    def usual_composition(self, several: str) -> dict[str, str]:
        """Say how to mix what is plugged when nobody says: by `several`; one adapter that edits stands alone."""
        replaces = [adapter.replaces for adapter in self.by_name().values()]
        return {"name": "alone" if replaces == [True] else several}

    @contextmanager
    def unplugged(self) -> Iterator[KnowledgeModel]:
        """Take everything out for the length of a `with`: the bare backbone."""
        adapters, self.adapters = self.adapters, nn.ModuleDict()
        try:
            yield self
        finally:
            self.adapters = adapters

    @classmethod
    def from_pretrained(
        cls,
        name: str | Path,
        adapters: Iterable[Pluggable] | Mapping[str, Pluggable] = (),
        composition: Mapping[str, Any] | None = None,
        registry: Registry | None = None,
        backbone: Backbone | None = None,
        revision: str | None = None,
        task: Mapping[str, Any] | None = None,
        **access: Unpack[Access],
    ) -> KnowledgeModel:
        """Load a model that was saved, or a backbone, and plug adapters in.

        Args:
            name: folder or id on the Hub of a saved model or run; or alias, folder or id of a backbone.
            adapters: names of installed knowledge, folders, ids on the Hub ("user/name@revision") or options; a
                mapping also says under which names.
            composition: `name` and options; by default one that needs no training: "alone" for one adapter that
                edits, else "sum".
            registry: where names are looked up; by default, what is installed.
            backbone: a loaded one, for a saved model that was made for it; None loads it.
            revision: branch, tag or commit of `name` on the Hub, which may also be said as "user/name@revision".
            task: `name` and options of what a backbone is asked, such as "masked-lm"; a saved model has its own.
            access: how the Hub is reached: `token`, `cache_dir`, `local_files_only`, `force_download`.

        Raises:
            KadapterError: one of its children says what is wrong with the backbone, a name or a file.
        """
        registry = registry or default_registry()
        saved = saved_model(name, registry, revision, **access)
        for said, given in (("composition", composition), ("task", task)):
            if saved and given is not None:
                raise ConfigError(f"the model saved in {name} has its own {said}; leave `{said}` out")
        if saved:
            model = _load_model(saved, registry, backbone, access)
        else:
            backbone = backbone or load_backbone(name, registry, revision, **access)
            model = cls(backbone, task=build_task(task, registry) if task else None)
        for own_name, adapter in named(adapters, **access):
            model.plug(own_name, adapter, registry, **access)
        if not saved:
            model.recompose(composition or model.usual_composition("sum"), registry)
        return model.eval()

    def save_pretrained(self, folder: Path | str, registry: Registry | None = None) -> None:
        """Write the model, each adapter in `adapters/NAME`; `from_pretrained` gives it back bit for bit.

        Args:
            folder: is made when it is not there; files of the same names are replaced.
            registry: where the providers of the adapters' types are looked up; by default, what is installed.

        Raises:
            StorageError: the folder cannot be written to.
        """
        self.mark()
        places = {name: f"adapters/{name}" for name in self.plugged}
        for name, place in places.items():
            save_adapter(Path(folder) / place, self.adapters[name], name, registry=registry)  # type: ignore[arg-type]
        self.save_around(folder, places)

    def mark(self) -> None:
        """Give a tuned backbone, and what was trained beside it, the fingerprint of its weights as they are now."""
        self.backbone.mark()
        for name in self.plugged:
            adapter: Any = self.adapters[name]
            adapter.backbone = self.backbone.info if adapter.backbone.tuned else adapter.backbone

    def save_around(self, folder: Path | str, places: Mapping[str, str]) -> None:
        """Write everything but the adapters, which lie in `places`: adapter name -> folder inside `folder`.

        Raises:
            StorageError: the folder cannot be written to.
        """
        write_around(Path(folder), self._description(places), self.own_tensors())

    def own_tensors(self) -> dict[str, Tensor]:
        """Give the tensors that are neither an adapter's nor those of a backbone that was never tuned, by name."""
        foreign = ("adapters.",) if self.backbone.info.tuned else ("adapters.", "backbone.")
        return {key: value for key, value in self.state_dict().items() if not key.startswith(foreign)}

    def _description(self, places: Mapping[str, str]) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "backbone": {**self.backbone.loaded.as_dict(), "tuned": self.backbone.info.tuned},
            "adapters": dict(places),
            "composition": {
                "name": self.composition.name,
                **asdict(self.composition.config),
                "plugged": sorted(self.composition.plugged),
            },
            "task": {"name": self.task.name, **asdict(self.task.config)} if self.task else None,
        }

    def gradient_checkpointing_enable(self, **options: Any) -> None:
        """Save memory: a backward pass through the backbone computes its layers again.

        Args:
            options: what transformers' Trainer says of its own way to do it; not needed here.
        """
        self.backbone.checkpointing = True

    def gradient_checkpointing_disable(self) -> None:
        """Keep what is in the layers for the backward pass again."""
        self.backbone.checkpointing = False

    def train(self, mode: bool = True) -> KnowledgeModel:
        """Switch mode; what is frozen stays in evaluation mode, so that no dropout disturbs it."""
        super().train(mode)
        for part in (*self.adapters.values(), self.composition, *([] if self.head is None else [self.head])):
            part.train(mode and any(p.requires_grad for p in part.parameters()))
        return self

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        labels: Tensor | None = None,
        **more: Tensor,
    ) -> KnowledgeOutput:
        """Run the backbone, the adapters side by side on it, then composition and head.

        The clean pass that all adapters read runs once, an adapter that edits has a pass of its own, unless `exact` is
        False.

        Args:
            input_ids: (B, T).
            attention_mask: (B, T).
            token_type_ids: (B, T), of pairs of texts.
            labels: what the task's loss is taken from.
            more: what else backbone and task ask for.
        """
        given = {"attention_mask": attention_mask, "token_type_ids": token_type_ids, "labels": labels, **more}
        batch = {"input_ids": input_ids, **{name: value for name, value in given.items() if value is not None}}
        states, features = run(self.backbone, batch, self.by_name(), self.reads, exact=self.exact, clean=self.clean)
        return self.finish(states.get(self.backbone.info.layers), features, batch)

    @property
    def reads(self) -> frozenset[int]:
        """The states of the clean pass that the composition looks at, or the task."""
        holds = self.task is not None and self.task.holds
        asked = self.composition.reads_backbone or not self.adapters or holds
        return frozenset({self.backbone.info.layers} if asked else ())

    def finish(
        self, hidden: Tensor | None, features: dict[str, Tensor], batch: Mapping[str, Tensor]
    ) -> KnowledgeOutput:
        """Compose, and answer: what comes after backbone and adapters.

        Args:
            hidden: (B, T, W), the backbone's last state, if `reads` asks for it.
            features: adapter -> (B, T, W).
            batch: what the task asks for beside them.
        """
        composed = self.composition(hidden, features)
        loss, logits = answer(self.task, self.head, composed, hidden if self.training else None, batch)
        if loss is not None and self.training:
            penalties = (adapter.penalty() for adapter in self.by_name().values() if adapter.training)
            loss = sum((penalty for penalty in penalties if penalty is not None), start=loss)
            if torch.is_grad_enabled() and not loss.requires_grad:
                # All that is trained was dropped of this batch, which teaches nothing.
                loss = loss.detach().requires_grad_()
        return KnowledgeOutput(loss, logits, composed, hidden, features)

    def attention(self, batches: Iterable[Mapping[str, Tensor]]) -> dict[str, dict[str, dict[str, float]]]:
        """Say what adapters that mix give weight to: adapter -> place -> what is mixed there -> its mean weight.

        The mean is over the real tokens of all batches, in evaluation mode. Adapters that mix nothing are left out.

        Args:
            batches: `input_ids` (B, T), `attention_mask` (B, T) and whatever else.
        """
        with self._evaluating():
            return mean_attention(self.backbone, self.by_name(), batches)

    def attention_of(self, text: str) -> TextAttention:
        """Give the tokens of a text, and what `attention` says for each of them.

        Raises:
            ConfigError: the text has no token, or more than the backbone takes.
        """
        with self._evaluating():
            return attention_of(self.backbone, self.by_name(), text)

    @contextmanager
    def _evaluating(self) -> Iterator[None]:
        training = self.training
        self.eval()
        try:
            yield
        finally:
            self.train(training)

    def by_name(self) -> dict[str, Adapter]:
        """Give name -> adapter, in the order of plugging."""
        return dict(self.adapters.items())  # type: ignore[arg-type]

    def _check_name(self, name: str) -> None:
        check_name(name)
        if name in self.adapters:
            raise ConfigError(f"an adapter '{name}' is plugged already; unplug it or choose another name")

    def _build(self, adapter: Pluggable, registry: Registry, access: Access) -> Adapter:
        if isinstance(adapter, Adapter):
            return self._same_backbone(adapter)
        return load_adapter(adapter, self.backbone.info, registry, **access)

    def _same_backbone(self, adapter: Adapter) -> Adapter:
        theirs, ours = adapter.backbone.fingerprint, self.backbone.info.fingerprint
        if theirs != ours:
            raise BackboneError(
                f"this adapter was built for backbone '{adapter.backbone.name}' (fingerprint {theirs}), "
                f"not for '{self.backbone.info.name}' (fingerprint {ours}); build it for this one"
            )
        return adapter


def _load_model(saved: SavedModel, registry: Registry, backbone: Backbone | None, access: Access) -> KnowledgeModel:
    backbone, said = saved.backbone(registry, backbone, access), saved.said
    options = dict(said["composition"])
    plugged = options.pop("plugged")
    model = KnowledgeModel(
        backbone,
        build_composition(options, backbone.info.width, registry),
        build_task(said["task"], registry) if said["task"] else None,
    )
    for name in map(str, plugged):
        model.composition.plug(name)
    model.load_state_dict(saved.tensors(model.own_tensors()), strict=False)
    backbone.mark()
    for name, adapter in saved.adapters(backbone, registry).items():
        model._add(name, adapter)
    model.trained_on = saved.trained_on()
    return model
