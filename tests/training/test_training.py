import json
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from datasets import Dataset, DatasetDict
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.image import imread
from safetensors.torch import load_file
from transformers import TrainerCallback

import kadapter.training
from kadapter import (
    ConfigError,
    KadapterError,
    Knowledge,
    KnowledgeModel,
    KnowledgeSource,
    Recipe,
    Registry,
    StorageError,
    finetune,
    hookimpl,
    load_adapter,
    load_backbone,
    pretrain,
)
from kadapter.registry import default_registry
from kadapter.testing import save_tiny_backbone
from kadapter.trainer import KnowledgeTrainer, LengthGrouped
from kadapter.training import build_model
from knowledge_data import READERS, RELATION_FEATURES, DataError, RelationRow, sample_path

FILES = {
    "README.md",
    "adapter.json",
    "adapter.safetensors",
    "loss.png",
    "model.json",
    "model.safetensors",
    "origin.json",
    "recipe.yaml",
    "result.json",
}
STEPS_AN_EPOCH = 5


@pytest.fixture(scope="module")
def halves(recipe, folder, interrupted_at):
    """A run that ended in its third epoch: checkpoints after steps 5 and 10. Not to be changed."""
    with interrupted_at(2 * STEPS_AN_EPOCH + 2):
        pretrain(recipe, folder / "halves")
    return folder / "halves"


@pytest.fixture
def half(halves, tmp_path):
    """A copy of it."""
    return Path(shutil.copytree(halves, tmp_path / "half"))


@pytest.fixture
def trainer(recipe, trainer_of):
    """A trainer that is ready to train what the recipe says."""
    return trainer_of(recipe)


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)


# --- what a run leaves behind


def test_the_folder_of_a_run_holds_what_is_promised_and_nothing_else(run, recipe):
    assert {path.name for path in run.folder.iterdir()} == FILES
    assert Recipe.load(run.folder / "recipe.yaml") == recipe
    assert json.loads((run.folder / "result.json").read_text()) == run.result


def test_the_result_says_what_was_asked_and_what_came_out(run, recipe):
    result = run.result
    assert result["recipe"] == recipe.as_dict()
    assert {name: split["examples"] for name, split in result["data"]["splits"].items()} == {
        "train": 39,
        "validation": 9,
        "test": 12,
    }
    assert set(result["versions"]) == {"kadapter", "torch", "transformers"}
    assert result["steps"] == recipe.training.epochs * STEPS_AN_EPOCH
    assert result["backbone_parameters"] == sum(p.numel() for p in load_backbone(recipe.backbone).parameters())


def test_the_adapter_learns(run):
    most_frequent = 4 / 9
    assert run.result["validation"]["accuracy"] > most_frequent


def test_the_losses_are_a_picture(run):
    assert (run.folder / "loss.png").read_bytes().startswith(b"\x89PNG\r\n")
    assert imread(run.folder / "loss.png").std() > 0


def test_the_adapter_can_be_loaded_alone_and_says_where_it_comes_from(run, recipe):
    adapter = load_adapter(run.folder, load_backbone(recipe.backbone).info)
    assert same(adapter.state_dict(), load_file(run.folder / "adapter.safetensors"))
    said = json.loads((run.folder / "adapter.json").read_text())
    assert (said["name"], said["trained_on"]) == ("facts", run.result)
    assert run.result["data"]["content_hash"] in (run.folder / "README.md").read_text()


def test_the_card_tells_the_scores_of_the_validation_split(run):
    assert f"accuracy {run.result['validation']['accuracy']:.3f}" in (run.folder / "README.md").read_text()


# --- what is trained, and what is not


class Watcher(TrainerCallback):
    """Keeps the names of the parameters that have a gradient when the optimiser is about to use it."""

    def __init__(self):
        self.reached = set()

    def on_pre_optimizer_step(self, args, state, control, model, **_):
        self.reached |= {name for name, parameter in model.named_parameters() if parameter.grad is not None}


def test_only_adapter_composition_and_head_are_trained(trainer):
    model, watcher = trainer.knowledge_model, Watcher()
    trainer.add_callback(watcher)
    trainer.train()
    reached = watcher.reached
    owners = {name.split(".")[0] for name in reached}
    assert owners == {"adapters", "composition", "head"}
    assert reached == {name for name, _ in model.named_parameters() if not name.startswith("backbone.")}
    optimised = {id(parameter) for group in trainer.optimizer.param_groups for parameter in group["params"]}
    assert optimised == {id(parameter) for name, parameter in model.named_parameters() if name in reached}
    assert {id(parameter) for parameter in trainer.optimizer.state} == optimised


