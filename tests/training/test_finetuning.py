"""Fine-tuning over adapters: what is named is trained, the rest stays as it was bit for bit, and the run is whole."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from kadapter import (
    BackboneError,
    ConfigError,
    KnowledgeModel,
    compose,
    evaluate,
    finetune,
    load_adapter,
    load_backbone,
    pretrain,
)
from kadapter.data import prepare
from kadapter.registry import default_registry
from kadapter.testing.comparing import assert_same, assert_same_tensors
from kadapter.training import build_model

NEW = {"type": "k-adapter", "reads": [3], "transformer_layers": 1}
ADAPTERS = {"adapters.facts", "adapters.linguistic"}
PAPER = ["head", "composition", "backbone"]
EVERYTHING = ["head", "composition", "adapters", "backbone"]


def owner(name):
    """The part of a model that a tensor belongs to: "head", "composition", "backbone" or "adapters.NAME"."""
    first, second, *_ = name.split(".")
    return f"{first}.{second}" if first == "adapters" else first


def changed(before, after):
    """The names of the tensors that are not the same bit for bit."""
    assert before.keys() == after.keys()
    return {name for name in before if not torch.equal(before[name], after[name])}


def examples_of(recipe, model):
    return prepare(recipe.source, recipe.task, model.backbone.tokenizer)


def started(recipe):
    """The model of a recipe before its first step."""
    base = KnowledgeModel.from_pretrained(recipe.backbone)
    return build_model(recipe, base, examples_of(recipe, base).task, default_registry())


@torch.no_grad()
def passed(model, recipe):
    """What a model gives for the test split."""
    examples = examples_of(recipe, model)
    return model.eval()(**model.task.collate(list(examples.splits["test"]), model.backbone.tokenizer))


def assert_gives_the_same(model, expected, recipe):
    """A model gives the composed states, the features and the logits that it gave before."""
    output = passed(model, recipe)
    assert_same(output.last_hidden_state, expected.last_hidden_state, "composed")
    assert_same(output.logits, expected.logits, "logits")
    assert_same_tensors(output.features, expected.features, "features")


@pytest.fixture
def finetuned(tmp_path, monkeypatch):
    """Fine-tune; give the run, and the model that was trained as it was when it was saved."""

    def run(recipe, name="run"):
        held = []
        save_around = KnowledgeModel.save_around
        with monkeypatch.context() as patch:
            patch.setattr(KnowledgeModel, "save_around", lambda self, *a: held.append(self) or save_around(self, *a))
            done = finetune(recipe, tmp_path / name)
        return done, held[0]

    return run


@pytest.fixture(scope="module")
def composed(both, folder):
    """Folder of a model with both adapters and a gate; not to be changed."""
    compose(both, folder / "composed", composition={"name": "gate"})
    return str(folder / "composed")


@pytest.fixture(scope="module")
def tuned(downstream, folder):
    """A run in the paper's own regime: the backbone was tuned beside frozen adapters; not to be changed."""
    return finetune(downstream.with_options({"training.trains": PAPER}), folder / "tuned")


# --- what is trained


REGIMES = {
    "head only": (["head"], {"head"}),
    "by default head and composition": (None, {"head", "composition"}),
    "composition only": (["composition"], {"composition"}),
    "adapters too": (["head", "composition", "adapters"], {"head", "composition", *ADAPTERS}),
    "adapters only": (["adapters"], ADAPTERS),
    "the paper's own, backbone beside adapters": (PAPER, {"head", "composition", "backbone"}),
    "everything": (EVERYTHING, {"head", "composition", "backbone", *ADAPTERS}),
}
every_regime = pytest.mark.parametrize(("trains", "trained"), REGIMES.values(), ids=REGIMES)


