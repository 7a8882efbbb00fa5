"""Laws 1 to 4 on a real pre-trained model, for every number of layers."""

import pytest
import torch

from kadapter import BackboneError, KnowledgeModel, Together, build_adapter, load_adapter, load_backbone, save_adapter
from kadapter.testing import SENTENCES, fill_randomly, tiny_batch
from kadapter.testing.comparing import assert_close, assert_same, features_of

STANDARD = {"type": "standard", "size": 8}


@pytest.fixture(scope="module")
def minilm():
    """6 layers, width 384."""
    try:
        return load_backbone("minilm")
    except BackboneError as error:
        pytest.skip(str(error))


@pytest.mark.parametrize("layers", range(7))
@torch.no_grad()
def test_the_laws_hold_for_every_number(minilm, dropped, layers, tmp_path):
    adapter = dropped(minilm, inner=STANDARD, layers=layers)
    batch = tiny_batch(minilm)
    alone, bare = features_of(adapter, minilm, batch), minilm.model(**batch).last_hidden_state
    model = KnowledgeModel(minilm).eval()
    model.plug("first", adapter)
    model.plug("second", dropped(minilm, seed=2, inner=STANDARD, layers=2))
    model.plug("reads", build_adapter({"type": "scalar-mix"}, minilm.info))
    assert_same(model(**batch).features["first"], alone, "beside others")
    assert_same(model(**batch).backbone_hidden_state, bare, "the backbone beside it")
    model.unplug("second")
    assert_same(model(**batch).features["first"], alone, "when another one is gone")
    with model.unplugged():
        assert_same(model(**batch).last_hidden_state, bare, "without adapters")
    for row, sentence in enumerate(SENTENCES):
        real = batch["attention_mask"][row].bool()
        own = features_of(adapter, minilm, tiny_batch(minilm, [sentence]))[0]
        assert_close(alone[row][real], own, f"'{sentence}' in a batch")
    save_adapter(tmp_path, adapter, "first")
    assert_same(features_of(load_adapter(tmp_path, minilm.info).eval(), minilm, batch), alone, "saved and loaded")
    assert torch.equal(alone, bare) == (layers == 6)


@torch.no_grad()
def test_several_tasks_at_once_give_what_each_gives_alone(minilm, dropped, model_of):
    numbers = [3, 3, 0, 6, 5]
    models = {f"task-{n}": model_of(minilm, dropped(minilm, n, STANDARD, layers=k)) for n, k in enumerate(numbers)}
    batch, together = tiny_batch(minilm), Together(models)
    exact, wide = together(exact=True, **batch), together(**batch)
    for name, model in models.items():
        alone = model(**batch).last_hidden_state
        assert_same(exact[name].last_hidden_state, alone, name)
        assert_close(wide[name].last_hidden_state, alone, name)


@torch.no_grad()
def test_half_precision_is_kept(minilm, dropped):
    adapter = dropped(minilm, inner=STANDARD, layers=3)
    with torch.autocast("cpu", torch.bfloat16):
        features = features_of(adapter, minilm, tiny_batch(minilm))
    close = (features.float() - features_of(adapter, minilm, tiny_batch(minilm))).abs().mean()
    assert close < 0.05


def test_a_mix_of_members_without_their_lower_layers(minilm, dropped):
    members = {name: {"type": "drop", "inner": STANDARD, "layers": k} for name, k in (("high", 4), ("higher", 5))}
    fusion = build_adapter({"type": "fusion", "members": members}, minilm.info).eval()
    fill_randomly(fusion)
    assert {site.layer for site in fusion.edits} == {5, 6}
    assert features_of(fusion, minilm, tiny_batch(minilm)).isfinite().all()
