"""Whole runs: trained robustly, killed and gone on with, swept over the layers that are dropped, asked side by side."""

import json
import os
import signal
import subprocess
import sys
from itertools import pairwise

import pytest
import torch
from safetensors.torch import load_file

from kadapter import (
    BackboneError,
    ConfigError,
    KnowledgeModel,
    Recipe,
    StorageError,
    Together,
    UnknownNameError,
    evaluate,
    finetune,
    pretrain,
    sweep,
    sweep_run,
)
from kadapter.testing import WORDS, save_tiny_backbone, tiny_batch, tiny_facts
from kadapter.testing.comparing import assert_close, assert_same, assert_same_tensors

LAYERS = 4

KILLED = """
import os, signal, sys
from kadapter import Recipe, pretrain
from kadapter.trainer import KnowledgeTrainer
take_step = KnowledgeTrainer.training_step
def perhaps(self, *arguments, **options):
    if self.state.global_step == 12:
        os.kill(os.getpid(), signal.SIGKILL)
    return take_step(self, *arguments, **options)
KnowledgeTrainer.training_step = perhaps
pretrain(Recipe.load(sys.argv[1]), sys.argv[2])
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(scope="module")
def recipe(folder):
    """A run of a second or two, in robust training."""
    (folder / "facts.json").write_text(json.dumps(tiny_facts()))
    return Recipe.from_dict(
        {
            "name": "facts",
            "backbone": str(save_tiny_backbone("llama", folder / "tiny-llama")),
            "source": {"name": "fewrel", "path": str(folder / "facts.json")},
            "task": {"name": "relation-classification"},
            "adapter": {"type": "drop", "inner": {"type": "standard", "size": 8}, "layers": 1, "robust": True},
            "training": {"epochs": 4, "batch_size": 8, "learning_rate": 1e-2},
        }
    )


@pytest.fixture(scope="module")
def run(recipe, folder):
    """A finished run; not to be changed."""
    return pretrain(recipe, folder / "robust").folder


@pytest.fixture(scope="module")
def other(recipe, folder):
    """Another one, over the same backbone, that drops nothing."""
    adapter = {"type": "standard", "preset": "pfeiffer", "size": 4}
    return pretrain(recipe.with_options({"name": "other", "adapter": adapter}), folder / "other").folder


def kadapter(*arguments):
    """Run a command; give its output."""
    command = [sys.executable, "-m", "kadapter", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True)


def test_a_killed_run_goes_on_with_the_draws_that_were_to_come(recipe, run, tmp_path):
    recipe.save(tmp_path / "recipe.yaml")
    command = [sys.executable, "-c", KILLED, tmp_path / "recipe.yaml", tmp_path / "killed"]
    assert subprocess.run(command, env=os.environ, capture_output=True).returncode == -signal.SIGKILL
    resumed = pretrain(recipe, tmp_path / "killed", resume=True)
    again, whole = (load_file(place / "adapter.safetensors") for place in (resumed.folder, run))
    assert whole["batches"] > 0
    assert_same_tensors(again, whole, "after a kill")


def test_one_robust_run_serves_every_number(run):
    model = KnowledgeModel.from_pretrained(run)
    batch, seen = tiny_batch(model.backbone), []
    for layers in range(LAYERS + 1):
        model.set("facts", layers=layers)
        with torch.no_grad():
            seen.append(model(**batch).last_hidden_state)
    assert all(not torch.equal(one, next_) for one, next_ in pairwise(seen))


def test_a_batch_of_which_all_is_dropped_teaches_nothing_and_stops_nothing(recipe, tmp_path):
    options = {"adapter.between": [LAYERS, LAYERS], "training.trains": ["adapters"], "training.epochs": 1}
    trained = pretrain(recipe.with_options(options), tmp_path / "run")
    assert load_file(trained.folder / "adapter.safetensors")["batches"] == trained.result["steps"]


@pytest.fixture(scope="module")
def report(recipe, folder):
    """What a sweep says; its runs lie in `folder / "sweep"`."""
    return sweep(recipe.with_options({"training.epochs": 1}), folder / "sweep", seeds=[1])


def test_a_sweep_trains_each_way_and_scores_every_number(report, folder, recipe):
    assert list(report["curves"]) == ["ordinary", "robust", "specialised"]
    for name, curve in report["curves"].items():
        assert list(curve) == [str(n) for n in range(LAYERS)], name
        assert all(len(at["accuracy"]["values"]) == 1 for at in curve.values())
    runs = {place.name for place in (folder / "sweep").iterdir() if place.is_dir()}
    names = ["ordinary", "robust", *(f"specialised-{n}" for n in range(LAYERS))]
    assert runs == {f"{name}-seed-1" for name in names}
    assert {(what, n) for what, times in report["seconds"].items() for n in times} == {
        (what, str(n)) for what in ("pass", "step") for n in range(LAYERS)
    }


def test_scores_are_those_of_the_runs_with_so_many_layers_dropped(report, folder):
    specialised = evaluate(folder / "sweep" / "specialised-2-seed-1")["test"]["accuracy"]
    assert report["curves"]["specialised"]["2"]["accuracy"]["values"] == [specialised]
    assert json.loads((folder / "sweep" / "sweep.json").read_text()) == report
    table = (folder / "sweep" / "sweep.md").read_text().splitlines()
    assert table[0].startswith("| dropped | ordinary, test accuracy | robust, test accuracy | specialised")
    assert len(table) == LAYERS + 2
    assert (folder / "sweep" / "sweep.png").read_bytes().startswith(b"\x89PNG")


def test_what_is_finished_is_not_trained_again(report, recipe, folder, monkeypatch):
    monkeypatch.setattr("kadapter.trainer.KnowledgeTrainer.training_step", None)
    again = sweep(recipe.with_options({"training.epochs": 1}), folder / "sweep", seeds=[1], kinds=["robust"])
    for n, at in again["curves"]["robust"].items():
        assert at["accuracy"]["values"] == report["curves"]["robust"][n]["accuracy"]["values"]


def test_a_finished_run_is_swept(run, tmp_path):
    done = kadapter("sweep", run, "--output", tmp_path / "out", "--json")
    assert done.returncode == 0, done.stderr
    [curve] = json.loads(done.stdout)["curves"].values()
    assert curve["1"]["accuracy"]["values"] == [evaluate(run)["test"]["accuracy"]]
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"sweep.json", "sweep.md", "sweep.png"}


def test_a_run_that_drops_nothing_is_wrapped(other, tmp_path):
    done = kadapter("sweep", other, "--output", tmp_path / "out", "--wrap", "drop")
    assert done.returncode == 0, done.stderr
    assert all(word in " ".join(done.stdout.split()) for word in ("dropped", "accuracy", "pass,", "step,"))
    [curve] = json.loads((tmp_path / "out" / "sweep.json").read_text())["curves"].values()
    assert curve["0"]["accuracy"]["values"] == [evaluate(other)["test"]["accuracy"]]


def test_the_command_refuses_in_one_line(run, tmp_path):
    done = kadapter("sweep", run, "--output", tmp_path / "out", "--training", "robust")
    assert (done.returncode, done.stdout) == (2, "")
    assert (
        done.stderr.strip() == "error: --seeds, --training and --set go with a recipe (.yaml); a run is trained already"
    )


WRONG = {
    "a way that there is not": ({"kinds": ["half"]}, "there are ordinary, robust, specialised"),
    "no seeds": ({"seeds": []}, "a sweep needs a seed or more"),
    "a split that there is not": ({"split": "dev"}, "there is no split 'dev'"),
    "a range too far": ({"between": [0, 99]}, "of 0 to the 4 layers"),
    "what drops nothing": ({"inner": {"type": "scalar-mix"}}, "works beside no layer in particular"),
}


@pytest.mark.parametrize(("options", "hint"), WRONG.values(), ids=WRONG)
def test_what_cannot_be_swept_is_refused_before_anything_is_trained(recipe, tmp_path, options, hint):
    options = dict(options)
    of_adapter = {f"adapter.{name}": options.pop(name) for name in ("between", "inner") if name in options}
    with pytest.raises(ConfigError, match=hint):
        sweep(recipe.with_options(of_adapter), tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()


def test_a_run_that_cannot_drop_is_refused(run, other, tmp_path):
    with pytest.raises(ConfigError, match="adapter type 'standard' drops no layers; put it inside one that does"):
        sweep_run(other, tmp_path)
    with pytest.raises(ConfigError, match="there is no split 'dev'"):
        sweep_run(run, tmp_path, split="dev")
    with pytest.raises(StorageError, match="no finished run"):
        sweep_run(tmp_path / "nowhere", tmp_path)


def both(run, other):
    return Together.from_pretrained({"first": run, "second": other})


def test_several_runs_answer_in_one_pass(run, other):
    together = both(run, other)
    batch = facts_batch(together)
    with torch.no_grad():
        exact, wide = together(exact=True, **batch), together(**batch)
        for name, place in (("first", run), ("second", other)):
            alone = KnowledgeModel.from_pretrained(place)(**batch)
            assert alone.logits.shape[1] == len(WORDS)
            assert_same(exact[name].logits, alone.logits, name)
            assert_close(wide[name].logits, alone.logits, name)


def test_rows_ask_for_different_runs(run, other):
    together = both(run, other)
    batch = facts_batch(together)
    asks = ["second", "first", "second", "second"]
    with torch.no_grad():
        answers = together(asks=asks, **batch)
        for name in ("first", "second"):
            rows = [row for row, asked in enumerate(asks) if asked == name]
            alone = together.models[name](**batch).logits[rows]
            assert_close(answers[name].logits, alone, name)
        assert list(together(asks=["second"] * 4, **batch)) == ["second"]


def test_a_number_is_changed_for_one_of_them(run, other):
    together = both(run, other)
    batch = facts_batch(together)
    with torch.no_grad():
        before = together(exact=True, **batch)
        together.models["first"].set("facts", layers=3)
        after = together(exact=True, **batch)
    assert not torch.equal(after["first"].logits, before["first"].logits)
    assert_same(after["second"].logits, before["second"].logits, "the other one")


def facts_batch(together):
    """Four rows for a task on pairs of spans."""
    batch = tiny_batch(together.backbone)
    spans = torch.tensor([[1, 2]] * len(batch["input_ids"]))
    return {**batch, **dict.fromkeys(together.models["first"].task.fields - batch.keys(), spans)}


def test_rows_that_ask_for_nobody_are_refused(run, other):
    together = both(run, other)
    batch = facts_batch(together)
    with pytest.raises(UnknownNameError, match="there is no model 'third'; there are first, second"):
        together(asks=["first", "third", "first", "first"], **batch)
    with pytest.raises(ConfigError, match="asks names 1 models for 4 rows"):
        together(asks=["first"], **batch)


def test_a_run_with_a_backbone_of_its_own_is_refused(recipe, run, tmp_path):
    tuned = finetune(
        recipe.with_options(
            {"name": "tuned", "adapter": None, "training.trains": ["head", "backbone"], "training.epochs": 1}
        ),
        tmp_path / "tuned",
    )

    with pytest.raises(BackboneError, match="has a backbone that was tuned for it alone"):
        Together.from_pretrained({"first": run, "tuned": tuned.folder})