@every_regime
def test_what_is_named_is_trained_and_the_rest_stays_bit_for_bit(downstream, finetuned, trains, trained):
    recipe = downstream.with_options({"training.trains": trains})
    before = started(recipe)
    run, model = finetuned(recipe)
    expected = {name for name, parameter in before.named_parameters() if owner(name) in trained}
    assert changed(before.state_dict(), model.state_dict()) == expected
    sizes = [parameter.numel() for name, parameter in before.named_parameters() if name in expected]
    assert run.result["trained_parameters"] == sum(sizes)
    assert {name for name, parameter in model.named_parameters() if parameter.requires_grad} == expected


@pytest.mark.parametrize(
    "regime",
    ["by default head and composition", "adapters only", "the paper's own, backbone beside adapters"],
)
def test_what_is_frozen_stays_in_evaluation_mode_while_the_rest_trains(downstream, trainer_of, regime):
    trains, trained = REGIMES[regime]
    trainer = trainer_of(downstream.with_options({"training.trains": trains}))
    model, modes = trainer.knowledge_model, {}
    parts = {f"adapters.{name}": adapter for name, adapter in model.adapters.items()}
    for name, part in {**parts, "backbone": model.backbone.model, "composition": model.composition}.items():
        modes[name] = set()
        part.register_forward_pre_hook(
            lambda part, *_, seen=modes[name]: seen.add((model.training, any(m.training for m in part.modules())))
        )
    trainer.train()
    for name, seen in modes.items():
        assert seen == {(True, name in trained), (False, False)}, name


def test_a_new_adapter_is_trained_by_default_and_the_saved_ones_beside_it_are_not(downstream, finetuned):
    recipe = downstream.with_options({"adapter": NEW})
    before = started(recipe)
    _, model = finetuned(recipe)
    moved = {owner(name) for name in changed(before.state_dict(), model.state_dict())}
    assert moved == {"adapters.downstream", "composition", "head"}
    assert (tuple(model.plugged), recipe.new) == (("facts", "linguistic", "downstream"), {"downstream"})
    training = {name: adapter.training for name, adapter in started(recipe).train().adapters.items()}
    assert training == {"facts": False, "linguistic": False, "downstream": True}


def test_adapters_that_are_given_by_their_options_are_new_too(downstream, finetuned, both):
    recipe = downstream.with_options({"adapters": {"facts": both["facts"], "mix": {"type": "scalar-mix"}}})
    before = started(recipe)
    _, model = finetuned(recipe)
    moved = {owner(name) for name in changed(before.state_dict(), model.state_dict())}
    assert moved == {"adapters.mix", "composition", "head"}


