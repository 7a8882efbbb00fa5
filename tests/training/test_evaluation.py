import json
import shutil
from collections import Counter
from pathlib import Path

import pytest
import torch

from kadapter import ConfigError, KnowledgeModel, StorageError, compare, evaluate, load_backbone, pretrain
from kadapter.comparison import FULL_LEARNING_RATE, summary
from kadapter.data import prepare
from kadapter.evaluation import score
from kadapter.tables import as_markdown

SEEDS = (0, 1)


@pytest.fixture
def other_data(facts, tmp_path):
    """Write other facts; give the path of the file."""

    def write(changed):
        path = tmp_path / "other.json"
        path.write_text(json.dumps({**facts, **changed}))
        return str(path)

    return write


# --- the scores of one run


def predicted(run, recipe, split):
    """The labels that the model gives to the examples of a split, and the right ones: one by one, unpadded."""
    model = KnowledgeModel.from_pretrained(run.folder)
    tokenizer = model.backbone.tokenizer
    examples = prepare(recipe.source, recipe.task, tokenizer).splits[split]
    with torch.no_grad():
        logits = [model(**model.task.collate([example], tokenizer)).logits for example in examples]
    return [int(one.argmax()) for one in logits], examples["labels"][:]


def f1(pairs, label):
    hits = sum(guess == right == label for guess, right in pairs)
    told = Counter(guess for guess, _ in pairs)[label] + Counter(right for _, right in pairs)[label]
    return 2 * hits / told


@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_the_scores_are_those_of_the_model_s_own_logits(run, recipe, split):
    guesses, right = predicted(run, recipe, split)
    pairs = list(zip(guesses, right, strict=True))
    accuracy = sum(guess == label for guess, label in pairs) / len(pairs)
    labels = sorted(set(guesses) | set(right))
    assert evaluate(run.folder, [split]) == {
        split: {
            "accuracy": pytest.approx(accuracy),
            "micro_f1": pytest.approx(accuracy),
            "micro_f1_positive": pytest.approx(accuracy),
            "macro_f1": pytest.approx(sum(f1(pairs, label) for label in labels) / len(labels)),
        }
    }


def test_the_test_split_is_scored_unless_others_are_asked_for(run):
    assert list(evaluate(run.folder)) == ["test"]
    assert list(evaluate(str(run.folder), ["validation", "test"])) == ["validation", "test"]


def test_the_validation_scores_are_those_of_the_training(run):
    assert evaluate(run.folder, ["validation"])["validation"].items() <= run.result["validation"].items()


def test_scoring_leaves_the_run_as_it_is(run, held):
    before = held(run.folder)
    evaluate(run.folder)
    assert held(run.folder) == before


def test_a_model_can_be_scored_without_a_run(run, recipe):
    model = KnowledgeModel.from_pretrained(run.folder)
    examples = prepare(recipe.source, recipe.task, model.backbone.tokenizer)
    assert score(model, examples, ["test"]) == evaluate(run.folder)


def test_a_run_that_reported_somewhere_is_scored_without_reporting(run, tmp_path):
    folder = Path(shutil.copytree(run.folder, tmp_path / "run"))
    result = json.loads((folder / "result.json").read_text())
    result["recipe"]["training"]["report_to"] = ["an integration that is not installed here"]
    (folder / "result.json").write_text(json.dumps(result))
    assert evaluate(folder) == evaluate(run.folder)


# --- what cannot be scored


def test_an_unknown_split_lists_those_that_there_are(run):
    with pytest.raises(ConfigError, match=r"^there is no split 'tests'; there are train, validation, test$"):
        evaluate(run.folder, ["test", "tests"])


def test_data_may_move(run, data, tmp_path):
    moved = Path(shutil.copy(data, tmp_path))
    assert evaluate(run.folder, data=str(moved)) == evaluate(run.folder)


def test_data_that_changed_is_an_error(run, facts, other_data):
    with pytest.raises(ConfigError, match=r"the data has changed since this run was trained \(content hash .*, was "):
        evaluate(run.folder, data=other_data({"P3": facts["P3"][:-1]}))