def test_the_backbone_is_the_same_bit_for_bit_after_training(trainer, recipe):
    trainer.train()
    assert same(trainer.knowledge_model.backbone.state_dict(), load_backbone(recipe.backbone).state_dict())


def test_the_backbone_stays_in_evaluation_mode_while_the_adapter_trains(trainer):
    model, modes = trainer.knowledge_model, set()
    model.backbone.model.register_forward_pre_hook(
        lambda *_: modes.add((model.training, any(module.training for module in model.backbone.modules())))
    )
    trainer.train()
    assert modes == {(True, False), (False, False)}


def test_every_epoch_sees_every_example_once_in_an_order_of_its_own(trainer):
    seen = []
    compute_loss = trainer.compute_loss

    def watched(model, inputs, *arguments, **options):
        if model.training:
            seen.extend(tuple(row[row != 1].tolist()) for row in inputs["input_ids"])
        return compute_loss(model, inputs, *arguments, **options)

    trainer.compute_loss = watched
    trainer.train()
    epochs = [seen[start : start + 39] for start in range(0, len(seen), 39)]
    assert len(epochs) == 4
    assert all(sorted(epoch) == sorted(epochs[0]) for epoch in epochs)
    assert len(set(epochs[0])) == 39
    assert len({tuple(epoch) for epoch in epochs}) == 4


@given(st.lists(st.integers(1, 50), min_size=1, max_size=60), st.integers(1, 9), st.integers(0, 2**32 - 1))
def test_the_order_depends_on_seed_and_epoch_alone(lengths, batch_size, seed):
    def order(epoch):
        sampler = LengthGrouped(lengths, batch_size, seed)
        sampler.set_epoch(epoch)
        return list(sampler)

    assert order(3) == order(3)
    assert sorted(order(3)) == list(range(len(lengths)))


def test_head_leaves_the_adapter_as_it_started(recipe, tmp_path, run):
    recipe = recipe.with_options({"training.trains": ["head", "composition"]})
    task = KnowledgeModel.from_pretrained(run.folder).task
    start = build_model(recipe, KnowledgeModel.from_pretrained(recipe.backbone), task, default_registry())
    trained = pretrain(recipe, tmp_path / "run")
    assert same(load_file(tmp_path / "run" / "adapter.safetensors"), start.adapters["facts"].state_dict())
    assert not same(load_file(tmp_path / "run" / "model.safetensors"), start.own_tensors())
    assert trained.result["trained_parameters"] == sum(t.numel() for t in start.own_tensors().values())


def test_everything_tunes_the_backbone_too_and_saves_it(recipe, tmp_path):
    recipe = recipe.with_options({"adapter": None, "training.trains": ["head", "backbone"]})
    trained = finetune(recipe, tmp_path / "run")
    loaded = KnowledgeModel.from_pretrained(tmp_path / "run")
    started = load_backbone(recipe.backbone).state_dict()
    assert not same(loaded.backbone.state_dict(), started)
    assert same(loaded.own_tensors(), load_file(tmp_path / "run" / "model.safetensors"))
    assert {f"backbone.{name}" for name in started} <= loaded.own_tensors().keys()
    assert not loaded.backbone.frozen
    scores = kadapter.evaluate(tmp_path / "run", ["validation"])["validation"]
    assert scores.items() <= trained.result["validation"].items()


def test_without_adapter_a_head_is_trained_on_the_bare_backbone(recipe, tmp_path):
    trained = finetune(recipe.with_options({"adapter": None, "training.epochs": 1}), tmp_path / "run")
    assert {path.name for path in (tmp_path / "run").iterdir()} == FILES - {"adapter.json", "adapter.safetensors"}
    assert KnowledgeModel.from_pretrained(tmp_path / "run").plugged == ()
    assert trained.result["trained_parameters"] == 3 * 64 + 3


@pytest.mark.parametrize("source", sorted(READERS))
def test_every_format_can_be_trained_on(recipe, tmp_path, source):
    options = {"source": {"name": source, "path": str(sample_path(source))}, "training.epochs": 1}
    result = pretrain(recipe.with_options(options), tmp_path / "run").result
    reading = READERS[source](sample_path(source))
    assert sum(split["examples"] for split in result["data"]["splits"].values()) == len(reading.rows)
    assert result["data"]["skipped"] == reading.report.skipped


