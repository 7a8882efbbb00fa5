"""Composing: saved and installed adapters become one saved model, or nothing at all."""

import json
from pathlib import Path

import pytest
import torch

from kadapter import (
    BackboneError,
    ConfigError,
    KnowledgeModel,
    KnowledgeModule,
    Registry,
    StorageError,
    UnknownNameError,
    compose,
    hookimpl,
    load_adapter,
    save_adapter,
)
from kadapter.testing import save_tiny_backbone, tiny_batch
from kadapter.testing.comparing import assert_same, assert_same_tensors

every_composition = pytest.mark.parametrize("name", ["concat", "sum", "residual", "gate", "attention"])


@torch.no_grad()
def passed(model):
    return model(**tiny_batch(model.backbone))


def installed(**weights):
    """The built-ins and kinds of knowledge: name -> its weights."""
    options = {"adapter": {"type": "k-adapter"}, "task": {"name": "x"}, "source": {"name": "x"}}
    knowledge = [KnowledgeModule(name, "", weights=places, **options) for name, places in weights.items()]

    class Plugin:
        @hookimpl
        def register_knowledge(self):
            return knowledge

    return Registry([], ["kadapter.builtin", Plugin()])


@pytest.fixture(scope="module")
def fingerprint(run):
    """Of the backbone that both adapters were trained on."""
    return json.loads((run.folder / "adapter.json").read_text())["backbone"]["fingerprint"]


@every_composition
def test_every_composition_is_saved_and_loaded_as_it_was_made(both, backbone, tmp_path, name):
    model = compose(both, tmp_path / "model", composition={"name": name})
    assert (model.plugged, model.composition.name, model.backbone.info.name) == (tuple(both), name, backbone)
    loaded = KnowledgeModel.from_pretrained(tmp_path / "model")
    assert loaded.plugged == tuple(both)
    assert_same_tensors(loaded.state_dict(), model.state_dict(), "weights")
    output, expected = passed(loaded), passed(model)
    assert_same(output.last_hidden_state, expected.last_hidden_state, "composed")
    assert_same_tensors(output.features, expected.features, "features")
    # A residual starts at zero.
    assert torch.equal(output.last_hidden_state, output.backbone_hidden_state) == (name == "residual")


@every_composition
def test_the_order_of_the_adapters_changes_nothing_that_is_composed(both, tmp_path, name):
    options = {"name": name}
    one = compose(both, tmp_path / "one", composition=options)
    other = compose(dict(reversed(both.items())), tmp_path / "other", composition=options)
    assert one.plugged == other.plugged[::-1]
    assert_same(passed(other).last_hidden_state, passed(one).last_hidden_state, "composed")


def test_the_adapters_are_those_of_the_folders(both, run, linguistic, tmp_path, held):
    before = {**held(run.folder), **held(linguistic.folder)}
    model = compose(both, tmp_path / "model")
    assert model.composition.name == "concat"
    for name, place in both.items():
        assert_same_tensors(
            model.adapters[name].state_dict(), load_adapter(place, model.backbone.info).state_dict(), name
        )
        for file in ("adapter.safetensors", "adapter.json"):
            copy = tmp_path / "model" / "adapters" / name / file
            assert copy.read_bytes() == Path(place, file).read_bytes()
    assert {**held(run.folder), **held(linguistic.folder)} == before


@pytest.mark.parametrize(
    ("composition", "name"), [(None, "alone"), ({"name": "concat"}, "concat"), ({"name": "alone"}, "alone")]
)
def test_one_adapter_that_edits_stands_alone_unless_something_else_is_asked_for(
    backbone, editors, tmp_path, composition, name
):
    source = KnowledgeModel.from_pretrained(backbone, registry=editors)
    save_adapter(tmp_path / "shift", source.plug("shift", {"type": "shift"}, editors), "shift", registry=editors)
    adapters = {"mine": tmp_path / "shift"}
    model = compose(adapters, tmp_path / "model", composition=composition, registry=editors)
    assert model.composition.name == name
    loaded = KnowledgeModel.from_pretrained(tmp_path / "model", registry=editors)
    assert_same(passed(loaded).last_hidden_state, passed(model).last_hidden_state, "composed")
    assert (passed(loaded).backbone_hidden_state is None) == (name == "alone")


