"""KnowledgeModel: adapters are plugged, unplugged, saved and loaded under names of their own."""

import json

import pytest
import torch
from datasets import Dataset

from kadapter import (
    BackboneError,
    ConfigError,
    KnowledgeModel,
    KnowledgeModule,
    Registry,
    StorageError,
    UnknownNameError,
    build_adapter,
    hookimpl,
    load_backbone,
    save_adapter,
)
from kadapter.composition import build_composition
from kadapter.task import build_task
from kadapter.testing import fill_randomly, save_tiny_backbone, tiny_backbone, tiny_batch
from kadapter.testing.comparing import assert_same, assert_same_tensors, features_of

COPIED = {"type": "k-adapter"}
RANDOM = {"type": "k-adapter", "init": "random", "reads": [0, 2], "width": 16, "heads": 4}
TASK = {"name": "relation-classification", "labels": ["feeds", "floats_on", "no_relation"]}


@pytest.fixture
def backbone(tiny):
    return tiny("bert")


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    """Where a tiny backbone lies."""
    return save_tiny_backbone("bert", tmp_path_factory.mktemp("backbone"))


@pytest.fixture
def model(backbone):
    return KnowledgeModel(backbone).eval()


def filled(options, backbone, seed=1):
    adapter = build_adapter(options, backbone.info)
    fill_randomly(adapter, seed)
    return adapter.eval()


def registry_of(*knowledge):
    """The built-ins and kinds of knowledge that a plugin gives."""

    class Plugin:
        @hookimpl
        def register_knowledge(self):
            return [*knowledge]

    return Registry([], ["kadapter.builtin", Plugin()])


def rivers(**more):
    return KnowledgeModule("rivers", "which river feeds what", COPIED, TASK, {"name": "trex"}, **more)


def task_batch(backbone, task):
    """A batch of two examples of relation classification."""
    text = "a river runs by the old town"
    spans = {"subject_start": 2, "subject_end": 7, "object_start": 20, "object_end": 28}
    rows = Dataset.from_list([{"text": text, "relation": relation, **spans} for relation in ("feeds", "floats_on")])
    return task.collate(list(task.encode(rows, backbone.tokenizer).examples), backbone.tokenizer)


# --- plugging


def test_what_is_plugged_is_told_in_the_order_of_plugging(model):
    assert model.plugged == ()
    for name in ("zoology", "botany", "anatomy-2"):
        model.plug(name, RANDOM)
    assert model.plugged == ("zoology", "botany", "anatomy-2")
    model.unplug("botany")
    assert model.plugged == ("zoology", "anatomy-2")


@torch.no_grad()
def test_an_adapter_comes_as_options_as_a_folder_or_as_itself(model, backbone, tmp_path):
    adapter, batch = filled(RANDOM, backbone), tiny_batch(backbone)
    save_adapter(tmp_path, adapter, "saved")
    assert model.plug("itself", adapter) is adapter
    assert model.plug("folder", tmp_path).config == model.plug("text", str(tmp_path)).config == adapter.config
    assert model.plug("options", RANDOM).config == adapter.config
    features = model.eval()(**batch).features
    assert_same(features["folder"], features["itself"], "loaded from a folder")
    assert_same(features["text"], features["itself"], "loaded from the name of a folder")
    assert not torch.equal(features["options"], features["itself"])


@torch.no_grad()
def test_installed_knowledge_is_plugged_by_name(model, backbone, tmp_path):
    adapter = filled(COPIED, backbone)
    save_adapter(tmp_path, adapter, "rivers")
    registry = registry_of(rivers(weights={backbone.info.fingerprint: tmp_path}))
    assert_same_tensors(model.plug("rivers", registry=registry).state_dict(), adapter.state_dict(), "by name")
    assert_same_tensors(model.plug("mine", "rivers", registry).state_dict(), adapter.state_dict(), "under another name")


def test_knowledge_without_weights_for_the_backbone_says_how_to_make_them(model):
    registry = registry_of(rivers(weights={"0" * 16: "elsewhere"}))
    said = r"'rivers' comes without weights for backbone 'tiny-bert' .*kadapter pretrain rivers --backbone tiny-bert"
    with pytest.raises(UnknownNameError, match=said):
        model.plug("rivers", registry=registry)