@pytest.mark.parametrize("trains", [["composition"], ["adapters"]])
def test_a_run_that_would_train_nothing_is_refused(downstream, tmp_path, trains):
    recipe = downstream.with_options({"adapters": {}, "composition": {"name": "sum"}, "training.trains": trains})
    with pytest.raises(ConfigError, match=f"trains is {trains[0]}, but there is nothing of it; name head as well"):
        finetune(recipe, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_pretraining_needs_a_new_adapter(downstream, tmp_path):
    with pytest.raises(ConfigError, match="the recipe has no new adapter to pretrain: give it `adapter: "):
        pretrain(downstream, tmp_path / "run")
    assert not (tmp_path / "run").exists()


# --- what a run leaves behind


@pytest.mark.parametrize("options", [{"adapter": NEW}, {"training.trains": EVERYTHING}], ids=["new", "everything"])
def test_the_folders_that_adapters_came_from_are_not_touched(downstream, run, linguistic, finetuned, held, options):
    before = {**held(run.folder), **held(linguistic.folder)}
    finetuned(downstream.with_options(options))
    assert {**held(run.folder), **held(linguistic.folder)} == before


def test_an_adapter_that_was_not_trained_is_saved_as_it_came(downstream, linguistic, finetuned):
    run, _ = finetuned(downstream.with_options({"adapter": NEW, "training.trains": None}))
    for name in ("adapter.safetensors", "adapter.json"):
        copy, source = run.folder / "adapters" / "linguistic" / name, linguistic.folder / name
        assert copy.read_bytes() == source.read_bytes()
    assert json.loads((run.folder / "adapter.json").read_text())["trained_on"] == run.result


def test_an_adapter_that_was_trained_says_what_it_was_trained_on_last(downstream, finetuned):
    run, model = finetuned(downstream.with_options({"training.trains": ["head", "adapters"]}))
    for name in downstream.adapters:
        saved = run.folder / "adapters" / name
        said = json.loads((saved / "adapter.json").read_text())["trained_on"]
        [before] = said.pop("before")
        assert said == run.result
        assert before == json.loads((Path(downstream.adapters[name]) / "adapter.json").read_text())["trained_on"]
        assert_same_tensors(load_file(saved / "adapter.safetensors"), model.adapters[name].state_dict(), name)


@pytest.mark.parametrize("trains", [None, PAPER, EVERYTHING], ids=["default", "paper", "everything"])
def test_a_run_needs_nothing_but_itself_and_the_backbone(downstream, both, tmp_path, finetuned, trains):
    own = {name: shutil.copytree(place, tmp_path / name) for name, place in both.items()}
    recipe = downstream.with_options({"adapters": own, "adapter": NEW, "training.trains": trains})
    run, model = finetuned(recipe)
    for place in own.values():
        shutil.rmtree(place)
    loaded = KnowledgeModel.from_pretrained(run.folder)
    assert loaded.plugged == ("facts", "linguistic", "downstream")
    assert_gives_the_same(loaded, passed(model, recipe), recipe)
    assert evaluate(run.folder, ["validation"])["validation"].items() <= run.result["validation"].items()


# --- a tuned backbone


def test_a_tuned_backbone_is_saved_whole_and_marked(tuned, downstream):
    said = json.loads((tuned.folder / "model.json").read_text())["backbone"]
    clean = load_backbone(downstream.backbone)
    assert said == {**clean.info.as_dict(), "tuned": True}
    saved = load_file(tuned.folder / "model.safetensors")
    weights = {name.removeprefix("backbone."): t for name, t in saved.items() if owner(name) == "backbone"}
    assert changed(clean.state_dict(), weights) == {name for name, _ in clean.named_parameters()}
    assert tuned.result["trained_parameters"] > tuned.result["backbone_parameters"]


def test_a_frozen_adapter_beside_a_tuned_backbone_is_still_one_of_the_clean_one(tuned, both, downstream):
    clean = load_backbone(downstream.backbone).info
    for name, source in both.items():
        copy = load_adapter(tuned.folder / "adapters" / name, clean)
        assert_same_tensors(copy.state_dict(), load_adapter(source, clean).state_dict(), name)


def test_an_adapter_trained_beside_a_tuned_backbone_is_one_of_that(downstream, finetuned):
    run, _ = finetuned(downstream.with_options({"adapter": NEW, "training.trains": EVERYTHING}))
    clean = KnowledgeModel.from_pretrained(downstream.backbone)
    for place in (run.folder, run.folder / "adapters" / "facts"):
        with pytest.raises(BackboneError, match=r"fingerprint \w+-\w+-tuned.*, not on .*fingerprint \w+\)"):
            clean.plug("other", place)
        card = (place / "README.md").read_text()
        assert f"(backbone: {run.result['backbone_parameters']:,}, trained too)" in card
        assert "frozen backbone" not in card
    assert clean.plugged == ()


def test_an_adapter_trained_beside_a_tuned_backbone_is_not_one_of_another_tuned_one(downstream, tuned, finetuned):
    run, _ = finetuned(downstream.with_options({"adapter": NEW, "training.trains": EVERYTHING}))
    other = KnowledgeModel.from_pretrained(tuned.folder)
    with pytest.raises(BackboneError, match="fingerprint"):
        other.plug("other", run.folder)


def test_the_card_of_an_adapter_of_a_frozen_backbone_says_so(downstream, finetuned):
    run, _ = finetuned(downstream.with_options({"adapter": NEW}))
    card = (run.folder / "README.md").read_text()
    assert "for the frozen backbone" in card
    assert f"(backbone: {run.result['backbone_parameters']:,}, untouched)" in card


# --- on top of a saved model


def over(recipe, folder, **options):
    """The same fine-tuning over what a saved model has plugged."""
    return recipe.with_options({"backbone": str(folder), "adapters": {}, **options})


def test_a_saved_model_brings_its_adapters_and_its_composition(downstream, composed, finetuned):
    recipe = over(downstream, composed)
    before = started(recipe)
    run, model = finetuned(recipe)
    assert (model.plugged, model.composition.name) == (("facts", "linguistic"), "gate")
    assert {owner(name) for name in changed(before.state_dict(), model.state_dict())} == {"composition", "head"}
    loaded = KnowledgeModel.from_pretrained(run.folder)
    assert_gives_the_same(loaded, passed(model, recipe), recipe)


def test_what_a_saved_model_has_learned_is_where_the_training_starts(downstream, composed, finetuned):
    first, model = finetuned(over(downstream, composed), "first")
    again = started(over(downstream, first.folder))
    assert_same_tensors(again.composition.state_dict(), model.composition.state_dict(), "the composition")


def test_another_composition_replaces_that_of_the_saved_model(downstream, composed, finetuned):
    run, model = finetuned(over(downstream, composed, composition={"name": "attention", "width": 8}))
    assert (model.plugged, model.composition.name) == (("facts", "linguistic"), "attention")
    said = json.loads((run.folder / "model.json").read_text())["composition"]
    assert said == {"name": "attention", "width": 8, "plugged": ["facts", "linguistic"]}


def test_a_new_adapter_joins_those_of_the_saved_model(downstream, composed, finetuned):
    run, _ = finetuned(over(downstream, composed, adapter=NEW))
    assert KnowledgeModel.from_pretrained(run.folder).plugged == ("facts", "linguistic", "downstream")


def test_a_name_that_the_saved_model_has_plugged_is_taken(downstream, composed, tmp_path):
    with pytest.raises(ConfigError, match="'facts' is plugged already"):
        finetune(over(downstream, composed, adapter=NEW, name="facts"), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_backbone_that_was_tuned_before_stays_as_it_is_unless_it_is_named(downstream, tuned, finetuned):
    recipe = over(downstream, tuned.folder, adapter=NEW)
    before = started(recipe)
    run, model = finetuned(recipe)
    moved = {owner(name) for name in changed(before.state_dict(), model.state_dict())}
    assert moved == {"adapters.downstream", "composition", "head"}
    loaded = KnowledgeModel.from_pretrained(run.folder)
    assert_same_tensors(loaded.state_dict(), model.state_dict(), "the tuned backbone is in the folder")
    assert_gives_the_same(loaded, passed(model, recipe), recipe)
    with pytest.raises(BackboneError, match="-tuned"):
        load_adapter(run.folder, load_backbone(downstream.backbone).info)


def test_a_backbone_that_was_tuned_before_can_be_tuned_further(downstream, tuned, finetuned):
    recipe = over(downstream, tuned.folder, **{"training.trains": PAPER})
    before = started(recipe)
    run, model = finetuned(recipe)
    moved = {owner(name) for name in changed(before.state_dict(), model.state_dict())}
    assert moved == {"backbone", "composition", "head"}
    loaded = KnowledgeModel.from_pretrained(run.folder)
    assert_gives_the_same(loaded, passed(model, recipe), recipe)


# --- going on after an interruption


@pytest.mark.parametrize(
    ("options", "on"),
    [
        pytest.param({}, "backbone", id="default"),
        pytest.param({"training.trains": EVERYTHING}, "backbone", id="everything", marks=pytest.mark.slow),
        pytest.param({"adapters": {}, "adapter": NEW}, "tuned", id="over a tuned backbone", marks=pytest.mark.slow),
    ],
)
def test_a_run_that_was_interrupted_ends_as_if_it_had_not_been(
    downstream, tuned, tmp_path, tensors, interrupted_at, options, on
):
    more = {"training.epochs": 2, **({"backbone": str(tuned.folder)} if on == "tuned" else {})}
    recipe = downstream.with_options({**options, **more})
    whole = finetune(recipe, tmp_path / "whole")
    with interrupted_at(7):
        finetune(recipe, tmp_path / "resumed")
    resumed = finetune(recipe, tmp_path / "resumed", resume=True)
    assert_same_tensors(tensors(resumed.folder), tensors(whole.folder), "resumed")
    assert resumed.result["validation"] == pytest.approx(whole.result["validation"])


# --- an adapter that edits


@pytest.fixture
def shift(recipe, editors, tmp_path):
    """A finished run of an adapter that edits."""
    edits = recipe.with_options({"adapter": {"type": "shift", "layer": 3}, "training.epochs": 1})
    return edits, pretrain(edits, tmp_path / "shift", registry=editors)


def test_an_adapter_that_edits_is_pretrained_alone_and_used_further(shift, downstream, editors, tmp_path):
    _, run = shift
    model = KnowledgeModel.from_pretrained(run.folder, registry=editors)
    assert (model.plugged, model.composition.name) == (("facts",), "alone")
    assert model.adapters["facts"].vector.abs().min() > 0
    assert run.result["trained_parameters"] == sum(p.numel() for p in [*model.adapters.parameters()]) + sum(
        p.numel() for p in model.head.parameters()
    )
    assert evaluate(run.folder, ["validation"], registry=editors)["validation"] == pytest.approx(
        run.result["validation"]
    )
    over_it = downstream.with_options({"adapters": {"facts": str(run.folder)}})
    further = KnowledgeModel.from_pretrained(
        finetune(over_it, tmp_path / "over", registry=editors).folder, registry=editors
    )
    assert (further.plugged, further.composition.name) == (("facts",), "alone")
    assert_same(further.adapters["facts"].vector, model.adapters["facts"].vector, "frozen")


def test_fine_tuning_mixes_an_adapter_that_edits_with_others(shift, downstream, both, editors, tmp_path):
    adapters = {"edits": str(shift[1].folder), "reads": both["linguistic"]}
    run = finetune(downstream.with_options({"adapters": adapters}), tmp_path / "run", registry=editors)
    model = KnowledgeModel.from_pretrained(run.folder, registry=editors)
    assert (model.plugged, model.composition.name) == (("edits", "reads"), "concat")


def test_a_new_adapter_beside_a_saved_one_that_stands_alone_needs_a_composition(shift, downstream, editors, tmp_path):
    over = downstream.with_options({"backbone": str(shift[1].folder), "adapters": {}, "adapter": NEW})
    with pytest.raises(ConfigError, match=r"'alone' .* facts, downstream are plugged; choose another one"):
        finetune(over, tmp_path / "run", registry=editors)
    mixed = over.with_options({"composition": {"name": "sum"}})
    assert finetune(mixed, tmp_path / "mixed", registry=editors).result["validation"]


def test_a_backbone_is_trained_through_the_edits(shift, editors, tmp_path):
    recipe, _ = shift
    trains = recipe.with_options({"training.trains": ["head", "adapters", "backbone"]})
    run = pretrain(trains, tmp_path / "tuned", registry=editors)
    model = KnowledgeModel.from_pretrained(run.folder, registry=editors)
    assert model.backbone.info.tuned
    assert model.composition.name == "alone"
    assert evaluate(run.folder, ["validation"], registry=editors)["validation"] == pytest.approx(
        run.result["validation"]
    )
