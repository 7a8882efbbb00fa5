"""The laws that every kind of knowledge keeps, as tests that a plugin's tests inherit."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import pytest

from kadapter import (
    Adapter,
    Backbone,
    BackboneError,
    KnowledgeModel,
    KnowledgeModule,
    Recipe,
    build_adapter,
    load_adapter,
    load_backbone,
    pretrain,
)
from kadapter.registry import default_registry
from kadapter.storage import describe_adapter
from kadapter.testing.backbones import save_tiny_backbone, tiny_batch
from kadapter.testing.comparing import features_of
from kadapter.testing.on_backbones import OnBackbones
from kadapter.testing.source_contract import sample_of


class KnowledgeContract(OnBackbones):
    """Holds a kind of knowledge to the laws; it is pretrained for a moment on the first example of its source.

    Attributes:
        name: of the knowledge.
    """

    name: ClassVar[str]

    @pytest.fixture
    def module(self) -> KnowledgeModule:
        """Give the knowledge."""
        return (self.registry or default_registry()).knowledge[self.name]

    def test_everything_that_it_names_is_installed(self, module: KnowledgeModule) -> None:
        """The adapter type, composition, task and source that it names are installed."""
        registry = self.registry or default_registry()
        registry.get("adapter_type", str(module.adapter.get("type")))
        for kind in ("composition", "task", "source"):
            registry.get(kind, str(getattr(module, kind).get("name")))

    def test_its_recipe_is_read_back(self, module: KnowledgeModule) -> None:
        """Its recipe is written and read back as it is."""
        recipe = Recipe.of(self.name, "any", self.registry)
        assert Recipe.from_dict(recipe.as_dict()) == recipe

    def test_its_adapter_fits_any_backbone(self, module: KnowledgeModule, backbone: Backbone) -> None:
        """Its adapter can be built for any backbone."""
        adapter = build_adapter(module.adapter, backbone.info, self.registry).eval()
        assert features_of(adapter, backbone, tiny_batch(backbone)).isfinite().all()

    def test_it_can_be_pretrained_and_plugged(self, module: KnowledgeModule, tmp_path: Path) -> None:
        """It can be pretrained on a sample of its source, and plugged in by what that gave."""
        kind = (self.registry or default_registry()).sources[str(module.source["name"])]
        if kind.needs_path and not kind.examples:
            pytest.skip(f"source '{kind.name}' gives no sample: its class can say one in `examples`")
        backbone = str(save_tiny_backbone(self.families[0], tmp_path / "tiny"))
        sample = sample_of(kind, tmp_path / "sample")
        options = {"training.epochs": 1, "source": {**module.source, **sample}}
        recipe = Recipe.of(self.name, backbone, self.registry).with_options(options)
        run = pretrain(recipe, tmp_path / "run", registry=self.registry)
        assert KnowledgeModel.from_pretrained(backbone, [run.folder], registry=self.registry).plugged == (self.name,)

    def test_its_weights_load(self, module: KnowledgeModule) -> None:
        """Its weights load on the backbones that they were trained on."""
        if not module.weights:
            pytest.skip("it brings no weights")
        for fingerprint, folder in module.weights.items():
            said = describe_adapter(folder)["backbone"]
            assert said["fingerprint"] == fingerprint, f"{folder} was trained on {said['fingerprint']}"
        loaded = list(self._loaded(module))
        if not loaded:
            pytest.skip("none of their backbones is installed")
        for adapter, backbone in loaded:
            assert adapter.backbone.fingerprint == backbone.info.fingerprint
            assert features_of(adapter, backbone, tiny_batch(backbone)).isfinite().all()

    def _loaded(self, module: KnowledgeModule) -> Iterator[tuple[Adapter, Backbone]]:
        """Give each adapter that it brings, on its backbone if that is installed."""
        for folder in module.weights.values():
            try:
                backbone = load_backbone(describe_adapter(folder)["backbone"]["name"], registry=self.registry)
            except BackboneError:
                continue
            yield load_adapter(folder, backbone.info, self.registry).eval(), backbone
