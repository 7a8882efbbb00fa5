import json
import os
import re
import shutil
import warnings
from pathlib import Path

import pytest
import typer

from kadapter import KnowledgeModel
from kadapter.cli import main
from kadapter.testing import save_tiny_backbone

ROOT = Path(__file__).parents[2]
BROKEN = ROOT / "tests" / "data" / "broken-plugin"


@pytest.fixture
def changeable(run, tmp_path):
    """A copy of the finished run."""
    return Path(shutil.copytree(run.folder, tmp_path / "changeable"))


# --- through the shell


def test_an_error_is_one_line_on_standard_error_and_exit_code_2(shell, recipe_file, tmp_path):
    outcome = shell("pretrain", recipe_file, "--output", tmp_path / "run", "--set", "adapter.type=x")
    assert (outcome.code, outcome.out) == (2, "")
    # Types of plugins that are installed are named too.
    assert re.fullmatch(r"error: there is no adapter type 'x'; there is (.*, )?k-adapter, .*\n", outcome.err)
    assert not (tmp_path / "run").exists()


def test_pretrain_prints_one_json_value_and_shows_one_bar(shell, recipe_file, tmp_path):
    outcome = shell("pretrain", recipe_file, "--output", tmp_path / "run", "--json")
    assert outcome.code == 0
    assert json.loads(outcome.out) == json.loads((tmp_path / "run" / "result.json").read_text())
    [bar] = outcome.err.splitlines()
    assert re.match(r"run, loss \d\.\d{3}, validation \d\.\d{3} .* 5/5 0:00:00", bar)


def test_what_a_broken_plugin_gives_is_missing_and_everything_else_works(shell):
    outcome = shell("plugins", "--json", PYTHONPATH=f"{BROKEN}{os.pathsep}{ROOT}")
    assert outcome.code == 0
    shown = json.loads(outcome.out)
    failed = {failure["plugin"]: failure["reason"] for failure in shown["failures"]}
    assert failed.keys() == {"importerror", "misspelled", "twice"}
    assert failed["importerror"] == "ModuleNotFoundError: No module named 'a_module_that_is_not_installed'"
    assert {failure["distribution"] for failure in shown["failures"]} == {"broken-plugin"}
    given = {(thing["kind"], thing["name"]): thing["distribution"] for thing in shown["provides"]}
    assert given["adapter_type", "works"] == "broken-plugin"
    assert given["adapter_type", "k-adapter"] == "kadapter"
    lines = outcome.err.splitlines()
    assert len(lines) == 3
    assert all(line.startswith("warning: plugin '") for line in lines)


def test_the_table_of_plugins_shows_what_failed_and_why(shell):
    outcome = shell("plugins", PYTHONPATH=f"{BROKEN}{os.pathsep}{ROOT}")
    assert outcome.code == 0
    assert re.search(r"adapter_type .* works .* broken-plugin 1\.0", outcome.out)
    assert re.search(r"backbone .* minilm .* kadapter .* Apache-2\.0", outcome.out)
    assert "failed: 'importerror' (broken-plugin 1.0): ModuleNotFoundError" in outcome.out


# --- pretrain


def test_a_kind_of_knowledge_is_pretrained_with_options_from_the_command_line(kadapter, backbone, data, tmp_path):
    outcome = kadapter(
        "pretrain", "factual", "--backbone", backbone, "--data", data, "--output", tmp_path / "run",
        "--epochs", 1, "--seed", 7, "--set", "adapter.reads=[2]", "--set", "training.learning_rate=3e-4", "--json",
    )  # fmt: skip
    assert outcome.code == 0
    recipe = json.loads(outcome.out)["recipe"]
    assert recipe["source"] == {"name": "fewrel", "path": data}
    assert recipe["adapter"] == {"type": "k-adapter", "reads": [2]}
    assert (recipe["training"]["epochs"], recipe["training"]["seed"]) == (1, 7)
    assert recipe["training"]["learning_rate"] == 3e-4


def test_pretrain_tells_people_what_came_out_and_what_to_do_next(kadapter, recipe_file, tmp_path):
    outcome = kadapter("pretrain", recipe_file, "--output", tmp_path / "[/run]")
    assert outcome.code == 0
    assert "Trained: " in outcome.out
    assert re.search(r"examples .* train 39, validation 9, test 12", outcome.out)
    assert re.search(r"validation accuracy .* 0\.\d{3}", outcome.out)
    assert f"kadapter evaluate {tmp_path}/[/run]" in outcome.out.replace("\n", "")