# --- the test split


class Facts(KnowledgeSource):
    """Rows whose test split is what the class says."""

    name = "facts"
    needs_path = False
    tested = "under"

    def load(self, path, seed):
        rows = [_row(word, number) for number in range(12) for word in ("near", "under")]
        held_out = [_row(self.tested, 90), _row(self.tested, 91)]
        splits = {"train": rows[:16], "validation": rows[16:], "test": held_out}
        features = {name: Dataset.from_list([vars(r) for r in s], RELATION_FEATURES) for name, s in splits.items()}
        return Knowledge(DatasetDict(features), skipped={}, licence="CC0-1.0")


def _row(word, number):
    return RelationRow.of_spans(f"a{number} lies {word} b{number}", (0, 2), (8 + len(word), 10 + len(word)), word)


def registry_with(source):
    plugin = type("Plugin", (), {"register_knowledge_sources": hookimpl(lambda self: [source])})
    return Registry([], ["kadapter.builtin", plugin()])


def test_the_test_split_does_not_touch_the_training(recipe, tmp_path, tensors):
    recipe = recipe.with_options({"source": {"name": "facts"}})
    runs = [
        pretrain(recipe, tmp_path / word, registry=registry_with(type("Other", (Facts,), {"tested": word})))
        for word in ("under", "near")
    ]
    one, other = (run.result for run in runs)
    assert one["data"]["content_hash"] != other["data"]["content_hash"]
    assert same(*(tensors(run.folder) for run in runs))
    assert one["validation"]["accuracy"] == other["validation"]["accuracy"]


# --- seeds


def test_so_it_does_after_a_run_of_another_precision(recipe, run, tmp_path, monkeypatch, tensors):
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", "bf16")  # what such a run of transformers leaves behind
    again, expected = tensors(pretrain(recipe, tmp_path / "again").folder), tensors(run.folder)
    assert all(torch.equal(again[key], tensor) for key, tensor in expected.items())


def test_the_same_seed_gives_the_same_weights_bit_for_bit(recipe, run, tmp_path, tensors):
    torch.manual_seed(12345)
    assert same(tensors(pretrain(recipe, tmp_path / "again").folder), tensors(run.folder))


def test_another_seed_gives_other_weights(recipe, run, tmp_path, tensors):
    other = pretrain(recipe.with_options({"training.seed": 1}), tmp_path / "other")
    one, two = tensors(other.folder), tensors(run.folder)
    assert one.keys() == two.keys()
    assert not any(torch.equal(one[key], two[key]) for key in one if one[key].numel() > 1)


# --- going on after an interruption

KILLED = """
import os, signal, sys
from kadapter import Recipe, finetune, pretrain
from kadapter.trainer import KnowledgeTrainer

method, step = sys.argv[3], int(sys.argv[4])
original = getattr(KnowledgeTrainer, method)

def perhaps_killed(self, *arguments, **options):
    if self.state.global_step == step:
        os.kill(os.getpid(), signal.SIGKILL)
    return original(self, *arguments, **options)

setattr(KnowledgeTrainer, method, perhaps_killed)
pretrain(Recipe.load(sys.argv[1]), sys.argv[2])
"""


@pytest.mark.parametrize(
    ("method", "step", "checkpoints"),
    [
        pytest.param(
            "training_step", 12, {"checkpoint-5", "checkpoint-10"}, id="in the third epoch", marks=pytest.mark.slow
        ),
        pytest.param("_save_rng_state", 10, {"checkpoint-5", "checkpoint-10"}, id="while writing a checkpoint"),
    ],
)
def test_a_run_that_was_killed_ends_as_if_it_had_not_been(recipe, run, tmp_path, tensors, method, step, checkpoints):
    recipe.save(tmp_path / "recipe.yaml")
    command = [sys.executable, "-c", KILLED, tmp_path / "recipe.yaml", tmp_path / "killed", method, str(step)]
    assert subprocess.run(command, capture_output=True).returncode == -signal.SIGKILL
    assert {path.name for path in (tmp_path / "killed" / "checkpoints").iterdir()} == checkpoints
    resumed = pretrain(recipe, tmp_path / "killed", resume=True)
    assert same(tensors(resumed.folder), tensors(run.folder))
    assert {path.name for path in resumed.folder.iterdir()} == FILES
    assert resumed.result["steps"] == run.result["steps"]


