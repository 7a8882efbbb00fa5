"""The ledger of a fine-tuning: what each row plugs and trains, and that every row is trained, scored and written."""

import json
import shutil

import pytest
from matplotlib.image import imread

from kadapter import ConfigError, KnowledgeModel, KnowledgeModule, Registry, compare, compose, hookimpl
from kadapter.comparison import COMPOSED_LEARNING_RATE, FULL_LEARNING_RATE, HEAD_LEARNING_RATE, rows_of

CONTROLS = ["backbone", "mix", "random", "untrained"]
NEW = {"type": "k-adapter", "reads": [3], "transformer_layers": 1}
OWN_RATE = 5e-3


def said(recipe):
    """What a row plugs, what it trains and how fast."""
    return (recipe.plugs, recipe.training.trains, recipe.training.learning_rate)


def saved_options(folder):
    return json.loads((folder / "adapter.json").read_text())["adapter"]


@pytest.fixture
def registry(linguistic):
    """The built-ins, and one kind of knowledge that is installed."""
    options = {"type": "k-adapter", "preset": "paper", "width": 16}
    module = KnowledgeModule("syntax", "", options, {"name": "x"}, {"name": "x"})
    plugin = type("Plugin", (), {"register_knowledge": hookimpl(lambda self: [module])})
    return Registry([], ["kadapter.builtin", plugin()])


@pytest.fixture(scope="module")
def over_both(downstream):
    return downstream.with_options({"training.learning_rate": OWN_RATE})


# --- the rows


def test_saved_adapters_are_rows_alone_and_together_after_the_controls(over_both, both, run):
    rows = rows_of(over_both)
    assert list(rows) == [*CONTROLS, "facts", "linguistic", "facts+linguistic", "full"]
    first, head = saved_options(run.folder), ("head", "composition")
    random = {**first, "init": "random", "projection_std": 0.02}
    assert {name: said(row) for name, row in rows.items()} == {
        "backbone": ({}, head, HEAD_LEARNING_RATE),
        "mix": ({"downstream": {"type": "scalar-mix"}}, (*head, "adapters"), OWN_RATE),
        "random": ({"downstream": random}, head, OWN_RATE),
        "untrained": ({"downstream": first}, head, OWN_RATE),
        "facts": ({"facts": both["facts"]}, None, OWN_RATE),
        "linguistic": ({"linguistic": both["linguistic"]}, None, OWN_RATE),
        "facts+linguistic": (both, None, OWN_RATE),
        "full": ({}, ("head", "backbone"), FULL_LEARNING_RATE),
    }
    assert rows["facts+linguistic"] == over_both


def test_everything_else_is_the_same_in_all_rows(over_both):
    own = {"adapter": None, "adapters": {}, "training.trains": None, "training.learning_rate": OWN_RATE}
    for name, row in rows_of(over_both).items():
        assert row.with_options(own) == over_both.with_options(own), name


def test_the_controls_have_the_shape_of_the_first_adapter(over_both, both, linguistic):
    rows = rows_of(over_both.with_options({"adapters": dict(reversed(both.items()))}))
    assert list(rows)[4:7] == ["linguistic", "facts", "linguistic+facts"]
    assert rows["untrained"].adapter == saved_options(linguistic.folder)


def test_one_adapter_is_one_row(over_both, both):
    recipe = over_both.with_options({"adapters": {"facts": both["facts"]}})
    assert list(rows_of(recipe)) == [*CONTROLS, "facts", "full"]
    assert rows_of(recipe)["facts"] == recipe


def test_the_controls_train_what_the_recipe_does_but_for_the_adapters(over_both):
    everything = ["head", "composition", "adapters", "backbone"]
    rows = rows_of(over_both.with_options({"training.trains": everything}))
    for name in ("random", "untrained"):
        assert rows[name].training.trains == ("head", "composition", "backbone")
    assert set(rows["mix"].training.trains) == set(everything)
    assert rows["facts"].training.trains == rows["facts+linguistic"].training.trains == tuple(everything)
    assert rows["backbone"].training.trains == ("head", "composition")


def test_installed_knowledge_gives_its_options_to_the_controls(over_both, registry):
    rows = rows_of(over_both.with_options({"adapters": {"mine": "syntax"}}), registry)
    options = {"type": "k-adapter", "preset": "paper", "width": 16}
    assert list(rows) == [*CONTROLS, "mine", "full"]
    assert rows["untrained"].adapter == options
    assert rows["random"].adapter == {**options, "init": "random", "projection_std": 0.02}


def test_a_new_adapter_is_the_subject_and_the_heads_beside_controls_learn_faster(over_both):
    recipe = over_both.with_options({"adapters": {}, "adapter": NEW, "training.learning_rate": 1e-5})
    rows = rows_of(recipe)
    assert list(rows) == [*CONTROLS, "adapter", "full"]
    assert (rows["adapter"], rows["untrained"].adapter) == (recipe, NEW)
    for name in ("mix", "random", "untrained"):
        assert rows[name].training.learning_rate == COMPOSED_LEARNING_RATE