def test_resuming_a_finished_run_says_the_same_again(kadapter, run):
    recipe = run.folder / "recipe.yaml"
    outcome = kadapter("pretrain", recipe, "--output", run.folder, "--resume", "--json")
    assert (outcome.code, json.loads(outcome.out)) == (0, run.result)


TREX = {"token": ["Oslo", "is", "here"], "relation": "P1", "subj_start": 0, "subj_end": 0, "obj_start": 2, "obj_end": 2}
FEWREL = {"tokens": ["Oslo", "is", "here"], "h": ["oslo", "Q1", [[9]]], "t": ["here", "Q2", [[2]]]}

WRONG_OPTIONS = {
    "unknown adapter type": (["--set", "adapter.type=k-adaptor"], "did you mean 'k-adapter'?"),
    "state out of range": (["--set", "adapter.reads=[99]"], "its states are 0 (embeddings) to 4 (last)"),
    "unknown backbone": (["--backbone", "nowhere/nothing"], "give an alias (minilm, "),
    "unknown source": (["--source", "fewrell"], "did you mean 'fewrel'?"),
    "unknown option": (["--set", "training.epoch=3"], "did you mean 'epochs'?"),
    "unknown part": (["--set", "trainin.epochs=3"], "did you mean 'training'?"),
    "no value": (["--set", "training.epochs"], "write it as option=value, for instance training.epochs=5"),
    "bad YAML": (["--set", "adapter.reads=[1"], "--set adapter.reads=[1: the value is not YAML"),
    "no date": (["--set", "source.path=2020-13-45"], "the value is not YAML"),
    "text for a number": (["--set", "training.epochs=many"], "it must be int"),
    "no epochs": (["--set", "training.epochs=0"], "it must be more than 0"),
    "no epochs at all": (["--epochs", "0"], "it must be more than 0"),
    "negative seed": (["--seed", "-1"], "it must be 0 or more"),
    "number for a mapping": (["--set", "training=3"], "it must be a mapping of options"),
    "null for the data": (["--set", "source.path=null"], "--data PATH"),
    "text for the split's seed": (["--set", "source.seed=x"], "it must be int"),
    "too short for markers": (["--set", "task.max_length=2"], "other options of task 'relation-classification'"),
    "another task's data": (["--set", "task.labels=[P1]"], "are not among the labels given"),
    "nothing to resume": (["--resume"], "start one without --resume"),
}


@pytest.mark.parametrize(("arguments", "hint"), WRONG_OPTIONS.values(), ids=WRONG_OPTIONS)
def test_a_wrong_option_is_refused_with_a_way_out(kadapter, assert_refused, recipe_file, tmp_path, arguments, hint):
    assert_refused(kadapter("pretrain", recipe_file, "--output", tmp_path / "run", *arguments), hint)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["factul", "--backbone", "minilm"], "did you mean 'factual'?"),
        (["factual"], "which backbone? Say --backbone minilm"),
        (["none.yaml"], "cannot read recipe none.yaml: No such file or directory"),
    ],
)
def test_what_cannot_be_pretrained_is_refused(kadapter, assert_refused, tmp_path, arguments, hint):
    assert_refused(kadapter("pretrain", *arguments, "--output", tmp_path / "run"), hint)
    assert list(tmp_path.iterdir()) == []


WRONG_DATA = {
    "missing": ("fewrel", None, "check the path"),
    "empty": ("fewrel", "", "is empty; give a file with records"),
    "no record": ("fewrel", "{}", "holds no record; give a file with records"),
    "not text": ("fewrel", b"\xff\xfe", "save it as UTF-8"),
    "not JSON": ("fewrel", '{"P1": [', "data:1: is not JSON: Expecting value at column 9; correct the line"),
    "a line that is not JSON": ("trex", json.dumps(TREX) + "\n{'token'", "data:2: is not JSON"),
    "a field is missing": (
        "trex",
        json.dumps({"token": ["Oslo"]}),
        "data:1: field 'subj_start' is missing; the record's fields are: token",
    ),
    "a span leaves the sentence": (
        "fewrel",
        json.dumps({"P1": [FEWREL]}),
        "P1 record 1: field 'h.positions[0][0]' is 9 but the sentence has 3 tokens; count from 0",
    ),
    "too few pairs": ("trex", json.dumps(TREX), "too few pairs or texts: 1 leave split"),
}