def test_knowledge_that_is_not_installed_says_what_is(model):
    with pytest.raises(UnknownNameError, match="no knowledge 'river'; there is rivers; did you mean 'rivers'"):
        model.plug("river", registry=registry_of(rivers()))


def test_an_adapter_made_for_another_backbone_is_not_plugged(model):
    with pytest.raises(BackboneError, match=r"built for backbone 'tiny-bert' \(fingerprint \w+\), not for"):
        model.plug("mine", build_adapter(COPIED, tiny_backbone("bert", seed=1).info))
    assert model.plugged == ()


@pytest.mark.parametrize("name", ["", "Rivers", "two words", "a.b", "a/b", "-a", "_a", "flüsse"])
def test_a_name_has_lower_case_letters_digits_and_dashes(model, name):
    with pytest.raises(ConfigError, match=f"'{name}' cannot name an adapter; use lower-case letters"):
        model.plug(name, RANDOM)


@pytest.mark.parametrize("name", ["train", "type", "keys", "copy", "training", "forward"])
def test_a_name_that_torch_uses_itself_is_an_error(model, name):
    with pytest.raises(ConfigError, match=f"'{name}' cannot name an adapter, since torch"):
        model.plug(name, RANDOM)


def test_a_name_that_is_taken_is_an_error(model):
    model.plug("rivers", RANDOM)
    with pytest.raises(ConfigError, match="'rivers' is plugged already"):
        model.plug("rivers", RANDOM)


def test_unplugging_gives_the_adapter_and_needs_a_name_that_is_plugged(model, backbone):
    adapter = model.plug("rivers", RANDOM)
    assert model.unplug("rivers") is adapter
    model.plug("lakes", RANDOM)
    with pytest.raises(UnknownNameError, match="no adapter 'rivers' is plugged; plugged: lakes"):
        model.unplug("rivers")


@torch.no_grad()
def test_everything_is_unplugged_for_the_length_of_a_with_even_when_it_fails(model, backbone):
    batch = tiny_batch(backbone)
    bare = model(**batch).last_hidden_state
    model.plug("rivers", filled(RANDOM, backbone))
    model.plug("lakes", filled(COPIED, backbone))
    full = model(**batch).last_hidden_state

    def fail():
        with model.unplugged() as same:
            assert same is model
            assert model.plugged == ()
            assert_same(model(**batch).last_hidden_state, bare, "unplugged")
            raise KeyError("inside")

    with pytest.raises(KeyError, match="inside"):
        fail()
    assert model.plugged == ("rivers", "lakes")
    assert_same(model(**batch).last_hidden_state, full, "plugged again")


# --- a pass


def test_the_backbone_runs_once_whatever_is_plugged(model, backbone):
    passes = []
    for number in range(4):
        model.plug(f"adapter-{number}", RANDOM)
    hook = backbone.layers[0].register_forward_hook(lambda *_: passes.append(1))
    model(**tiny_batch(backbone))
    hook.remove()
    assert len(passes) == 1


@torch.no_grad()
def test_a_pass_gives_states_features_and_what_is_composed_of_them(backbone):
    model = KnowledgeModel(backbone, build_composition({"name": "concat"}, 32)).eval()
    adapters = {name: model.plug(name, filled(RANDOM, backbone, seed)) for seed, name in enumerate(["rivers", "lakes"])}
    fill_randomly(model.composition)
    batch = tiny_batch(backbone)
    output = model(**batch)
    assert (output.loss, output.logits) == (None, None)
    assert_same(output.backbone_hidden_state, backbone.model(**batch).last_hidden_state, "the backbone's own")
    for name, adapter in adapters.items():
        assert_same(output.features[name], features_of(adapter, backbone, batch), name)
    expected = model.composition(output.backbone_hidden_state, output.features)
    assert_same(output.last_hidden_state, expected, "composed")


def test_with_a_task_a_pass_gives_logits_and_with_labels_a_loss(backbone):
    task = build_task(TASK)
    model = KnowledgeModel(backbone, task=task).eval()
    batch = task_batch(backbone, task)
    output = model(**batch)
    assert output.logits.shape == (2, 3)
    assert_same(output.loss, task.loss(output.logits, batch), "the loss")
    labels = batch.pop("labels")
    assert model(**batch).loss is None
    assert_same(model(**batch).logits, output.logits, "without labels")
    plain = model(**tiny_batch(backbone), labels=labels)
    assert (plain.loss, plain.logits) == (None, None)