def test_only_the_steps_that_were_missing_are_taken(recipe, half, monkeypatch):
    taken = []
    take_step = KnowledgeTrainer.training_step
    monkeypatch.setattr(
        KnowledgeTrainer,
        "training_step",
        lambda self, *arguments: taken.append(self.state.global_step) or take_step(self, *arguments),
    )
    pretrain(recipe, half, resume=True)
    assert taken == list(range(10, 20))


@pytest.mark.parametrize(
    ("step", "newest"),
    [(0, []), (7, ["checkpoint-5"]), (19, ["checkpoint-15"])],
)
def test_it_may_be_interrupted_anywhere(recipe, run, tmp_path, tensors, interrupted_at, step, newest):
    with interrupted_at(step):
        pretrain(recipe, tmp_path)
    checkpoints = sorted((tmp_path / "checkpoints").glob("*"), key=lambda path: path.stat().st_mtime_ns)
    assert [path.name for path in checkpoints[-1:]] == newest
    assert same(tensors(pretrain(recipe, tmp_path, resume=True).folder), tensors(run.folder))


def interrupt(monkeypatch, function, call):
    """Call, with a function of the training that ends it there."""

    def interrupted(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(kadapter.training, function, interrupted)
        call()


@pytest.mark.parametrize("function", ["save_adapter", "plot_losses", "write_json"])
def test_it_may_be_interrupted_while_it_writes_its_results(recipe, run, half, tensors, monkeypatch, function):
    with pytest.raises(KeyboardInterrupt):
        interrupt(monkeypatch, function, lambda: pretrain(recipe, half, resume=True))
    assert not (half / "result.json").exists()
    assert same(tensors(pretrain(recipe, half, resume=True).folder), tensors(run.folder))
    assert {path.name for path in half.iterdir()} == FILES


@pytest.mark.parametrize("owner", [kadapter.training, Recipe], ids=["write_json", "save"])
def test_it_may_be_interrupted_before_it_has_written_what_it_is(recipe, tmp_path, monkeypatch, owner, request):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    short, place = recipe.with_options({"training.epochs": 1}), tmp_path / "run"
    with monkeypatch.context() as patch:
        patch.setattr(owner, request.node.callspec.id, interrupted)
        with pytest.raises(KeyboardInterrupt):
            pretrain(short, place)
    assert pretrain(short, place, resume=(place / "recipe.yaml").exists()).result["steps"] == STEPS_AN_EPOCH
    assert (place / "origin.json").exists()


HOLDING = """
import sys, time
from filelock import FileLock
with FileLock(sys.argv[1]):
    print("held", flush=True)
    time.sleep(600)
"""


def test_a_run_that_another_process_trains_is_left_to_it(recipe, half, run, tensors):
    with subprocess.Popen([sys.executable, "-c", HOLDING, half / ".lock"], stdout=subprocess.PIPE) as other:
        assert other.stdout.readline() == b"held\n"
        with pytest.raises(StorageError, match=r"another process trains the run in .*half; wait until it has ended"):
            pretrain(recipe, half, resume=True)
        other.kill()
    assert (half / "checkpoints").exists()
    assert same(tensors(pretrain(recipe, half, resume=True).folder), tensors(run.folder))
    assert {path.name for path in half.iterdir()} == FILES


def test_a_checkpoint_that_does_not_fit_is_one_line(recipe, tmp_path, run, tensors):
    """Files may only be so long here, which fails as a full disk does."""
    resource = pytest.importorskip("resource")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (30_000, limits[1]))
    try:
        with pytest.raises(StorageError, match=r"cannot write a checkpoint to .*; make room, and go on with --resume"):
            pretrain(recipe.with_options({"training.store": "off"}), tmp_path / "run")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert same(tensors(pretrain(recipe, tmp_path / "run", resume=True).folder), tensors(run.folder))


def test_the_bar_is_left_standing_where_the_run_was_interrupted(recipe, tmp_path, interrupted_at, capsys):
    with interrupted_at(12):
        pretrain(recipe, tmp_path / "run")
    out, err = capsys.readouterr()
    assert out == ""
    assert re.search(r"run, loss \d\.\d{3}, validation \d\.\d{3} .* 12/20", err)