@pytest.mark.parametrize(("source", "content", "hint"), WRONG_DATA.values(), ids=WRONG_DATA)
def test_wrong_data_is_refused_by_file_and_line(kadapter, assert_refused, recipe_file, tmp_path, source, content, hint):
    path = tmp_path / "data"
    if content is not None:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    output = tmp_path / "run"
    assert_refused(kadapter("pretrain", recipe_file, "--source", source, "--data", path, "--output", output), hint)
    assert not output.exists()


@pytest.mark.parametrize("place", ["file/run", "file", "/proc/kadapter/run", "/dev/null/run", "n" * 300])
def test_an_output_folder_that_cannot_be_made_is_refused(kadapter, assert_refused, recipe_file, tmp_path, place):
    (tmp_path / "file").write_text("mine")
    assert_refused(kadapter("pretrain", recipe_file, "--output", tmp_path / place), "choose another")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert (tmp_path / "file").read_text() == "mine"


def test_the_folder_of_another_run_is_left_alone(kadapter, assert_refused, recipe_file, run, held):
    before = held(run.folder)
    outcome = kadapter("pretrain", recipe_file, "--output", run.folder)
    assert_refused(outcome, "already holds README.md, adapter.json, adapter.safetensors …", "choose another --output")
    outcome = kadapter("pretrain", recipe_file, "--output", run.folder, "--resume")
    assert_refused(outcome, "training.epochs is 4, not 1", "resume it with the same options")
    assert held(run.folder) == before


# --- evaluate


def test_a_run_is_scored(kadapter, run):
    outcome = kadapter("evaluate", run.folder, "--split", "validation", "--split", "test", "--json")
    assert outcome.code == 0
    rows = json.loads(outcome.out)["rows"]
    assert list(rows) == ["adapter"]
    assert list(rows["adapter"]["scores"]) == ["validation", "test"]
    assert rows["adapter"]["scores"]["validation"]["accuracy"]["values"] == [run.result["validation"]["accuracy"]]


def test_scores_are_shown_in_percent(kadapter, run):
    accuracy = 100 * run.result["validation"]["accuracy"]
    outcome = kadapter("evaluate", run.folder, "--split", "validation")
    assert outcome.code == 0
    assert re.search(rf"adapter \D*{accuracy:.1f}", outcome.out)


@pytest.mark.slow
def test_a_run_is_compared_with_its_controls(kadapter, recipe_file, tmp_path):
    assert kadapter("pretrain", recipe_file, "--output", tmp_path / "run").code == 0
    outcome = kadapter("evaluate", tmp_path / "run", "--controls", "--seeds", 1, "--json")
    assert outcome.code == 0
    report = json.loads(outcome.out)
    assert report == json.loads((tmp_path / "run" / "controls" / "ledger.json").read_text())
    assert {"backbone", "random", "untrained", "adapter", "full"} <= report["rows"].keys()
    assert not (tmp_path / "run" / "controls" / "adapter-seed-0").exists()


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["--split", "tests"], "there are train, validation, test"),
        (["--data", "none.json"], "none.json: does not exist, nor does none.json.gz; check the path"),
        (["--controls", "--seeds", "0"], "ask for --seeds 1 or more"),
        (["--controls", "--split", "tests"], "there are train, validation, test"),
        (["--controls", "--output", "/dev/null/controls"], "choose another --output"),
    ],
)
def test_a_score_that_cannot_be_had_is_refused(kadapter, assert_refused, changeable, held, arguments, hint):
    before = held(changeable)
    assert_refused(kadapter("evaluate", changeable, *arguments), hint)
    assert held(changeable) == before


def test_changed_data_is_refused(kadapter, assert_refused, run, facts, tmp_path):
    (tmp_path / "facts.json").write_text(json.dumps({**facts, "P1": facts["P1"][1:]}))
    assert_refused(kadapter("evaluate", run.folder, "--data", tmp_path / "facts.json"), "point --data to the data")


def test_another_backbone_is_refused(kadapter, assert_refused, recipe_file, run, tmp_path):
    backbone = save_tiny_backbone("llama", tmp_path / "backbone")
    arguments = ["pretrain", recipe_file, "--backbone", backbone, "--output", tmp_path / "run"]
    assert kadapter(*arguments).code == 0
    shutil.rmtree(backbone)
    save_tiny_backbone("llama", backbone, seed=1)
    assert_refused(kadapter("evaluate", tmp_path / "run"), f"not on '{backbone}' (fingerprint ", "pretrain it again")
    shutil.rmtree(backbone)
    assert_refused(kadapter("evaluate", tmp_path / "run"), f"backbone '{backbone}' cannot be loaded", "give an alias")