# --- adapters that edit

SHIFT = {"type": "shift"}


@pytest.fixture
def shifted(folder, editors):
    """A model with one adapter that edits."""
    model = KnowledgeModel.from_pretrained(folder, {"shift": SHIFT}, registry=editors)
    fill_randomly(model.adapters)
    return model


@pytest.mark.parametrize(
    ("adapters", "usual"),
    [
        ([], "several"),
        ([SHIFT], "alone"),
        ([RANDOM], "several"),
        ([SHIFT, SHIFT], "several"),
        ([SHIFT, RANDOM], "several"),
    ],
)
def test_what_is_usual_is_that_one_adapter_that_edits_stands_alone(model, folder, editors, adapters, usual):
    for number, options in enumerate(adapters):
        model.plug(f"adapter-{number}", options, editors)
    assert model.usual_composition("several") == {"name": usual}
    named = {f"adapter-{number}": options for number, options in enumerate(adapters)}
    composed = KnowledgeModel.from_pretrained(folder, named, registry=editors).composition
    assert composed.name == {"several": "sum"}.get(usual, usual)


def test_a_composition_that_is_asked_for_is_that_of_an_adapter_that_edits_too(folder, editors):
    model = KnowledgeModel.from_pretrained(folder, [SHIFT], composition={"name": "gate"}, registry=editors)
    assert (model.composition.name, model.composition.plugged) == ("gate", {"shift"})


@torch.no_grad()
def test_what_stands_alone_is_composed_of_nothing_but_its_own_pass(shifted):
    batch = tiny_batch(shifted.backbone)
    output = shifted(**batch)
    assert output.backbone_hidden_state is None
    assert output.last_hidden_state is output.features["shift"]
    bare = shifted.backbone.model(**batch).last_hidden_state
    assert not torch.allclose(output.last_hidden_state, bare, atol=1e-2)
    with shifted.unplugged():
        assert_same(shifted(**batch).last_hidden_state, bare, "unplugged")
        assert_same(shifted(**batch).backbone_hidden_state, bare, "the backbone's own")
    shifted.unplug("shift")
    assert_same(shifted(**batch).last_hidden_state, bare, "nothing is plugged")


def test_what_is_plugged_beside_one_that_stands_alone_asks_for_another_composition(shifted):
    shifted.plug("rivers", RANDOM)
    with pytest.raises(ConfigError, match=r"'alone' .* shift, rivers are plugged; choose another one"):
        shifted(**tiny_batch(shifted.backbone))
    shifted.recompose(shifted.usual_composition("concat"))
    output = shifted(**tiny_batch(shifted.backbone))
    assert output.backbone_hidden_state is not None
    assert [*output.features] == ["shift", "rivers"]


@pytest.mark.parametrize("training", [True, False])
def test_a_fresh_composition_knows_what_is_plugged_and_is_in_the_mode_of_the_model(model, training):
    model.train(training).plug("rivers", RANDOM)
    model.plug("lakes", RANDOM)
    model.recompose({"name": "attention", "width": 8})
    assert model.composition.plugged == {"rivers", "lakes"}
    assert (model.composition.config.width, model.composition.training) == (8, training)
    assert model(**tiny_batch(model.backbone)).last_hidden_state.requires_grad


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({"name": "alnoe"}, UnknownNameError, "no composition 'alnoe'; .*did you mean 'alone'"),
        ({"name": "alone", "depth": 2}, ConfigError, "composition 'alone' has no option 'depth'"),
    ],
)
def test_a_composition_that_there_is_not_leaves_the_model_as_it_was(model, options, error, said):
    before = model.composition
    with pytest.raises(error, match=said):
        model.recompose(options)
    assert model.composition is before


