"""Several models over one backbone: each gives what it gives alone, for all rows or for its own."""

import pytest
import torch

from kadapter import BackboneError, ConfigError, KnowledgeModel, Together, UnknownNameError, build_adapter
from kadapter.testing import fill_randomly, save_tiny_backbone, tiny_batch
from kadapter.testing.comparing import assert_same

READERS = {
    "low": {"type": "k-adapter", "transformer_layers": 1, "reads": [1]},
    "high": {"type": "k-adapter", "init": "random", "width": 8, "reads": [2, 4]},
    "mix": {"type": "scalar-mix"},
}


def model_of(backbone, options):
    model = KnowledgeModel(backbone)
    for number, (name, said) in enumerate(options.items()):
        model.plug(name, build_adapter(said, backbone.info))
        fill_randomly(model.adapters[name], number)
    return model.eval()


@pytest.fixture
def together(tiny):
    """A model with two adapters, one with one, and one with none."""
    backbone = tiny("roberta")
    parts = {"both": ("low", "high"), "mix": ("mix",), "bare": ()}
    return Together({name: model_of(backbone, {own: READERS[own] for own in owned}) for name, owned in parts.items()})


@torch.no_grad()
@pytest.mark.parametrize("exact", [False, True])
def test_each_gives_what_it_gives_alone(together, exact):
    batch = tiny_batch(together.backbone)
    answers = together(exact=exact, **batch)
    assert list(answers) == ["both", "mix", "bare"]
    for name, model in together.by_name().items():
        alone = model(**batch)
        assert_same(answers[name].last_hidden_state, alone.last_hidden_state, name)
        assert answers[name].features.keys() == alone.features.keys()


@torch.no_grad()
def test_rows_go_to_the_model_that_they_ask_for(together):
    batch = tiny_batch(together.backbone)
    answers = together(asks=["mix", "both", "mix", "both"], **batch)
    assert list(answers) == ["both", "mix"]
    for name, rows in {"mix": [0, 2], "both": [1, 3]}.items():
        alone = together.models[name](**batch).last_hidden_state[rows]
        assert_same(answers[name].last_hidden_state, alone, name)


def test_the_backbone_runs_once(together):
    calls = []
    hook = together.backbone.layers[0].register_forward_pre_hook(lambda *_: calls.append(1))
    together(**tiny_batch(together.backbone))
    hook.remove()
    assert len(calls) == 1


def test_saved_models_are_loaded_over_one_backbone(tmp_path, together):
    place = save_tiny_backbone("roberta", tmp_path / "backbone")
    for name, kind in READERS.items():
        KnowledgeModel.from_pretrained(place, adapters={name: kind}).save_pretrained(tmp_path / name)
    loaded = Together.from_pretrained({name: tmp_path / name for name in READERS})
    assert {id(model.backbone) for model in loaded.models.values()} == {id(loaded.backbone)}
    batch = tiny_batch(loaded.backbone)
    for name in READERS:
        alone = KnowledgeModel.from_pretrained(tmp_path / name)
        assert_same(loaded(**batch)[name].last_hidden_state, alone(**batch).last_hidden_state, name)


def test_a_model_of_another_backbone_is_refused(tmp_path):
    for family in ("roberta", "gpt2"):
        place = save_tiny_backbone(family, tmp_path / f"backbone-{family}")
        KnowledgeModel.from_pretrained(place, adapters=[READERS["mix"]]).save_pretrained(tmp_path / family)
    with pytest.raises(BackboneError, match="was trained on backbone"):
        Together.from_pretrained({"one": tmp_path / "roberta", "two": tmp_path / "gpt2"})


def test_models_with_backbones_of_their_own_are_refused(tiny, together):
    models = {"one": KnowledgeModel(tiny("bert")), "two": KnowledgeModel(tiny("gpt2"))}
    with pytest.raises(BackboneError, match="the models have backbones of their own"):
        Together(models)


def test_without_a_model_there_is_nothing_to_put_together():
    with pytest.raises(ConfigError, match="no model is given"):
        Together({})


@pytest.mark.parametrize("name", ["a/b", "a.b", "", "train", "A"])
def test_a_name_that_cannot_be_one_is_refused(tiny, name, tmp_path):
    with pytest.raises(ConfigError, match="cannot name"):
        Together({name: KnowledgeModel(tiny("bert"))})
    with pytest.raises(ConfigError, match="cannot name"):
        Together.from_pretrained({name: tmp_path})


@torch.no_grad()
def test_what_is_not_given_is_no_row(together):
    batch = tiny_batch(together.backbone)
    assert list(together(asks=["mix"] * 4, labels=None, **batch)) == ["mix"]


def test_a_row_of_nobody_is_refused(together):
    batch = tiny_batch(together.backbone)
    with pytest.raises(UnknownNameError, match="there is no model 'none'; there are both, mix, bare"):
        together(asks=["mix", "none", "mix", "mix"], **batch)
    with pytest.raises(ConfigError, match="asks names 2 models for 4 rows; name one for each row"):
        together(asks=["mix", "both"], **batch)
    with pytest.raises(ConfigError, match="the batch has 4 rows and 3 of 'labels'"):
        together(asks=["mix"] * 4, labels=torch.zeros(3), **batch)
