"""The commands `kadapter compose`, `finetune` and `ledger`."""

import json
import re
import shutil

import pytest

from kadapter import KnowledgeModel, finetune
from kadapter.comparison import COMPOSED_LEARNING_RATE
from kadapter.testing import save_tiny_backbone

TASK = "relation-classification"


@pytest.fixture(scope="module")
def finetuned(downstream, folder):
    """A finished fine-tuning; not to be changed."""
    return finetune(downstream, folder / "finetuned")


@pytest.fixture(scope="module")
def file(downstream, folder):
    """The recipe of the fine-tuning as a file."""
    downstream.save(folder / "downstream.yaml")
    return folder / "downstream.yaml"


@pytest.fixture
def other_backbone(tmp_path):
    return save_tiny_backbone("llama", tmp_path / "other", seed=1)


# --- compose


def test_folders_are_composed_under_the_names_in_them(kadapter, both, backbone, tmp_path):
    outcome = kadapter("compose", *both.values(), "--output", tmp_path / "model", "--json")
    assert outcome.code == 0
    assert json.loads(outcome.out) == {
        "model": str(tmp_path / "model"),
        "backbone": backbone,
        "adapters": ["facts", "linguistic"],
        "composition": "concat",
    }
    assert KnowledgeModel.from_pretrained(tmp_path / "model").plugged == ("facts", "linguistic")


def test_adapters_are_renamed_and_mixed_as_the_command_line_says(kadapter, both, backbone, tmp_path):
    given = [f"first={both['facts']}", f"second={both['facts']}", "--backbone", backbone, "--composition", "gate"]
    outcome = kadapter("compose", *given, "--output", tmp_path / "model")
    assert outcome.code == 0
    assert "Composed: " in outcome.out
    assert re.search(r"adapters +│ \['first', 'second'\]", outcome.out)
    assert re.search(r"composition +│ gate", outcome.out)
    model = KnowledgeModel.from_pretrained(tmp_path / "model")
    assert (model.plugged, model.composition.name) == (("first", "second"), "gate")


def test_two_folders_of_one_name_are_not_mixed_up(kadapter, both, assert_refused, tmp_path):
    twice = [both["facts"], both["facts"]]
    outcome = kadapter("compose", *twice, "--output", tmp_path / "model")
    assert_refused(outcome, "two adapters are called 'facts'; give one a name of its own: NAME=/")
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["no/folder"], "no saved adapter in no/folder"),
        (["factul", "--backbone", "BACKBONE"], "did you mean 'factual'?"),
        (["factual", "--backbone", "BACKBONE"], "'factual' comes without weights for backbone"),
        (["factual"], "which backbone for factual? Say --backbone minilm"),
        (["FACTS", "--composition", "gates"], "did you mean 'gate'?"),
        (["FACTS", "--backbone", "OTHER"], "was trained on backbone"),
        (["A name=FACTS"], "'A name' cannot name an adapter"),
    ],
)
def test_what_cannot_be_composed_is_refused(
    kadapter, assert_refused, both, backbone, other_backbone, tmp_path, arguments, hint
):
    places = {"FACTS": both["facts"], "BACKBONE": backbone, "OTHER": str(other_backbone)}
    given = [re.sub("FACTS|BACKBONE|OTHER", lambda found: places[found[0]], text) for text in arguments]
    assert_refused(kadapter("compose", *given, "--output", tmp_path / "model"), hint)
    assert not (tmp_path / "model").exists()


def test_the_folder_of_a_run_is_not_composed_into(kadapter, assert_refused, both, run, held):
    before = held(run.folder)
    assert_refused(kadapter("compose", both["linguistic"], "--output", run.folder), "already holds README.md, ")
    assert held(run.folder) == before


# --- finetune


def test_a_task_is_finetuned_with_options_from_the_command_line(kadapter, both, backbone, data, tmp_path):
    outcome = kadapter(
        "finetune", TASK, "--backbone", backbone, "--adapter", both["facts"],
        "--adapter", f"syntax={both['linguistic']}",
        "--source", "fewrel", "--data", data, "--train", "head", "--train", "adapters", "--epochs", 1, "--seed", 7,
        "--set", "training.batch_size=8", "--set", "composition.name=gate", "--output", tmp_path / "run", "--json",
    )  # fmt: skip
    assert outcome.code == 0
    result = json.loads(outcome.out)
    assert result == json.loads((tmp_path / "run" / "result.json").read_text())
    recipe = result["recipe"]
    assert recipe["adapters"] == {"facts": both["facts"], "syntax": both["linguistic"]}
    assert (recipe["name"], recipe["task"], recipe["adapter"]) == (TASK, {"name": TASK}, None)
    assert recipe["source"] == {"name": "fewrel", "path": data}
    training = {name: recipe["training"][name] for name in ("trains", "epochs", "seed", "learning_rate")}
    expected = {"trains": ["head", "adapters"], "epochs": 1, "seed": 7, "learning_rate": COMPOSED_LEARNING_RATE}
    assert training == expected
    model = KnowledgeModel.from_pretrained(tmp_path / "run")
    assert (model.plugged, model.composition.name) == (("facts", "syntax"), "gate")