@torch.no_grad()
@pytest.mark.parametrize("tuned", [False, True])
def test_a_saved_model_with_an_adapter_that_edits_is_loaded_bit_for_bit(shifted, editors, tmp_path, tuned):
    if tuned:
        shifted.backbone.thaw()
        shifted.adapters["shift"].backbone = shifted.backbone.info
        fill_randomly(shifted.backbone, seed=5)
    shifted.save_pretrained(tmp_path, editors)
    loaded = KnowledgeModel.from_pretrained(tmp_path, registry=editors)
    assert (loaded.plugged, loaded.composition.name) == (("shift",), "alone")
    assert_same_tensors(loaded.state_dict(), shifted.state_dict(), "loaded")
    batch = tiny_batch(loaded.backbone)
    assert_same(loaded(**batch).last_hidden_state, shifted(**batch).last_hidden_state, "composed")


def test_an_adapter_that_edits_a_layer_that_there_is_not_is_not_plugged(model, editors):
    with pytest.raises(BackboneError, match="layer 5 of the backbone has no place 'output'; found there: nothing"):
        model.plug("shift", {**SHIFT, "layer": 5}, editors)


# --- training mode


def test_what_is_frozen_stays_in_evaluation_mode(backbone):
    model = KnowledgeModel(backbone, build_composition({"name": "concat"}, 32), build_task(TASK))
    frozen, trained = model.plug("frozen", RANDOM).requires_grad_(False), model.plug("trained", RANDOM)
    model.train()
    assert (trained.training, model.head.training, model.composition.training) == (True, True, True)
    still = [*model.backbone.modules(), *frozen.modules()]
    assert not any(module.training for module in still)
    model.eval()
    assert not any(module.training for module in model.modules())


@pytest.mark.parametrize("training", [True, False])
def test_an_adapter_is_plugged_in_the_mode_of_the_model(model, training):
    assert model.train(training).plug("rivers", RANDOM).training is training


# --- saving and loading


@torch.no_grad()
def test_a_saved_model_is_loaded_bit_for_bit(folder, tmp_path):
    backbone, task = load_backbone(folder), build_task(TASK)
    model = KnowledgeModel(backbone, build_composition({"name": "concat"}, 32), task)
    model.plug("rivers", filled(COPIED, backbone, seed=1))
    model.plug("lakes", filled(RANDOM, backbone, seed=2))
    for part, seed in ((model.composition, 3), (model.head, 4)):
        fill_randomly(part, seed)
    model.eval().save_pretrained(tmp_path / "model")
    loaded = KnowledgeModel.from_pretrained(tmp_path / "model")
    assert not loaded.training
    assert loaded.plugged == ("rivers", "lakes")
    assert loaded.task.config == task.config
    assert_same_tensors(loaded.state_dict(), model.state_dict(), "loaded")
    batch = task_batch(backbone, task)
    assert_same(loaded(**batch).logits, model(**batch).logits, "logits")


def test_a_saved_model_says_what_it_is_and_holds_no_frozen_weight(folder, tmp_path):
    model = KnowledgeModel(load_backbone(folder))
    model.plug("rivers", RANDOM)
    model.save_pretrained(tmp_path)
    said = json.loads((tmp_path / "model.json").read_text())
    assert said["backbone"]["fingerprint"] == model.backbone.info.fingerprint
    assert said["backbone"]["tuned"] is False
    assert said["adapters"] == {"rivers": "adapters/rivers"}
    assert said["composition"] == {"name": "sum", "plugged": ["rivers"]}
    assert said["task"] is None
    assert model.own_tensors() == {}


@torch.no_grad()
def test_saving_again_replaces_what_was_saved(folder, tmp_path):
    model = KnowledgeModel(load_backbone(folder))
    fill_randomly(model.plug("rivers", RANDOM), seed=1)
    model.save_pretrained(tmp_path)
    fill_randomly(model.adapters["rivers"], seed=2)
    model.save_pretrained(tmp_path)
    loaded = KnowledgeModel.from_pretrained(tmp_path)
    assert_same_tensors(loaded.state_dict(), model.state_dict(), "the second time")


@torch.no_grad()
def test_a_backbone_that_was_trained_is_saved_with_the_model(folder, tmp_path):
    model = KnowledgeModel(load_backbone(folder))
    model.backbone.thaw()
    fill_randomly(model.backbone, seed=5)
    model.save_pretrained(tmp_path)
    loaded = KnowledgeModel.from_pretrained(tmp_path)
    assert not loaded.backbone.frozen
    assert_same_tensors(loaded.state_dict(), model.state_dict(), "the trained backbone")


