"""Cards: what they say, that the Hub can read them, and that they come from what is saved and nothing else."""

import json
import shutil

import pytest
from huggingface_hub import ModelCard
from rich.console import Console

from kadapter import ConfigError, KnowledgeModel, StorageError, finetune, load_backbone, save_adapter
from kadapter.card import adapter_card, card_parts, hub_licence
from kadapter.describing import complete_card
from kadapter.storage import describe_adapter


@pytest.fixture
def changeable(run, tmp_path):
    """A copy of the run."""
    return shutil.copytree(run.folder, tmp_path / "run")


def score(mean):
    return {"scores": {"test": {"accuracy": {"mean": mean, "spread": 0.01, "values": [mean - 0.01, mean + 0.01]}}}}


@pytest.fixture
def report(recipe):
    """A ledger of the run's recipe."""
    means = {"backbone": 0.5, "random": 0.625, "adapter": 0.75, "full": 0.9}
    return {
        "recipe": recipe.as_dict(),
        "seeds": [0, 1],
        "splits": ["test"],
        "metric": "accuracy",
        "rows": {name: {"learning_rate": 0.01, "step_seconds": 1.0, **score(mean)} for name, mean in means.items()},
        "versions": {"torch": "2"},
    }


@pytest.fixture
def ledger(report, tmp_path):
    path = tmp_path / "ledger.json"
    path.write_text(json.dumps(report))
    return path


def card_in(folder):
    """Give the card in a folder, as the Hub reads it."""
    return ModelCard.load(folder / "README.md")


# --- what an adapter's card says


def test_the_card_of_a_run_is_one_of_the_hub(run):
    card = card_in(run.folder)
    data = card.data.to_dict()
    assert (data["library_name"], data["tags"]) == ("kadapter", ["kadapter", "k-adapter"])
    assert (data["license"], data["license_name"]) == ("other", "mit-text-cc-by-sa-wikipedia")
    assert "base_model" not in data
    (result,) = [result for result in card.data.eval_results if result.metric_type == "accuracy"]
    assert (result.task_type, result.dataset_name, result.dataset_split) == (
        "relation-classification", "fewrel", "validation",
    )  # fmt: skip
    assert result.metric_value == pytest.approx(run.result["validation"]["accuracy"], abs=1e-4)
    for said in (
        "licence: MIT; text CC BY-SA (Wikipedia)",
        run.result["data"]["content_hash"],
        "| seed | 0 |",
        "torch",
    ):
        assert said in card.text


def test_the_card_is_made_of_what_is_saved_beside_it(run):
    said = json.loads((run.folder / "adapter.json").read_text())
    assert (run.folder / "README.md").read_text() == adapter_card(said)


def test_an_adapter_says_what_it_goes_on_from(run, recipe, tmp_path):
    first = tmp_path / "licensed"
    shutil.copytree(run.folder, first)
    said = json.loads((first / "adapter.json").read_text())
    said["trained_on"]["data"]["licence"] = "CC BY-SA 4.0"
    (first / "adapter.json").write_text(json.dumps(said))
    more = recipe.with_options(
        {"adapter": None, "adapters": {"facts": str(first)}, "training.trains": ["adapters"], "training.epochs": 1}
    )
    further = finetune(more, tmp_path / "further")
    place = further.folder / "adapters/facts"
    assert describe_adapter(place)["trained_on"]["before"] == [said["trained_on"]]
    card = card_in(place)
    assert "| goes on from | source `fewrel`, licence: CC BY-SA 4.0 |" in card.text
    assert card.data.to_dict()["license_name"] == "mit-text-cc-by-sa-wikipedia-cc-by-sa-4.0"


def test_a_card_says_how_to_use_the_adapter_from_everywhere(run):
    text = adapter_card(describe_adapter(run.folder), repository="me/facts-of-mine", package="kadapter-facts")
    for said in ('adapters=["path/to/this/folder"]', "pip install kadapter-facts", 'adapters=["me/facts-of-mine"]'):
        assert said in text


def test_an_alias_says_what_model_it_is_on_the_hub(tmp_path, editors):
    adapter = KnowledgeModel(load_backbone("minilm")).plug("still", {"type": "shift"}, editors)
    save_adapter(
        tmp_path,
        adapter,
        "still",
        trained_on={"licence": "CC BY-SA 4.0", "made_by": "hand | or\nfoot"},
        registry=editors,
    )
    card = card_in(tmp_path)
    data = card.data.to_dict()
    assert (data["base_model"], data["base_model_relation"]) == ("sentence-transformers/all-MiniLM-L6-v2", "adapter")
    assert data["license"] == "cc-by-sa-4.0"
    assert "`minilm` ([sentence-transformers/all-MiniLM-L6-v2]" in card.text
    assert "| made by | hand \\| or foot |\n" in card.text
    assert "model-index" not in data