def test_a_composed_model_is_finetuned_by_its_folder(kadapter, both, data, tmp_path):
    assert kadapter("compose", *both.values(), "--output", tmp_path / "model").code == 0
    options = ["--source", "fewrel", "--data", data, "--epochs", 1, "--output", tmp_path / "run"]
    outcome = kadapter("finetune", TASK, "--backbone", tmp_path / "model", *options)
    assert outcome.code == 0
    assert "Trained: " in outcome.out
    assert KnowledgeModel.from_pretrained(tmp_path / "run").plugged == ("facts", "linguistic")


def test_a_recipe_file_is_finetuned(kadapter, file, downstream, tmp_path):
    outcome = kadapter("finetune", file, "--output", tmp_path / "run")
    assert outcome.code == 0
    assert re.search(r"examples .* train 39, validation 9, test 12", outcome.out)
    assert re.search(r"trained parameters .* of the backbone's", outcome.out)
    assert re.search(r"validation accuracy .* [01]\.\d{3}", outcome.out)
    assert f"kadapter evaluate {tmp_path}/run" in outcome.out.replace("\n", "")
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert result["recipe"] == downstream.as_dict()


def test_the_command_line_replaces_what_a_recipe_file_says(kadapter, file, both, tmp_path):
    options = ["--adapter", both["linguistic"], "--train", "composition", "--seed", 5]
    outcome = kadapter("finetune", file, *options, "--output", tmp_path / "run", "--json")
    assert outcome.code == 0
    recipe = json.loads(outcome.out)["recipe"]
    assert recipe["adapters"] == {"linguistic": both["linguistic"]}
    assert (recipe["training"]["trains"], recipe["training"]["seed"]) == (["composition"], 5)


def test_resuming_a_finished_finetuning_says_the_same_again(kadapter, file, finetuned, held):
    before = held(finetuned.folder)
    outcome = kadapter("finetune", file, "--output", finetuned.folder, "--resume", "--json")
    assert (outcome.code, json.loads(outcome.out)) == (0, finetuned.result)
    assert held(finetuned.folder) == before


def test_a_finetuned_run_is_scored_and_inspected(kadapter, finetuned):
    outcome = kadapter("evaluate", finetuned.folder, "--split", "validation", "--json")
    values = json.loads(outcome.out)["rows"]["adapter"]["scores"]["validation"]["accuracy"]["values"]
    assert (outcome.code, values) == (0, [finetuned.result["validation"]["accuracy"]])
    outcome = kadapter("inspect", finetuned.folder, "--json")
    assert (outcome.code, list(json.loads(outcome.out)["adapters"])) == (0, ["facts", "linguistic"])


WRONG_TASKS = {
    "unknown task": (["ranking", "--backbone", "BACKBONE", "--source", "fewrel"], "there is no task 'ranking'"),
    "no source": ([TASK, "--backbone", "BACKBONE"], f"task '{TASK}' needs --source crossner or another"),
    "no backbone": ([TASK, "--source", "fewrel"], f"task '{TASK}' needs --backbone minilm or another"),
    "no recipe": (["none.yaml"], "cannot read recipe none.yaml"),
}


@pytest.mark.parametrize(("arguments", "hint"), WRONG_TASKS.values(), ids=WRONG_TASKS)
def test_a_task_that_cannot_be_finetuned_is_refused(
    kadapter, assert_refused, backbone, data, tmp_path, arguments, hint
):
    given = [backbone if argument == "BACKBONE" else argument for argument in arguments]
    assert_refused(kadapter("finetune", *given, "--data", data, "--output", tmp_path / "run"), hint)
    assert not (tmp_path / "run").exists()


WRONG_OPTIONS = {
    "no adapter there": (["--adapter", "no/folder"], "no saved adapter in no/folder"),
    "an empty folder": (["--adapter", "EMPTY"], "no saved adapter in "),
    "knowledge without weights": (["--adapter", "factual"], "make them with `kadapter pretrain factual --backbone "),
    "unknown part": (["--train", "legs"], "'head' or 'composition' or 'adapters' or 'backbone'"),
    "nothing to train": (["--train", "adapters", "--set", "adapters={}"], "but there is nothing of it; name head"),
    "another backbone": (["--backbone", "OTHER"], "was trained on backbone"),
    "unknown composition": (["--set", "composition.name=gates"], "did you mean 'gate'?"),
    "no epochs": (["--epochs", "0"], "it must be more than 0"),
    "nothing to resume": (["--resume"], "start one without --resume"),
}