@pytest.mark.parametrize("command", ["evaluate", "inspect"])
@pytest.mark.parametrize("make", [lambda path: None, Path.mkdir, Path.touch])
def test_a_folder_that_is_no_run_says_how_to_make_one(kadapter, assert_refused, tmp_path, command, make):
    make(tmp_path / "run")
    assert_refused(kadapter(command, tmp_path / "run"), f"`kadapter pretrain … --output {tmp_path}/run` makes one")


# --- inspect


def test_a_run_is_inspected(kadapter, run):
    outcome = kadapter("inspect", run.folder, "--json")
    said = json.loads(outcome.out)
    assert (outcome.code, said["name"], said["adapter"]["type"]) == (0, "facts", "k-adapter")
    assert said["trained_on"] == run.result
    adapter = KnowledgeModel.from_pretrained(run.folder).adapters["facts"]
    assert said["parameters"] == sum(parameter.numel() for parameter in adapter.parameters())


def test_a_run_without_adapter_and_a_saved_model_are_inspected(kadapter, run, tmp_path):
    model = KnowledgeModel.from_pretrained(run.folder)
    model.unplug("facts")
    model.save_pretrained(tmp_path)
    outcome = kadapter("inspect", tmp_path, "--json")
    said = json.loads(outcome.out)
    assert (outcome.code, said["adapters"], said["task"]["name"]) == (0, {}, "relation-classification")


def test_knowledge_is_inspected(kadapter):
    outcome = kadapter("inspect", "factual", "--json")
    said = json.loads(outcome.out)
    assert (outcome.code, said["name"], said["adapter"]) == (0, "factual", {"type": "k-adapter"})
    assert said["from"].startswith("kadapter-factual ")


def test_a_backbone_is_inspected(kadapter, backbone):
    outcome = kadapter("inspect", backbone, "--json")
    said = json.loads(outcome.out)
    assert (outcome.code, said["model_type"], said["layers"], said["width"]) == (0, "llama", 4, 32)


@pytest.mark.parametrize("what", ["run", "factual", "backbone"])
def test_people_get_a_table(kadapter, run, backbone, what):
    outcome = kadapter("inspect", {"run": run.folder, "backbone": backbone}.get(what, what))
    assert outcome.code == 0
    assert re.search(r"name +│ ", outcome.out)


def test_a_table_shows_brackets_as_they_are(kadapter, changeable):
    description = json.loads((changeable / "adapter.json").read_text())
    (changeable / "adapter.json").write_text(json.dumps({**description, "name": "[bold]facts[/italic]"}))
    outcome = kadapter("inspect", changeable)
    assert outcome.code == 0
    assert "[bold]facts[/italic]" in outcome.out


def test_what_is_nothing_lists_what_there_is(kadapter, assert_refused):
    assert_refused(
        kadapter("inspect", "nothing"),
        "'nothing' is no folder, no installed knowledge (factual, linguistic), and backbone 'nothing' cannot be loaded",
        "give an alias (minilm, ",
    )


def damaged(path, content):
    path.unlink() if content is None else path.write_bytes(content)


@pytest.mark.parametrize("name", ["adapter.json", "adapter.safetensors"])
@pytest.mark.parametrize("content", [None, b"", b"{}", b"\xff"])
def test_a_damaged_adapter_is_refused(kadapter, assert_refused, changeable, name, content):
    (changeable / "model.json").unlink()
    damaged(changeable / name, content)
    assert_refused(kadapter("inspect", changeable), name)


# --- usage


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["pretrain"], "missing argument 'what'"),
        (["pretrain", "factual"], "missing option '--output'"),
        (["pretrain", "factual", "--output", "x", "--epochs", "many"], "invalid value for '--epochs'"),
        (["pretrian"], "no such command 'pretrian'"),
        (["inspect"], "missing argument 'what'"),
        (["evaluate", "run", "--colour", "red"], "no such option"),
    ],
)
def test_a_command_that_is_mistyped_is_explained(kadapter, arguments, hint):
    outcome = kadapter(*arguments)
    assert (outcome.code, outcome.out) == (2, "")
    assert hint in " ".join(outcome.err.replace("│", "").split()).lower()


def test_a_mistake_of_ours_is_not_passed_off_as_the_user_s(monkeypatch):
    def broken(self):
        raise ZeroDivisionError("ours")

    monkeypatch.setattr(warnings, "formatwarning", warnings.formatwarning)
    monkeypatch.setattr(typer.Typer, "__call__", broken)
    with pytest.raises(ZeroDivisionError):
        main()