def test_the_card_of_what_was_imported_says_from_where(tmp_path, run):
    imported = {"format": "microsoft", "place": "fac-adapter", "origin": {"layers": "0,11,22"}, "skipped": {"x": 1}}
    said = {**describe_adapter(run.folder), "trained_on": {"imported": imported}}
    assert "| format | microsoft |\n| place | fac-adapter |\n| layers | 0,11,22 |\n" in adapter_card(said)


@pytest.mark.parametrize(
    "more",
    [
        {"recipe": {"lr": 1}},
        {"recipe": None},
        {"data": "facts"},
        {"card": "Mine."},
        {"hub": True},
        {"ledger": {"task": "t", "source": "s", "seeds": [], "splits": [], "metric": "f", "rows": {}, "row": "x"}},
    ],
)
def test_a_card_is_made_of_whatever_is_known(tmp_path, run, more):
    model = KnowledgeModel.from_pretrained(run.folder)
    model.by_name()["facts"].trained_on = {"seed": 3, "licence": "MIT", **more}
    model.save_pretrained(tmp_path)
    for folder in (tmp_path, tmp_path / "adapters" / "facts"):
        assert card_in(folder).data.to_dict()["license"] == "mit"
    complete_card(tmp_path / "adapters" / "facts", about="Which place lies where.")
    text = card_in(tmp_path / "adapters" / "facts").text
    assert "| seed | 3 |\n" in text
    assert "Which place lies where." in text


def test_a_card_is_made_of_an_adapter_that_says_little(changeable):
    said = json.loads((changeable / "adapter.json").read_text())
    assert "adapter for the frozen backbone `None`" in adapter_card({**said, "backbone": {}, "adapter": {}})


@pytest.mark.parametrize(
    ("licence", "known"),
    [
        ("CC BY-SA 4.0 (T-REx, Elsahar et al. 2018; text from Wikipedia)", "cc-by-sa-4.0"),
        ("CC0", "cc0-1.0"),
        ("CC0-1.0", "cc0-1.0"),
        ("Apache-2.0", "apache-2.0"),
        ("Academic Free License 3.0", "afl-3.0"),
        ("ODC-BY", "odc-by"),
        ("CC BY-NC-SA 3.0", "cc-by-nc-sa-3.0"),
        ("MIT; text CC BY-SA (Wikipedia)", None),
        ("MIT; facts from Wikidata (CC0)", None),
        ("see the data's publisher", None),
    ],
)
def test_licences_are_written_as_the_hub_does(licence, known):
    assert hub_licence(licence) == known


def test_a_saved_model_has_a_card(run, tmp_path):
    KnowledgeModel.from_pretrained(run.folder).save_pretrained(tmp_path)
    card = card_in(tmp_path)
    assert {"kadapter", "knowledge-model", "k-adapter"} == set(card.data.tags)
    assert "composed by `concat`, for the task `relation-classification`" in card.text
    assert "| `facts` | `k-adapter` | MIT; text CC BY-SA (Wikipedia) |" in card.text
    assert card_in(tmp_path / "adapters" / "facts").text == card_in(run.folder).text


def test_a_tuned_model_is_a_finetuned_one_of_its_base(tmp_path):
    model = KnowledgeModel(load_backbone("minilm"))
    model.backbone.thaw()
    model.save_around(tmp_path, {})
    data = card_in(tmp_path).data.to_dict()
    assert (data["base_model_relation"], data["license"], data["license_name"]) == ("finetune", "other", "not-said")


# --- figures of a ledger, and an author's words


def test_a_ledger_is_put_into_the_card(kadapter, changeable, ledger):
    outcome = kadapter("card", changeable, "--ledger", ledger, "--json")
    assert outcome.code == 0, outcome.err
    told = json.loads(outcome.out)["trained_on"]["ledger"]
    assert (told["row"], told["controls"]) == ("adapter", ["backbone", "random"])
    assert told["rows"]["full"] == score(0.9)
    card = card_in(changeable)
    assert "Measured gain over the controls: +12.5 points of test accuracy (75.0 ± 1.0 against 62.5" in card.text
    assert "of the best control, `random`" in card.text
    assert {(r.dataset_split, r.metric_value) for r in card.data.eval_results} >= {("test", 0.75)}
    assert (changeable / "README.md").read_text() == adapter_card(describe_adapter(changeable))


@pytest.mark.parametrize("place", ["ledger.json", "controls/ledger.json"])
def test_a_ledger_that_lies_in_the_run_is_found(changeable, ledger, place):
    (changeable / "controls").mkdir()
    shutil.copy(ledger, changeable / place)
    assert complete_card(changeable)["trained_on"]["ledger"]["row"] == "adapter"


