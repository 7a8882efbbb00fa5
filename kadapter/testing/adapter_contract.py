"""The laws that every type of adapter keeps, as tests that a plugin's tests inherit."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from kadapter import (
    Adapter,
    Backbone,
    BackboneError,
    ConfigError,
    KnowledgeModel,
    Site,
    StorageError,
    build_adapter,
    load_adapter,
    save_adapter,
)
from kadapter.testing.backbones import SENTENCES, fill_randomly, tiny_batch
from kadapter.testing.comparing import (
    TOLERANCE,
    assert_close,
    assert_same,
    assert_same_tensors,
    features_of,
    step_by_step,
)
from kadapter.testing.on_backbones import OnBackbones


class AdapterContract(OnBackbones):
    """Holds a type of adapter to the laws. Its parameters are filled at random: an adapter at its start may do nothing.

    Attributes:
        options: of the adapter, with its `type`.
    """

    options: ClassVar[Mapping[str, Any]]
    once: ClassVar[frozenset[str]] = frozenset(
        {
            "test_it_is_not_loaded_for_another_backbone",
            "test_a_missing_tensor_is_an_error",
            "test_an_unknown_tensor_is_an_error",
            "test_an_unknown_option_is_an_error",
        }
    )

    @pytest.fixture
    def adapter(self, backbone: Backbone) -> Adapter:
        """Give the adapter, in evaluation mode."""
        return self.build(backbone)

    def build(self, backbone: Backbone, seed: int = 1) -> Adapter:
        """Build an adapter with random parameters, in evaluation mode."""
        adapter = build_adapter(self.options, backbone.info, self.registry)
        fill_randomly(adapter, seed)
        return adapter.eval()

    def test_it_asks_for_states_layers_and_sites_that_there_are(self, adapter: Adapter, backbone: Backbone) -> None:
        """It reads states 0 to L, borrows layers 1 to L and edits sites that there are."""
        nowhere = [site for site in adapter.edits if site not in backbone.info.sites]
        assert not nowhere, f"edits {nowhere}"
        assert set(adapter.reads) <= set(range(backbone.info.layers + 1)), f"reads {adapter.reads}"
        assert set(adapter.borrows) <= set(range(1, backbone.info.layers + 1)), f"borrows {adapter.borrows}"

    def test_features_have_the_shape_of_a_state(self, adapter: Adapter, backbone: Backbone) -> None:
        """Features are (B, T, W), finite, and made of nothing but the states and calls that it asked for."""
        batch = tiny_batch(backbone)
        features = features_of(adapter, backbone, batch)
        assert features.shape == (*batch["input_ids"].shape, backbone.info.width)
        assert features.isfinite().all(), "features are not finite"

    def test_states_are_read_and_not_written(self, adapter: Adapter, backbone: Backbone) -> None:
        """States are read, never written, as is what an edit is given: others work on them too."""
        own = {"editor": adapter} if adapter.edits else {}
        with torch.no_grad(), pytest.MonkeyPatch.context() as patch:
            patch.setattr(adapter, "edit", _watched(adapter.edit))
            states = backbone(tiny_batch(backbone), frozenset(adapter.reads), frozenset(adapter.borrows), **own)
            before = {state: tensor.clone() for state, tensor in states.states.items()}
            adapter(states)
        for state, tensor in before.items():
            assert_same(states[state], tensor, f"state {state} has been changed")

    def test_evaluation_is_deterministic(self, adapter: Adapter, backbone: Backbone) -> None:
        """The same batch gives the same features, bit for bit."""
        batch = tiny_batch(backbone)
        first = features_of(adapter, backbone, batch)
        assert_same(features_of(adapter, backbone, batch), first, "a second pass gives other features")

    def test_unplugging_gives_the_backbone_back(self, adapter: Adapter, backbone: Backbone) -> None:
        """Unplugging it gives the backbone back bit for bit, even after it was trained."""
        batch, model = tiny_batch(backbone), KnowledgeModel(backbone).eval()
        bare, weights = _last(model, batch), _copied(backbone)
        model.plug("plugged", adapter, self.registry)
        _train(model, batch, "plugged")
        with model.unplugged():
            assert_same(_last(model, batch), bare, "`unplugged` is not the bare backbone")
        model.unplug("plugged")
        assert_same(_last(model, batch), bare, "the backbone without adapters gives other states than before")
        assert_same_tensors(backbone.state_dict(), weights, "a weight of the backbone has changed")

    def test_gradients_reach_the_adapter_and_not_the_backbone(self, adapter: Adapter, backbone: Backbone) -> None:
        """Gradients reach the adapter, and nothing of the backbone, which is frozen."""
        model = KnowledgeModel(backbone)
        model.plug("plugged", adapter, self.registry)
        _backward(model, tiny_batch(backbone), "plugged")
        reached = [name for name, parameter in backbone.named_parameters() if parameter.grad is not None]
        assert not reached, f"the backbone gets a gradient: {reached}"
        gradients = [parameter.grad for parameter in adapter.parameters() if parameter.grad is not None]
        assert all(gradient.isfinite().all() for gradient in gradients), "a gradient is not finite"
        if any(parameter.requires_grad for parameter in adapter.parameters()):
            assert any(gradient.any() for gradient in gradients), "the adapter gets no gradient"

    def test_other_adapters_do_not_change_the_features(self, adapter: Adapter, backbone: Backbone) -> None:
        """Non-interaction: plugging, training or unplugging another adapter never changes its features, nor it theirs.

        The second is one of the same type, and then one that reads every state of the clean pass.
        """
        batch, model = tiny_batch(backbone), KnowledgeModel(backbone).eval()
        alone = features_of(adapter, backbone, batch)
        model.plug("first", adapter.requires_grad_(False), self.registry)
        assert_same(_features(model, batch)["first"], alone, "plugged in, it gives other features")
        for second in (self.build(backbone, seed=2), build_adapter({"type": "scalar-mix"}, backbone.info).eval()):
            own = features_of(second, backbone, batch)
            model.plug("second", second, self.registry)
            together = _features(model, batch)
            assert_same(together["first"], alone, f"another adapter ({second.name}) was plugged in")
            assert_same(together["second"], own, f"beside it, another adapter ({second.name}) gives other features")
            _train(model, batch, "second")
            assert_same(_features(model, batch)["first"], alone, f"another adapter ({second.name}) was trained")
            model.unplug("second")
            assert_same(_features(model, batch)["first"], alone, f"another adapter ({second.name}) was unplugged")

    def test_at_once_each_gives_what_it_gives_by_itself(self, adapter: Adapter, backbone: Backbone) -> None:
        """Several of the type, and one of another, side by side or stacked: up to float tolerance."""
        batch, model = tiny_batch(backbone, SENTENCES[:2]), KnowledgeModel(backbone)
        for number, each in enumerate([adapter, *(self.build(backbone, seed) for seed in range(2, 6))]):
            model.plug(f"number-{number}", each, self.registry)
        model.plug("other", build_adapter({"type": "scalar-mix"}, backbone.info))
        model.eval()
        for seed in (1, 6):
            fill_randomly(adapter, seed)
            model.exact = True
            expected = _features(model, batch)
            model.exact = False
            found = _features(model, batch)
            assert list(found) == list(expected)
            for name, features in expected.items():
                assert_close(found[name], features, f"{name} of several at once")

    @pytest.mark.parametrize("side", ["right", "left"])
    def test_padding_and_batch_mates_do_not_matter(self, adapter: Adapter, backbone: Backbone, side: str) -> None:
        """Padding and neighbours in the batch do not change the features of a sentence, up to float tolerance."""
        bare = KnowledgeModel(backbone).eval()
        own_states = _alone_and_in_a_batch(lambda batch: _last(bare, batch), backbone, side)
        if not all(torch.allclose(alone, together, atol=TOLERANCE) for _, alone, together in own_states):
            pytest.skip(f"padding on the {side} changes the states of this backbone itself")
        features = _alone_and_in_a_batch(lambda batch: features_of(adapter, backbone, batch), backbone, side)
        for sentence, alone, together in features:
            assert_close(together, alone, f"'{sentence}' in a batch, padded on the {side}")

    def test_later_tokens_do_not_change_earlier_features(self, adapter: Adapter, backbone: Backbone) -> None:
        """On a causal backbone it is causal: later tokens do not change the features of earlier ones."""
        if not backbone.info.causal:
            pytest.skip("the backbone is not causal")
        batch = tiny_batch(backbone, SENTENCES[:1])
        tokens = batch["input_ids"]
        before = features_of(adapter, backbone, batch)
        for position in range(1, tokens.shape[1]):
            changed = tokens.clone()
            changed[:, position:] = tokens[:, position:].flip(1).roll(1, 1) + 1
            after = features_of(adapter, backbone, {**batch, "input_ids": changed % len(backbone.tokenizer)})
            assert_close(after[:, :position], before[:, :position], f"tokens from {position} on were changed")

    def test_steps_with_a_cache_give_what_the_whole_pass_gives(self, adapter: Adapter, backbone: Backbone) -> None:
        """On a causal backbone, if it `continues`: tokens that come one by one get the features of a whole pass."""
        if not backbone.info.causal or not adapter.continues:
            pytest.skip("the backbone is not causal, or the adapter does not say that it `continues`")
        batch = tiny_batch(backbone, padding_side="left")
        real = batch["attention_mask"].bool()
        expected = features_of(adapter, backbone, batch)
        assert_close(step_by_step(adapter, backbone, batch)[real], expected[real], "tokens came one by one")

    def test_what_is_saved_is_loaded_bit_for_bit(self, adapter: Adapter, backbone: Backbone, tmp_path: Path) -> None:
        """What is saved is loaded bit for bit: config, tensors and features."""
        loaded = self._saved_and_loaded(adapter, backbone, tmp_path).eval()
        batch = tiny_batch(backbone)
        assert loaded.config == adapter.config
        assert_same_tensors(loaded.state_dict(), adapter.state_dict(), "a tensor was loaded as another one")
        expected = features_of(adapter, backbone, batch)
        assert_same(features_of(loaded, backbone, batch), expected, "the loaded adapter gives other features")

    def test_it_is_not_loaded_for_another_backbone(self, adapter: Adapter, backbone: Backbone, tmp_path: Path) -> None:
        """It is not loaded for another backbone than the one it was made for."""
        save_adapter(tmp_path, adapter, "saved", registry=self.registry)
        with pytest.raises(BackboneError, match="fingerprint"):
            load_adapter(tmp_path, replace(backbone.info, fingerprint="0" * 16), self.registry)

    def test_a_missing_tensor_is_an_error(self, adapter: Adapter, backbone: Backbone, tmp_path: Path) -> None:
        """A missing tensor is an error: none keeps its initial value in silence."""
        if not adapter.state_dict():
            pytest.skip("the adapter has no tensors")
        with pytest.raises(StorageError, match="lacks"):
            self._saved_and_loaded(adapter, backbone, tmp_path, lambda tensors: tensors.popitem())

    def test_an_unknown_tensor_is_an_error(self, adapter: Adapter, backbone: Backbone, tmp_path: Path) -> None:
        """An unknown tensor is an error: none is left out in silence."""
        with pytest.raises(StorageError, match="has unknown no_such_tensor"):
            self._saved_and_loaded(adapter, backbone, tmp_path, lambda t: t.update(no_such_tensor=torch.ones(1)))

    def test_an_unknown_option_is_an_error(self, adapter: Adapter, backbone: Backbone, tmp_path: Path) -> None:
        """An unknown option is an error: none is left out in silence."""
        save_adapter(tmp_path, adapter, "saved", registry=self.registry)
        description = json.loads((tmp_path / "adapter.json").read_text())
        description["adapter"]["no_such_option"] = 1
        (tmp_path / "adapter.json").write_text(json.dumps(description))
        with pytest.raises(ConfigError, match="no_such_option"):
            load_adapter(tmp_path, backbone.info, self.registry)

    def _saved_and_loaded(
        self,
        adapter: Adapter,
        backbone: Backbone,
        folder: Path,
        edit: Callable[[dict[str, Tensor]], object] = lambda tensors: None,
    ) -> Adapter:
        save_adapter(folder, adapter, "saved", registry=self.registry)
        tensors = load_file(folder / "adapter.safetensors")
        edit(tensors)
        save_file(tensors, folder / "adapter.safetensors")
        return load_adapter(folder, backbone.info, self.registry)


def _watched(edit: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Let `edit` fail when it changes what it is given."""

    def run(site: Site, hidden: Tensor, entering: Tensor, norm: Callable[[Tensor], Tensor]) -> Tensor:
        given = {"hidden": hidden, "entering": entering}
        before = {name: tensor.clone() for name, tensor in given.items()}
        edited = edit(site, hidden, entering, norm)
        for name, tensor in before.items():
            assert_same(given[name], tensor, f"`edit` has changed {name}, which it was given at {site}")
        return edited

    return run


