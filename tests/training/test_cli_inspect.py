"""`kadapter inspect --split` and `--text`: what the adapters of a run mix, printed and written."""

import json
import re
import shutil
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch
from matplotlib.image import imread

from kadapter import Adapter, KnowledgeModel, default_registry, hookimpl, pretrain
from kadapter.evaluation import load_run
from kadapter.plots import plot_attention

FILES = {"attention.json", "attention.png"}


class Blend(Adapter):
    """Mixes three states at two places, at the second only two of them."""

    name = "blend"

    def __init__(self, config, backbone):
        super().__init__(config, backbone)
        self.reads = (0, 1, 3)
        self.lean = torch.nn.Parameter(torch.zeros(3))

    def forward(self, states):
        given = torch.stack([states[number] for number in self.reads], -1)
        weights = (given[..., 0, :] + self.lean).softmax(-1)
        if self.watched is not None:
            low, middle, high = weights.unbind(-1)
            self.watched["2-early"] = {"low": low, "middle": middle, "high": high}
            self.watched["10-late"] = {"middle": middle, "high": 1 - middle}
        return (given * weights[..., None, :]).sum(-1)


@pytest.fixture(scope="module", autouse=True)
def installed(tmp_path_factory):
    """Install a plugin that gives the type, while these tests run."""
    place = tmp_path_factory.mktemp("installed")
    said = {"METADATA": "Metadata-Version: 2.1\nName: blending\nVersion: 1.0\n"}
    said["entry_points.txt"] = "[kadapter]\nblending = blending_plugin\n"
    (place / "blending-1.0.dist-info").mkdir()
    for name, content in said.items():
        (place / "blending-1.0.dist-info" / name).write_text(content)
    plugin = ModuleType("blending_plugin")
    plugin.register_adapter_types = hookimpl(lambda: [Blend])
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(place)
        patch.setitem(sys.modules, "blending_plugin", plugin)
        default_registry.cache_clear()
        yield
    default_registry.cache_clear()


@pytest.fixture(scope="module")
def mixing(recipe, installed, tmp_path_factory):
    """A finished run of an adapter that mixes; not to be changed."""
    said = recipe.with_options({"adapter": {"type": "blend"}, "training.epochs": 1})
    return pretrain(said, tmp_path_factory.mktemp("mixing") / "run").folder


@pytest.fixture
def changeable(mixing, tmp_path):
    """A copy of it."""
    return Path(shutil.copytree(mixing, tmp_path / "changeable"))


def weights_by_hand(run, split):
    """The mean weights over all tokens of a split, each example run alone and so without padding."""
    _, model, examples = load_run(run)
    adapter, noted = model.adapters["facts"], []
    adapter.watched = {}
    for tokens in examples.splits[split]["input_ids"]:
        with torch.no_grad():
            model(input_ids=torch.tensor([tokens]))
        noted.append(adapter.watched)
        adapter.watched = {}
    return {
        place: {name: torch.cat([n[place][name][0] for n in noted]).mean().item() for name in parts}
        for place, parts in noted[0].items()
    }


# --- over a split


def test_the_mean_weights_of_a_split_are_printed_and_written(kadapter, changeable, held):
    before = held(changeable)
    outcome = kadapter("inspect", changeable, "--split", "validation", "--json")
    assert outcome.code == 0
    report = json.loads(outcome.out)
    assert (report["split"], list(report["attention"])) == ("validation", ["facts"])
    for place, expected in weights_by_hand(changeable, "validation").items():
        assert report["attention"]["facts"][place] == pytest.approx(expected, abs=1e-5)
    assert report == json.loads((changeable / "attention.json").read_text())
    assert imread(changeable / "attention.png").std() > 0
    after = held(changeable)
    assert {path.name for path in after.keys() - before.keys()} == FILES
    assert before.items() <= after.items()


def test_people_get_a_table_of_places_and_what_is_mixed_there(kadapter, changeable):
    outcome = kadapter("inspect", changeable, "--split", "test")
    weights = json.loads((changeable / "attention.json").read_text())["attention"]["facts"]
    assert outcome.code == 0
    assert re.search(r"place +┃ low +┃ middle +┃ high", outcome.out)
    early, late = (rf"{100 * weights[place]['middle']:.1f} +│ {100 * weights[place]['high']:.1f}" for place in weights)
    assert re.search(rf"2-early +│ \d+\.\d +│ {early} ", outcome.out)
    assert re.search(rf"10-late +│ +│ {late} ", outcome.out)


def test_the_files_may_go_elsewhere(kadapter, mixing, held, tmp_path):
    before = held(mixing)
    assert kadapter("inspect", mixing, "--split", "test", "--output", tmp_path / "new" / "[/place]").code == 0
    assert kadapter("inspect", mixing, "--text", "a1 lies near b1", "--output", tmp_path).code == 0
    assert {path.name for path in (tmp_path / "new" / "[/place]").iterdir()} == FILES
    assert {path.name for path in tmp_path.iterdir()} == {*FILES, "new"}
    assert held(mixing) == before