def test_new_adapters_by_their_options_are_rows_too(over_both, both):
    rows = rows_of(over_both.with_options({"adapters": {"fresh": NEW, "facts": both["facts"]}}))
    assert list(rows) == [*CONTROLS, "fresh", "facts", "fresh+facts", "full"]
    assert rows["untrained"].adapter == NEW


def test_a_recipe_that_plugs_nothing_has_no_ledger(over_both):
    with pytest.raises(ConfigError, match="plugs no adapter to compare with controls; give it `adapter` or `adapters`"):
        rows_of(over_both.with_options({"adapters": {}}))


def test_a_saved_model_is_no_bare_backbone(over_both, both, tmp_path):
    compose(both, tmp_path / "model")
    recipe = over_both.with_options({"backbone": str(tmp_path / "model"), "adapter": NEW, "adapters": {}})
    with pytest.raises(ConfigError, match=r"backbone of a ledger must be bare, and .*/model is a saved model"):
        rows_of(recipe)


@pytest.mark.parametrize("name", ["backbone", "random", "full"])
def test_an_adapter_that_is_called_like_a_control_is_refused(over_both, both, name):
    recipe = over_both.with_options({"adapters": {name: both["facts"], "linguistic": both["linguistic"]}})
    with pytest.raises(ConfigError, match=f"an adapter is called '{name}' as one of the controls is; rename it"):
        rows_of(recipe)


# --- the whole


@pytest.fixture(scope="module")
def ledger(over_both, folder):
    """Folder and report of a ledger of some rows, one at another rate; not to be changed."""
    rows = ["untrained", "facts", "facts+linguistic", "full"]
    return folder / "ledger", compare(over_both, folder / "ledger", [3], rows, rates={"full": 1e-3, "facts": 2e-3})


def test_the_rows_are_trained_and_written_with_their_costs(ledger):
    place, report = ledger
    rows = ["untrained", "facts", "facts+linguistic", "full"]
    assert json.loads((place / "ledger.json").read_text()) == report
    assert (list(report["rows"]), report["seeds"], report["metric"]) == (rows, [3], "accuracy")
    for name, row in report["rows"].items():
        result = json.loads((place / f"{name}-seed-3" / "result.json").read_text())
        assert {cost: row[cost] for cost in ("trained_parameters", "step_seconds", "peak_memory_mb")} == {
            cost: result[cost] for cost in ("trained_parameters", "step_seconds", "peak_memory_mb")
        }
        assert 0 <= row["scores"]["test"]["accuracy"]["mean"] <= 1


def test_the_table_and_the_picture_show_the_rows(ledger):
    place, report = ledger
    lines = (place / "ledger.md").read_text().splitlines()
    heads = [cell.strip() for cell in lines[0].strip("|").split("|")]
    assert heads[-3:] == ["trained parameters", "s / step", "memory, MB"]
    assert [line.split(" | ")[0].removeprefix("| ") for line in lines[2:]] == list(report["rows"])
    assert imread(place / "ledger.png").std() > 0


def test_a_rate_that_is_given_replaces_that_of_its_row(ledger):
    place, report = ledger
    rates = {"untrained": OWN_RATE, "facts": 2e-3, "facts+linguistic": OWN_RATE, "full": 1e-3}
    assert {name: row["learning_rate"] for name, row in report["rows"].items()} == rates
    for name, rate in rates.items():
        recipe = json.loads((place / f"{name}-seed-3" / "result.json").read_text())["recipe"]
        assert (recipe["training"]["learning_rate"], recipe["training"]["seed"]) == (rate, 3)


def test_what_is_finished_is_not_done_again_when_the_data_has_moved(over_both, data, tmp_path, held):
    short = over_both.with_options({"training.epochs": 1})
    compare(short, tmp_path / "ledger", [0], ["backbone"])
    before = held(tmp_path / "ledger" / "backbone-seed-0")
    moved = shutil.copy(data, tmp_path / "moved.json")
    compare(short.with_options({"source.path": str(moved)}), tmp_path / "ledger", [0], ["backbone"])
    assert held(tmp_path / "ledger" / "backbone-seed-0") == before


def test_every_row_plugs_what_it_says(ledger):
    place, report = ledger
    plugged = {name: KnowledgeModel.from_pretrained(place / f"{name}-seed-3").plugged for name in report["rows"]}
    assert plugged == {
        "untrained": ("downstream",),
        "facts": ("facts",),
        "facts+linguistic": ("facts", "linguistic"),
        "full": (),
    }


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"rows": ["adapter"]}, r"there is no row 'adapter'; there are backbone, mix, .*facts\+linguistic, full"),
        ({"rates": {"adapter": 1e-3}}, "there is no row 'adapter'"),
        ({"rates": {"full": "quick"}}, "option 'learning_rate' is 'quick'; it must be float"),
        ({"rates": {"full": 0}}, "learning_rate is 0; it must be more than 0"),
        ({"seeds": []}, "a ledger needs a seed or more"),
        ({"splits": ["tests"]}, "there is no split 'tests'"),
    ],
)
def test_a_ledger_that_makes_no_sense_is_refused_before_anything_is_trained(over_both, tmp_path, options, said):
    with pytest.raises(ConfigError, match=said):
        compare(over_both, tmp_path / "ledger", **{"seeds": [0], **options})
    assert not (tmp_path / "ledger").exists()