def test_data_with_another_relation_has_changed_too(run, facts, other_data):
    with pytest.raises(ConfigError, match="the data has changed since this run was trained"):
        evaluate(run.folder, data=other_data({"P4": facts["P3"]}))


@pytest.mark.parametrize("content", [None, "{", "[]", '{"accuracy": 1}'])
def test_a_folder_without_a_finished_run_says_how_to_make_one(tmp_path, content):
    if content is not None:
        (tmp_path / "result.json").write_text(content)
    with pytest.raises(StorageError, match=r"no finished run in .* \(`kadapter pretrain … --output .*` makes one\)"):
        evaluate(tmp_path)


# --- a run beside its controls

ROWS = ["backbone", "mix", "random", "untrained", "adapter", "full"]


@pytest.fixture(scope="module")
def short(recipe):
    return recipe.with_options({"training.epochs": 1})


@pytest.fixture(scope="module")
def compared(short, folder):
    """Folder of a comparison of all rows with two seeds; not to be changed."""
    compare(short, folder / "controls", SEEDS, splits=["validation", "test"])
    return folder / "controls"


def report_of(folder):
    return json.loads((folder / "ledger.json").read_text())


def test_every_row_is_trained_with_every_seed_and_scored(compared, short):
    report = report_of(compared)
    assert list(report["rows"]) == list(ROWS)
    assert (report["recipe"], report["seeds"], report["splits"]) == (short.as_dict(), [0, 1], ["validation", "test"])
    for row, scores in ((row, said["scores"]) for row, said in report["rows"].items()):
        values = [evaluate(compared / f"{row}-seed-{seed}", ["test"])["test"]["accuracy"] for seed in SEEDS]
        assert scores["test"]["accuracy"]["values"] == values
        results = [json.loads((compared / f"{row}-seed-{s}" / "result.json").read_text()) for s in SEEDS]
        for cost in ("trained_parameters", "step_seconds", "peak_memory_mb"):
            assert report["rows"][row][cost] == pytest.approx(sum(r[cost] for r in results) / 2)
        assert all(0 < r["step_seconds"] < r["seconds"] for r in results)
        assert scores["test"]["accuracy"]["mean"] == pytest.approx(sum(values) / 2)
        assert scores["test"]["accuracy"]["spread"] == pytest.approx(abs(values[0] - values[1]) / 2**0.5)


def test_the_controls_differ_from_the_adapter_in_what_carries_the_knowledge(compared, short):
    recipes = {row: json.loads((compared / f"{row}-seed-1" / "result.json").read_text())["recipe"] for row in ROWS}
    assert recipes["adapter"] == short.with_options({"training.seed": 1}).as_dict()
    for row, recipe in recipes.items():
        same = {"backbone", "source", "task", "composition"}
        assert {key: recipe[key] for key in same} == {key: recipes["adapter"][key] for key in same}, row
        for option in ("epochs", "batch_size", "seed"):
            assert recipe["training"][option] == recipes["adapter"]["training"][option], row
    assert {row for row, recipe in recipes.items() if recipe["adapter"] is None} == {"backbone", "full"}
    assert recipes["untrained"]["adapter"] == recipes["adapter"]["adapter"]
    assert recipes["random"]["adapter"] != recipes["adapter"]["adapter"]
    assert recipes["full"]["training"]["trains"] == ["head", "backbone"]
    assert recipes["full"]["training"]["learning_rate"] == FULL_LEARNING_RATE


def test_only_full_changes_the_backbone(compared, short):
    started = load_backbone(short.backbone).state_dict()
    for row in ROWS:
        tuned = KnowledgeModel.from_pretrained(compared / f"{row}-seed-0").backbone.state_dict()
        same = all(torch.equal(tuned[name], started[name]) for name in started)
        assert same == (row != "full"), row