def test_the_data_may_have_moved_but_not_changed(kadapter, assert_refused, changeable, data, facts, tmp_path):
    moved = shutil.copy(data, tmp_path / "moved.json")
    assert kadapter("inspect", changeable, "--split", "test", "--data", moved).code == 0
    (tmp_path / "changed.json").write_text(json.dumps({**facts, "P1": facts["P1"][1:]}))
    outcome = kadapter("inspect", changeable, "--split", "test", "--data", tmp_path / "changed.json")
    assert_refused(outcome, "point --data to the data")


# --- over a text


def test_the_weights_of_a_text_are_printed_and_written_token_by_token(kadapter, changeable):
    outcome = kadapter("inspect", changeable, "--text", "Bread, $5 or $6", "--json")
    assert outcome.code == 0
    report = json.loads(outcome.out)
    assert report["text"] == "Bread, $5 or $6"
    assert report["tokens"] == ["<s>", "Bread", ",", "$", "5", "o", "r", "$", "6", "</s>"]
    model = KnowledgeModel.from_pretrained(changeable)
    assert report["attention"] == model.attention_of("Bread, $5 or $6").weights
    assert report == json.loads((changeable / "attention.json").read_text())
    assert imread(changeable / "attention.png").std() > 0


def test_people_get_a_table_of_places_and_one_of_tokens(kadapter, changeable):
    outcome = kadapter("inspect", changeable, "--text", "[bold] bread")
    assert outcome.code == 0
    early, late = json.loads((changeable / "attention.json").read_text())["attention"]["facts"].values()
    mean = sum(early["low"]) / len(early["low"])
    assert re.search(rf"2-early +│ {100 * mean:.1f} ", outcome.out)
    at_bread = (early["middle"][-2] + late["middle"][-2]) / 2
    assert re.search(rf"bread +│ {100 * early['low'][-2]:.1f} +│ {100 * at_bread:.1f} ", outcome.out)
    assert re.search(r"\[ +│", outcome.out)


def test_a_long_text_makes_no_endless_picture(tmp_path):
    weights = {"1-output": {"one": [0.25] * 3000, "two": [0.75] * 3000}}
    plot_attention({"tokens": ["token"] * 3000, "attention": {"fused": weights}}, tmp_path / "attention.png")
    height, width, _ = imread(tmp_path / "attention.png").shape
    assert height < width < 5000


def test_a_saved_model_is_enough_for_a_text(kadapter, mixing, tmp_path):
    model = KnowledgeModel.from_pretrained(mixing)
    model.plug("second", {"type": "blend"})
    model.save_pretrained(tmp_path)
    outcome = kadapter("inspect", tmp_path, "--text", "bread", "--json")
    assert (outcome.code, list(json.loads(outcome.out)["attention"])) == (0, ["facts", "second"])
    assert imread(tmp_path / "attention.png").std() > 0


# --- what cannot be had

WRONG = {
    "both": (["--split", "test", "--text", "bread"], "--split and --text are two questions"),
    "no such split": (["--split", "tests"], "there is no split 'tests'; there are train, validation, test"),
    "an empty split": (["--split", ""], "there is no split ''"),
    "data for a text": (["--text", "bread", "--data", "x"], "--data goes with --split"),
    "data for nothing": (["--data", "x"], "--data goes with --split"),
    "output for nothing": (["--output", "x"], "--output goes with --split or --text"),
    "too long a text": (["--text", "bread " * 200], "the text has 202 tokens; backbone '"),
    "no output": (["--text", "bread", "--output", "/dev/null/x"], "choose another folder"),
    "no output of a split": (["--split", "test", "--output", "/dev/null/x"], "choose another folder"),
}


@pytest.mark.parametrize(("arguments", "hint"), WRONG.values(), ids=WRONG)
def test_a_wrong_question_is_refused(kadapter, assert_refused, mixing, held, arguments, hint):
    before = held(mixing)
    assert_refused(kadapter("inspect", mixing, *arguments), hint)
    assert held(mixing) == before


QUESTIONS = [["--split", "test"], ["--text", "bread"]]


@pytest.mark.parametrize("question", QUESTIONS, ids=" ".join)
def test_a_run_that_mixes_nothing_says_what_it_has(kadapter, assert_refused, run, held, question):
    before = held(run.folder)
    hint = f"no adapter of {run.folder} mixes others: there is facts (k-adapter); choose a model with one that does"
    assert_refused(kadapter("inspect", run.folder, *question), hint)
    assert held(run.folder) == before


@pytest.mark.parametrize("question", QUESTIONS, ids=" ".join)
@pytest.mark.parametrize("make", [lambda path: None, Path.mkdir, Path.touch])
def test_a_folder_that_is_no_run_or_model_says_how_to_make_one(kadapter, assert_refused, tmp_path, question, make):
    make(tmp_path / "run")
    outcome = kadapter("inspect", tmp_path / "run", *question)
    assert_refused(outcome, f"in {tmp_path}/run (`kadapter ", f"--output {tmp_path}/run` makes one")


def test_a_name_is_no_run(kadapter, assert_refused):
    assert_refused(kadapter("inspect", "minilm", "--text", "bread"), "no saved model or run in minilm")