def test_an_adapter_that_edits_is_composed_with_one_that_reads(both, backbone, editors, tmp_path):
    source = KnowledgeModel.from_pretrained(backbone, registry=editors)
    save_adapter(tmp_path / "shift", source.plug("shift", {"type": "shift"}, editors), "shift", registry=editors)
    model = compose({**both, "mine": tmp_path / "shift"}, tmp_path / "model", registry=editors)
    assert model.composition.name == "concat"
    assert [*passed(model).features] == ["facts", "linguistic", "mine"]


def test_adapters_may_have_other_names_than_they_were_saved_under(both, tmp_path):
    compose({"first": both["facts"], "second": both["facts"]}, tmp_path / "model")
    assert KnowledgeModel.from_pretrained(tmp_path / "model").plugged == ("first", "second")


def test_installed_knowledge_is_composed_by_name_with_a_folder(both, linguistic, fingerprint, tmp_path):
    registry = installed(syntax={fingerprint: linguistic.folder})
    adapters = {"syntax": "syntax", "facts": both["facts"]}
    model = compose(adapters, tmp_path / "model", registry=registry)
    expected = load_adapter(linguistic.folder, model.backbone.info)
    assert_same_tensors(model.adapters["syntax"].state_dict(), expected.state_dict(), "by name")
    assert KnowledgeModel.from_pretrained(tmp_path / "model").plugged == ("syntax", "facts")


def test_installed_knowledge_alone_needs_a_backbone(backbone, linguistic, fingerprint, tmp_path):
    registry = installed(syntax={fingerprint: linguistic.folder})
    with pytest.raises(ConfigError, match=r"which backbone for syntax.* Say --backbone minilm"):
        compose({"syntax": "syntax"}, tmp_path / "model", registry=registry)
    assert not (tmp_path / "model").exists()
    assert compose({"syntax": "syntax"}, tmp_path / "model", backbone, registry=registry).plugged == ("syntax",)


REFUSED = {
    "nothing": ({"adapters": {}}, ConfigError, "nothing to compose; give folders"),
    "no folder": ({"adapters": {"a": "no/folder"}}, StorageError, "no saved adapter in no/folder"),
    "unknown name": ({"adapters": {"a": "rivres"}}, UnknownNameError, "no knowledge 'rivres'; .*mean 'rivers'"),
    "no weights": ({"adapters": {"rivers": "rivers"}}, UnknownNameError, "'rivers' comes without weights for backbone"),
    "no name": ({"adapters": {"A name": "facts"}}, ConfigError, "'A name' cannot name an adapter"),
    "unknown composition": ({"composition": {"name": "gates"}}, UnknownNameError, "no composition 'gates'; .*'gate'"),
    "unknown option": ({"composition": {"name": "gate", "width": 3}}, ConfigError, "'gate' has no option 'width'"),
    "unknown backbone": ({"backbone": "no-such"}, BackboneError, "backbone 'no-such' cannot be loaded"),
    "another backbone": ({"backbone": "other"}, BackboneError, "facts|run was trained on backbone"),
}


@pytest.mark.parametrize(("options", "error", "said"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_composed_leaves_nothing_behind(both, backbone, tmp_path, options, error, said):
    given = {"adapters": both, "backbone": backbone, **options}
    places = {**both, "other": str(tmp_path / "other")}
    given["adapters"] = {name: places.get(place, place) for name, place in given["adapters"].items()}
    if given["backbone"] == "other":
        given["backbone"] = str(save_tiny_backbone("llama", tmp_path / "other", seed=1))
    with pytest.raises(error, match=said) as caught:
        compose(output=tmp_path / "deep" / "model", registry=installed(rivers={}), **given)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "deep").exists()


def test_a_folder_that_holds_something_is_left_alone(both, tmp_path, held):
    (tmp_path / "mine").write_text("mine")
    before = held(tmp_path)
    with pytest.raises(StorageError, match="already holds mine; choose another --output"):
        compose(both, tmp_path)
    assert held(tmp_path) == before
