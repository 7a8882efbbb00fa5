"""The weights that plugins bring along: small, of data that may be shipped, and as good as their cards say."""

import json
import re
from pathlib import Path

import pytest

from kadapter import KnowledgeModel, default_registry, evaluate
from kadapter.inspection import card_of, inspect
from kadapter.testing import rows_of, score_rows
from knowledge_data import sample_path

ROOT = Path(__file__).parents[1]
SHIPPED = {
    "factual": ("fewrel", ROOT / "plugins/kadapter-factual/tests/sentences.json", "fewrel/val_wiki.json.gz"),
    "linguistic": ("conllu", sample_path("conllu"), "ud/UD_English-EWT"),
}
"""Knowledge -> its source, sentences of our own for it, and where the data that it learned from lies."""

everyone = pytest.mark.parametrize("name", SHIPPED)


def folder_of(name, minilm):
    return Path(default_registry().knowledge[name].weights[minilm.info.fingerprint])


def trained_on(folder):
    return json.loads((folder / "adapter.json").read_text())["trained_on"]


@everyone
def test_what_is_shipped_is_small_and_of_data_that_may_be_shipped(name, minilm):
    folder = folder_of(name, minilm)
    assert sum(path.stat().st_size for path in folder.iterdir()) < 8_000_000
    assert trained_on(folder)["card"]["licence"] == "CC BY-SA 4.0"
    assert not re.search(r"\bNC\b|non-?commercial", trained_on(folder)["data"]["licence"], re.I)


@everyone
def test_an_installed_plugin_is_useful_at_once(name, minilm):
    model = KnowledgeModel.from_pretrained("minilm", adapters=[name], backbone=minilm)
    features = model(**minilm.tokenizer(["Vienna lies on the Danube."], return_tensors="pt")).features[name]
    assert features.shape[-1] == minilm.info.width
    assert trained_on(folder_of(name, minilm))["recipe"]["name"] == name


@everyone
def test_inspecting_installed_knowledge_says_for_which_backbones_it_has_weights_and_prints_the_card(name, minilm):
    facts = inspect(name)
    assert facts["weights for"] == {"minilm": str(folder_of(name, minilm))}
    assert "gain over the controls" in card_of(name)


@everyone
def test_its_figure_on_sentences_of_our_own_is_the_one_in_the_card(name, minilm):
    source, own, _ = SHIPPED[name]
    folder = folder_of(name, minilm)
    model = KnowledgeModel.from_pretrained(folder, backbone=minilm)
    said = trained_on(folder)["evaluated"]["own sentences"][model.task.metric]
    # One mark of the smallest difference that there is: machines round differently.
    assert score_rows(model, rows_of(source, own))[model.task.metric] == pytest.approx(said, abs=0.022)
    assert f"own sentences {model.task.metric} {said:.3f}" in (folder / "README.md").read_text()


@pytest.mark.realdata
@everyone
def test_its_figure_on_the_test_split_is_the_one_in_the_card(name, minilm, data_folder):
    folder = folder_of(name, minilm)
    for metric, value in evaluate(folder, ["test"], str(data_folder / SHIPPED[name][2]))["test"].items():
        assert value == pytest.approx(trained_on(folder)["evaluated"]["test"][metric], abs=0.005), metric
        assert f"test {metric} {value:.2f}"[:-1] in (folder / "README.md").read_text()


@everyone
def test_the_card_says_the_gain_over_the_controls(name, minilm):
    card = (folder_of(name, minilm) / "README.md").read_text()
    assert re.search(r"gain over the controls: \+\d", card)