def cut(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def remove_state(checkpoint):
    (checkpoint / "trainer_state.json").unlink()


def cut_state(checkpoint):
    cut(checkpoint / "trainer_state.json")


def cut_weights(checkpoint):
    for path in checkpoint.iterdir():
        cut(path) if path.name == "model.safetensors" else path.unlink()


def empty(checkpoint):
    shutil.rmtree(checkpoint)
    checkpoint.mkdir()


@pytest.mark.parametrize(
    ("damage", "damaged"),
    [
        (remove_state, ["checkpoint-10"]),
        (cut_state, ["checkpoint-10"]),
        (cut_weights, ["checkpoint-10"]),
        (empty, ["checkpoint-5", "checkpoint-10"]),
    ],
)
def test_a_checkpoint_that_was_cut_short_is_not_used(recipe, run, half, tensors, damage, damaged):
    for name in damaged:
        damage(half / "checkpoints" / name)
    assert same(tensors(pretrain(recipe, half, resume=True).folder), tensors(run.folder))


def test_the_best_checkpoint_is_found_where_the_run_was_moved_to(recipe, half, tensors, monkeypatch):
    with pytest.raises(KeyboardInterrupt):
        interrupt(monkeypatch, "save_adapter", lambda: pretrain(recipe, half, resume=True))
    last = half / "checkpoints" / "checkpoint-20" / "trainer_state.json"
    [best] = {path.name for path in last.parents[1].iterdir()} - {"checkpoint-20"}
    moved = {"best_global_step": int(best.split("-")[1]), "best_model_checkpoint": f"/gone/{best}"}
    last.write_text(json.dumps({**json.loads(last.read_text()), **moved}))
    expected = load_file(half / "checkpoints" / best / "model.safetensors")
    saved = tensors(pretrain(recipe, half, resume=True).folder)
    assert torch.equal(saved["model.safetensors", "head.linear.weight"], expected["head.linear.weight"])


def test_checkpoints_hold_nothing_of_the_frozen_backbone(halves, run):
    checkpoint = halves / "checkpoints" / "checkpoint-10"
    weights = load_file(checkpoint / "model.safetensors")
    assert {name.split(".")[0] for name in weights} == {"adapters", "composition", "head"}
    assert sum(tensor.numel() for tensor in weights.values()) == run.result["trained_parameters"]
    optimiser = torch.load(checkpoint / "optimizer.pt", weights_only=True)
    moments = sum(state["exp_avg"].numel() for state in optimiser["state"].values())
    assert moments == run.result["trained_parameters"]


def test_resuming_a_finished_run_gives_it_as_it_is(recipe, run, held):
    before = held(run.folder)
    again = pretrain(recipe, run.folder, resume=True)
    assert (again.folder, again.result) == (run.folder, run.result)
    assert held(run.folder) == before


@pytest.mark.parametrize("state", ["finished", "interrupted"])
def test_resuming_with_another_recipe_is_an_error_that_says_what_differs(recipe, run, halves, held, state):
    folder = run.folder if state == "finished" else halves
    before = held(folder)
    other = recipe.with_options({"training.epochs": 9, "adapter.reads": [1]})
    with pytest.raises(StorageError) as caught:
        pretrain(other, folder, resume=True)
    assert str(caught.value) == (
        f"the run in {folder} has another recipe: adapter.reads is [1, 3], not [1]; training.epochs is 4, not 9; "
        f"resume it with the same options"
    )
    assert held(folder) == before


@pytest.mark.parametrize("changed", ["data", "backbone"])
def test_a_run_does_not_go_on_with_other_data_or_another_backbone(recipe, tmp_path, interrupted_at, held, changed):
    own = {
        "source.path": shutil.copy(recipe.source["path"], tmp_path / "facts.json"),
        "backbone": str(shutil.copytree(recipe.backbone, tmp_path / "backbone")),
    }
    recipe = recipe.with_options(own)
    with interrupted_at(7):
        pretrain(recipe, tmp_path / "run")
    if changed == "data":
        shutil.copy(sample_path("fewrel"), own["source.path"])
    else:
        save_tiny_backbone("llama", tmp_path / "backbone", seed=1)
    before = held(tmp_path / "run")
    with pytest.raises(StorageError, match=r"data or backbone have changed since the run in .*; start a new one"):
        pretrain(recipe, tmp_path / "run", resume=True)
    assert held(tmp_path / "run") == before


@pytest.mark.parametrize("make", [lambda folder: None, Path.mkdir])
def test_there_must_be_a_run_to_resume(recipe, tmp_path, make):
    make(tmp_path / "run")
    with pytest.raises(StorageError, match=r"there is no run to resume in .*/run; start one without --resume"):
        pretrain(recipe, tmp_path / "run", resume=True)


# --- runs that do not begin


def test_an_output_folder_that_holds_something_is_left_alone(recipe, tmp_path, held):
    for name in ("d", "b", "a", "c"):
        (tmp_path / name).write_text(name)
    before = held(tmp_path)
    with pytest.raises(StorageError) as caught:
        pretrain(recipe, tmp_path)
    assert str(caught.value) == (
        f"output folder {tmp_path} already holds a, b, c …; choose another --output, or continue that run with --resume"
    )
    assert held(tmp_path) == before


def test_an_empty_output_folder_is_taken(recipe, tmp_path):
    assert pretrain(recipe.with_options({"training.epochs": 1}), tmp_path).folder == tmp_path
    assert {path.name for path in tmp_path.iterdir()} == FILES


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"backbone": "no-such-backbone"}, "backbone 'no-such-backbone' cannot be loaded"),
        ({"source.name": "fewrell"}, "there is no source 'fewrell'; .*did you mean 'fewrel'"),
        ({"source.path": None}, "source 'fewrel' needs to know where the data lies: --data PATH"),
        ({"source.path": 3}, "source: option 'path' is 3"),
        ({"source.path": "no/such/file"}, "no/such/file: does not exist"),
        ({"source.path": ""}, "^.: is a folder; give the file inside it"),
        ({"source.shuffle": True}, "source 'fewrel' has no option 'shuffle'; it has limit"),
        ({"task.name": "ranking"}, "there is no task 'ranking'"),
        ({"task.max_length": "long"}, "task 'relation-classification': option 'max_length' is 'long'"),
        ({"task.max_length": -1}, "task: max_length is -1; it must be 1 token or more"),
        ({"task.dropout": 1}, "task: dropout is 1; it must be at least 0 and under 1"),
        ({"task.subject_marker": " "}, "task: subject_marker is ' '; it must be a character or more"),
        ({"task.object_marker": "\0"}, "nothing is left of split 'train'"),
        ({"adapter.type": "l-adapter"}, "there is no adapter type 'l-adapter'; .*did you mean 'k-adapter'"),
        ({"adapter": {"reads": [1]}}, "an adapter needs a type"),
        ({"adapter.preset": "large"}, "adapter type 'k-adapter' has no preset 'large'; it has paper"),
        ({"adapter.preset": ["large"]}, "adapter type 'k-adapter' has no preset"),
        ({"adapter.reads": [99]}, r"state 99 was asked for, but .* has 4 layers: its states are 0 .* to 4"),
        ({"composition.name": "concatenate"}, "there is no composition 'concatenate'"),
        ({"name": "My facts!"}, "'My facts!' cannot name an adapter"),
        ({"training.report_to": ["smoke signals"]}, "training: report_to asks for smoke signals; transformers finds"),
    ],
)
def test_a_run_that_cannot_begin_makes_no_folder(recipe, tmp_path, options, error):
    with pytest.raises((KadapterError, DataError), match=error) as caught:
        pretrain(recipe.with_options(options), tmp_path / "deep" / "run")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "deep").exists()


def test_a_recipe_made_in_python_is_checked_as_one_from_a_file(recipe, tmp_path):
    loose = Recipe("facts", recipe.backbone, recipe.source, recipe.task, adapter="k-adapter")
    with pytest.raises(ConfigError, match="option 'adapter' is 'k-adapter'; it must be mapping or null"):
        pretrain(loose, tmp_path / "run")


def test_a_recipe_made_in_python_may_hold_paths_and_tuples(recipe, run, tmp_path, tensors):
    loose = Recipe(
        "facts",
        Path(recipe.backbone),
        {**recipe.source, "path": Path(recipe.source["path"])},
        recipe.task,
        {**recipe.adapter, "reads": (1, 3)},
        training=recipe.training,
    )
    assert same(tensors(pretrain(loose, tmp_path / "run").folder), tensors(run.folder))