def test_the_comparison_is_written_for_people_too(compared):
    lines = (compared / "ledger.md").read_text().splitlines()
    assert lines[0].startswith("| row | validation accuracy | validation micro_f1 |")
    assert lines[1].startswith("| --- | ---: | ---: |")
    assert [line.split(" | ")[0].removeprefix("| ") for line in lines[2:]] == list(ROWS)
    mean = report_of(compared)["rows"]["mix"]["scores"]["validation"]["accuracy"]["mean"]
    assert lines[2 + list(ROWS).index("mix")].split(" | ")[1].startswith(f"{100 * mean:.1f}")


def test_what_is_finished_is_not_trained_again(compared, short, held):
    before, report = held(compared), report_of(compared)
    assert compare(short, compared, SEEDS, splits=["validation", "test"]) == report
    after = held(compared)
    written = {compared / f"ledger.{kind}" for kind in ("json", "md", "png")}
    assert {path for path in after if after[path] != before[path]} <= written
    assert after.keys() == before.keys()


def test_a_row_that_was_interrupted_goes_on(compared, short, tmp_path, interrupted_at):
    with interrupted_at(3):
        compare(short, tmp_path, [0], ["adapter"])
    assert not (tmp_path / "adapter-seed-0" / "result.json").exists()
    report = compare(short, tmp_path, [0], ["adapter"])
    assert report["rows"]["adapter"]["scores"]["test"]["accuracy"]["values"] == [
        report_of(compared)["rows"]["adapter"]["scores"]["test"]["accuracy"]["values"][0]
    ]


def test_a_run_that_exists_elsewhere_is_taken_as_it_is_even_when_its_data_moved(short, data, tmp_path):
    moved = shutil.copy(data, tmp_path / "first.json")
    pretrain(short.with_options({"source.path": moved}), tmp_path / "elsewhere")
    Path(moved).unlink()
    report = compare(short, tmp_path / "controls", [0], ["adapter"], done={("adapter", 0): tmp_path / "elsewhere"})
    assert report["rows"]["adapter"]["scores"]["test"] == summary([evaluate(tmp_path / "elsewhere", data=data)])["test"]
    assert {path.name for path in (tmp_path / "controls").iterdir()} == {"ledger.json", "ledger.md", "ledger.png"}


@pytest.mark.parametrize(
    ("seeds", "rows", "message"),
    [
        ([0], ["backbone", "bigger"], "there is no row 'bigger'; there are backbone, "),
        ([], ["backbone"], "a ledger needs a seed or more"),
        ([0], ["backbone"], "there is no split 'tests'; there are train, validation, test"),
    ],
)
def test_a_comparison_that_makes_no_sense_is_refused_before_anything_is_trained(short, tmp_path, seeds, rows, message):
    with pytest.raises(ConfigError, match=message):
        compare(short, tmp_path / "controls", seeds, rows, ["test", "tests"])
    assert not (tmp_path / "controls").exists()


def test_a_run_without_adapter_has_no_controls(short, tmp_path):
    with pytest.raises(ConfigError, match="the recipe plugs no adapter to compare with controls"):
        compare(short.with_options({"adapter": None}), tmp_path, [0], ["random"])


def test_a_summary_says_mean_and_sample_standard_deviation():
    scores = [{"test": {"f1": value}} for value in (0.5, 0.7, 0.9)]
    assert summary(scores)["test"]["f1"] == {
        "mean": pytest.approx(0.7),
        "spread": pytest.approx(0.2),
        "values": [0.5, 0.7, 0.9],
    }
    assert summary(scores[:1])["test"]["f1"]["spread"] == 0


def test_a_table_has_a_row_each_in_percent():
    rows = {
        "backbone": {"scores": {"test": {"f1": {"mean": 0.5, "spread": 0.0}}}, "trained_parameters": 1234.0},
        "adapter": {
            "scores": {"test": {"f1": {"mean": 0.812, "spread": 0.0123}}},
            "trained_parameters": 12,
            "backbone_parameters": 9600,
        },
    }
    assert as_markdown({"rows": rows}).splitlines() == [
        "| row | test f1 | trained parameters |",
        "| --- | ---: | ---: |",
        "| backbone | 50.0 | 1,234 |",
        "| adapter | 81.2 ± 1.2 | 12 (0.125 %) |",
    ]