@pytest.mark.parametrize(("arguments", "hint"), WRONG_OPTIONS.values(), ids=WRONG_OPTIONS)
def test_a_wrong_option_is_refused_with_a_way_out(
    kadapter, assert_refused, file, other_backbone, tmp_path, arguments, hint
):
    (tmp_path / "empty").mkdir()
    places = {"EMPTY": tmp_path / "empty", "OTHER": other_backbone}
    given = [places.get(argument, argument) for argument in arguments]
    assert_refused(kadapter("finetune", file, "--output", tmp_path / "run", *given), hint)
    assert not (tmp_path / "run").exists()


def test_the_folder_of_another_run_is_left_alone(kadapter, assert_refused, file, run, finetuned, held):
    before = {**held(run.folder), **held(finetuned.folder)}
    assert_refused(kadapter("finetune", file, "--output", run.folder), "choose another --output, or continue that run")
    outcome = kadapter("finetune", file, "--output", run.folder, "--resume")
    assert_refused(outcome, "has another recipe: ", "resume it with the same options")
    outcome = kadapter("finetune", file, "--output", finetuned.folder, "--resume", "--train", "head")
    assert_refused(outcome, "training.trains is None, not ['head']")
    assert {**held(run.folder), **held(finetuned.folder)} == before


# --- ledger


def test_a_ledger_is_told_as_json_and_as_a_table(kadapter, file, data, tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "240")
    moved = shutil.copy(data, tmp_path / "facts.json")
    arguments = [
        "ledger", file, "--output", tmp_path / "ledger", "--data", moved, "--seeds", 1, "--row", "untrained",
        "--row", "facts+linguistic", "--rate", "untrained=1e-3", "--split", "validation", "--split", "test",
        "--set", "training.seed=2",
    ]  # fmt: skip
    outcome = kadapter(*arguments, "--json")
    assert outcome.code == 0
    report = json.loads(outcome.out)
    assert report == json.loads((tmp_path / "ledger" / "ledger.json").read_text())
    assert {name: row["learning_rate"] for name, row in report["rows"].items()} == {
        "untrained": 1e-3,
        "facts+linguistic": 1e-2,
    }
    assert (report["seeds"], report["splits"]) == ([2], ["validation", "test"])
    assert report["recipe"]["source"]["path"] == str(moved)
    outcome = kadapter(*arguments)
    assert outcome.code == 0
    assert "downstream, scores in percent" in outcome.out
    accuracy = 100 * report["rows"]["facts+linguistic"]["scores"]["validation"]["accuracy"]["mean"]
    assert re.search(rf"facts\+linguistic +│ {accuracy:.1f} +│", outcome.out)
    monkeypatch.setenv("COLUMNS", "80")
    assert "…" not in kadapter(*arguments).out


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["--row", "adapter"], "there is no row 'adapter'; there are backbone, mix, random, untrained, facts, "),
        (["--rate", "full"], "--rate full: write it as option=value, for instance full=1e-4"),
        (["--rate", "full=quick"], "option 'learning_rate' is 'quick'; it must be float"),
        (["--rate", "bigger=1e-3"], "there is no row 'bigger'"),
        (["--seeds", "0"], "ask for --seeds 1 or more"),
        (["--split", "tests"], "there is no split 'tests'"),
        (["--set", "adapters={}"], "the recipe plugs no adapter to compare with controls"),
        (["--data", "none.json"], "none.json: does not exist"),
        (["--set", "adapters.facts=no/folder"], "no saved adapter in no/folder"),
    ],
)
def test_a_ledger_that_cannot_be_made_is_refused(kadapter, assert_refused, file, tmp_path, arguments, hint):
    assert_refused(kadapter("ledger", file, "--output", tmp_path / "ledger", *arguments), hint)
    assert not (tmp_path / "ledger").exists()


def test_a_ledger_needs_a_recipe_and_a_bare_backbone(kadapter, assert_refused, file, run, tmp_path):
    assert_refused(kadapter("ledger", "none.yaml", "--output", tmp_path / "ledger"), "cannot read recipe none.yaml")
    given = ["--set", f"backbone={run.folder}", "--output", tmp_path / "ledger"]
    assert_refused(kadapter("ledger", file, *given), "is a saved model; give its own backbone")
    assert not (tmp_path / "ledger").exists()


@pytest.mark.slow
def test_a_finetuned_run_is_its_own_row_beside_its_controls(kadapter, finetuned, tmp_path):
    folder = tmp_path / "controls"
    outcome = kadapter("evaluate", finetuned.folder, "--controls", "--seeds", 1, "--output", folder, "--json")
    rows = json.loads(outcome.out)["rows"]
    assert list(rows) == ["backbone", "mix", "random", "untrained", "facts", "linguistic", "facts+linguistic", "full"]
    assert not (folder / "facts+linguistic-seed-0").exists()
    assert rows["facts+linguistic"]["trained_parameters"] == finetuned.result["trained_parameters"]