def test_a_model_is_not_loaded_when_its_backbone_has_become_another(tmp_path):
    place = save_tiny_backbone("bert", tmp_path / "backbone")
    KnowledgeModel(load_backbone(place)).save_pretrained(tmp_path / "model")
    save_tiny_backbone("bert", place, seed=1)
    with pytest.raises(BackboneError, match="fingerprint"):
        KnowledgeModel.from_pretrained(tmp_path / "model")


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (lambda said: said.update(format=2), "format 2, this kadapter reads 1"),
        (lambda said: said.pop("task"), "does not say 'task'"),
        (lambda said: said["adapters"].update(lakes="adapters/lakes"), "no saved adapter in .*adapters/lakes"),
        (lambda said: said["composition"]["plugged"].append("lakes"), "lacks composition"),
        (lambda said: said["composition"]["plugged"].append({}), "lacks composition"),
        (lambda said: said["composition"].pop("plugged"), r"does not say 'composition\.plugged'; save"),
        (lambda said: said["composition"].update(plugged="x"), r"than it should for 'composition\.plugged'"),
        (lambda said: said["backbone"].pop("tuned"), r"does not say 'backbone\.tuned'; save"),
        (lambda said: said["backbone"].pop("name"), r"does not say 'backbone\.name'; save"),
        (lambda said: said.update(task={"labels": []}), r"does not say 'task\.name'; save"),
    ],
)
def test_a_model_that_was_saved_in_part_is_not_loaded(folder, tmp_path, edit, said):
    model = KnowledgeModel(load_backbone(folder), build_composition({"name": "concat"}, 32))
    model.plug("rivers", RANDOM)
    model.save_pretrained(tmp_path)
    description = json.loads((tmp_path / "model.json").read_text())
    edit(description)
    (tmp_path / "model.json").write_text(json.dumps(description))
    with pytest.raises(StorageError, match=said):
        KnowledgeModel.from_pretrained(tmp_path)


def test_a_task_needs_a_name():
    with pytest.raises(ConfigError, match=r"a task needs a name; there is .*relation-classification"):
        build_task({"labels": []})


# --- from a backbone


def test_adapters_are_named_after_the_knowledge_in_them(folder, tmp_path):
    backbone = load_backbone(folder)
    save_adapter(tmp_path / "one", filled(RANDOM, backbone), "rivers")
    registry = registry_of(rivers(weights={backbone.info.fingerprint: tmp_path / "one"}))
    itself = filled({"type": "scalar-mix"}, backbone)
    for given, names in [
        ([str(tmp_path / "one"), RANDOM], ("rivers", "k-adapter")),
        (["rivers", itself], ("rivers", "scalar-mix")),
        ({"mine": tmp_path / "one", "yours": "rivers", "new": COPIED}, ("mine", "yours", "new")),
    ]:
        assert KnowledgeModel.from_pretrained(folder, given, registry=registry).plugged == names


def test_more_adapters_can_be_plugged_into_a_saved_model(folder, tmp_path):
    model = KnowledgeModel(load_backbone(folder))
    model.plug("rivers", RANDOM)
    model.save_pretrained(tmp_path)
    assert KnowledgeModel.from_pretrained(tmp_path, {"lakes": COPIED}).plugged == ("rivers", "lakes")


def test_the_composition_is_a_sum_unless_another_one_is_asked_for(folder):
    assert KnowledgeModel.from_pretrained(folder).composition.name == "sum"
    assert KnowledgeModel.from_pretrained(folder, composition={"name": "concat"}).composition.name == "concat"


@pytest.mark.parametrize(
    ("adapters", "error", "said"),
    [
        (["river"], UnknownNameError, "no knowledge 'river'; .*did you mean 'rivers'"),
        (["no/such/folder"], StorageError, "no saved adapter in no/such/folder"),
        ([{"type": "no-such"}], UnknownNameError, "no adapter type 'no-such'"),
        ([{"width": 3}], ConfigError, "an adapter needs a type"),
        ([COPIED, COPIED], ConfigError, "'k-adapter' is plugged already"),
    ],
)
def test_adapters_that_cannot_be_plugged_are_one_clear_error(folder, adapters, error, said):
    with pytest.raises(error, match=said):
        KnowledgeModel.from_pretrained(folder, adapters, registry=registry_of(rivers()))