def test_an_author_adds_what_the_run_did_not_know(kadapter, changeable, ledger):
    words = ("--about", "Which place lies where.", "--licence", "cc-by-sa-4.0", "--language", "en")
    assert kadapter("card", changeable, *words, "--dataset", "thunlp/few_rel").code == 0
    assert kadapter("card", changeable, "--ledger", ledger, "--language", "de").code == 0
    card = card_in(changeable)
    data = card.data.to_dict()
    assert (data["license"], data["language"], data["datasets"]) == ("cc-by-sa-4.0", ["de"], ["thunlp/few_rel"])
    assert "\n\nWhich place lies where.\n" in card.text


def test_weights_are_not_touched_and_what_was_added_survives_loading_and_saving(changeable, ledger, tmp_path):
    before = (changeable / "adapter.safetensors").read_bytes()
    complete_card(changeable, ledger, about="Facts.")
    assert (changeable / "adapter.safetensors").read_bytes() == before
    KnowledgeModel.from_pretrained(changeable).save_pretrained(tmp_path / "again")
    assert card_in(tmp_path / "again" / "adapters" / "facts").text == card_in(changeable).text


def test_a_ledger_of_a_task_over_the_adapter_names_it(changeable, report, tmp_path):
    report["rows"]["facts"] = report["rows"].pop("adapter")
    report["recipe"]["source"]["name"] = "sick"
    (tmp_path / "other.json").write_text(json.dumps(report))
    assert complete_card(changeable, tmp_path / "other.json")["trained_on"]["ledger"]["row"] == "facts"
    assert complete_card(changeable, tmp_path / "other.json", "full")["trained_on"]["ledger"]["row"] == "full"


def test_without_a_control_no_gain_is_claimed(changeable, report, tmp_path):
    report["rows"] = {"adapter": report["rows"]["adapter"]}
    (tmp_path / "alone.json").write_text(json.dumps(report))
    complete_card(changeable, tmp_path / "alone.json")
    text = card_in(changeable).text
    assert "no control was trained beside it" in text
    assert "gain" not in text


@pytest.mark.parametrize(
    ("change", "error", "said"),
    [
        (lambda r: r.pop("rows"), StorageError, r"ledger\.json is not a ledger; give the ledger\.json of"),
        (lambda r: r["rows"].pop("adapter"), ConfigError, "has no row 'adapter'; there are backbone, random, full"),
        (lambda r: r["recipe"]["adapter"].update(width=9), ConfigError, r"of another recipe .*: adapter\.width is 9"),
    ],
)
def test_a_ledger_of_something_else_is_refused(changeable, report, tmp_path, change, error, said):
    change(report)
    (tmp_path / "ledger.json").write_text(json.dumps(report))
    before = (changeable / "adapter.json").read_bytes()
    with pytest.raises(error, match=said):
        complete_card(changeable, tmp_path / "ledger.json")
    assert (changeable / "adapter.json").read_bytes() == before


def test_the_seed_and_the_place_of_the_data_may_differ(changeable, report, ledger):
    report["recipe"]["training"]["seed"], report["recipe"]["source"]["path"] = 7, "elsewhere.json"
    ledger.write_text(json.dumps(report))
    complete_card(changeable, ledger)


def test_a_card_without_adapter_or_ledger_is_one_line(kadapter, assert_refused, run, tmp_path):
    assert_refused(kadapter("card", tmp_path), "no saved adapter in")
    assert_refused(kadapter("card", run.folder, "--ledger", tmp_path / "none.json"), "no ledger for", "none.json")


# --- inspect


def test_inspect_prints_the_card_and_its_data(kadapter, run):
    outcome = kadapter("inspect", run.folder)
    assert "A `k-adapter` knowledge adapter for the frozen backbone" in outcome.out
    assert "library_name" not in outcome.out
    told = json.loads(kadapter("inspect", run.folder, "--json").out)["card"]
    assert (told["library_name"], told["model-index"][0]["name"]) == ("kadapter", "facts")


def test_a_terminal_gets_the_card_laid_out(kadapter, changeable, monkeypatch):
    monkeypatch.setattr(Console, "is_terminal", True)
    (changeable / "README.md").write_text("# Facts\n\nOf *all* \x1b]0;kinds\x07.\n")
    shown = kadapter("inspect", changeable).out
    assert "# Facts" not in shown
    assert "Facts" in shown
    assert "\x1b]0" not in shown


@pytest.mark.parametrize(
    "text", ["plain", "---\n[1, 2\n---\nplain", "---\n- 1\n---\nplain", "---\nlicense: mit\n---\nplain"]
)
def test_a_card_by_hand_is_shown_as_it_is(kadapter, changeable, text):
    (changeable / "README.md").write_text(text)
    assert kadapter("inspect", changeable).out.endswith("plain\n")
    assert card_parts(text)[1].endswith("plain")