def _last(model: KnowledgeModel, batch: Mapping[str, Tensor]) -> Tensor:
    with torch.no_grad():
        return model(**batch).last_hidden_state


def _features(model: KnowledgeModel, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
    with torch.no_grad():
        return model(**batch).features


def _copied(backbone: Backbone) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in backbone.state_dict().items()}


def _alone_and_in_a_batch(
    give: Callable[[Mapping[str, Tensor]], Tensor], backbone: Backbone, side: str
) -> Iterator[tuple[str, Tensor, Tensor]]:
    """Give each sentence, and what is given for its tokens when it is alone and when it is padded, (T, W) each."""
    batch = tiny_batch(backbone, SENTENCES, side)
    together, real = give(batch), batch["attention_mask"].bool()
    for number, sentence in enumerate(SENTENCES):
        yield sentence, give(tiny_batch(backbone, [sentence]))[0], together[number][real[number]]


def _backward(model: KnowledgeModel, batch: Mapping[str, Tensor], name: str) -> None:
    features = model.train()(**batch).features[name]
    if features.requires_grad:
        features.square().mean().backward()


def _train(model: KnowledgeModel, batch: Mapping[str, Tensor], name: str) -> None:
    """Take one step of gradient descent on the features of the adapter `name`; back to evaluation mode."""
    _backward(model, batch, name)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.grad is not None:
                parameter.sub_(parameter.grad)
    model.eval()
