"""Facts put into a model by `benchmarks.facts`: what is asked, how it is scored, what is held; and that it runs."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml

from benchmarks.closed_list import likeliest
from benchmarks.facts import RECIPE
from benchmarks.injecting import Cloze, Lessons, Remembered, accuracy, domains, next_token, perplexity
from benchmarks.passages import passages
from kadapter import KnowledgeModel
from kadapter.testing.comparing import assert_close

ROOT = Path(__file__).parents[1]
CANDIDATES = [[7], [7, 8], [9, 8, 7], [9, 8, 11], [30], [31, 7]]


@pytest.fixture(scope="module")
def recipe():
    return yaml.safe_load(RECIPE.read_text(encoding="utf-8"))


@pytest.fixture
def model(tiny):
    return KnowledgeModel(tiny("llama")).eval()


# --- the closed list


def by_hand(model, prompt, candidate):
    """The summed log-probability of a candidate, token by token."""
    given = [next_token(model, [prompt + candidate[:number]])[0] for number in range(len(candidate))]
    return sum(found[token].item() for found, token in zip(given, candidate, strict=True))


@torch.no_grad()
def test_the_likeliest_is_the_one_that_scoring_all_of_them_finds(model):
    prompts = [[first, second] for first in range(5, 15) for second in (6, 40)]
    found = likeliest(prompts, CANDIDATES, lambda rows: next_token(model, rows))
    for prompt, number in zip(prompts, found, strict=True):
        scores = [by_hand(model, prompt, candidate) for candidate in CANDIDATES]
        assert scores[number] == pytest.approx(max(scores), abs=1e-4)


def test_a_likely_beginning_does_not_win_by_itself():
    after = {(): {1: 0.6, 2: 0.4}, (1,): {3: 0.1, 4: 0.1}, (2,): {5: 0.9}}
    table = {row: torch.tensor([its.get(token, 1e-9) for token in range(6)]).log() for row, its in after.items()}
    assert likeliest([[]], [[1, 3], [1, 4], [2, 5]], lambda rows: [table[tuple(row)] for row in rows]) == [2]


# --- the facts


def test_no_phrasing_is_both_taught_and_held_out(recipe):
    for domain in domains(recipe, countries=3).values():
        assert set(domain.taught) & set(domain.held_out) == set()
        assert all(phrasing.count("{subject}") == 1 for phrasing in domain.taught + domain.held_out)


def test_every_country_has_one_answer_for_each_question(recipe):
    found = domains(recipe)
    assert len(found["capital"].facts) == 188
    for domain in found.values():
        assert len(dict(domain.facts)) == len(domain.facts) > 130


def test_a_sentence_begins_with_a_capital_letter(recipe):
    dutch = next(fact for fact in domains(recipe)["capital"].facts if fact[1] == "Amsterdam")
    assert dutch[0] == "the Netherlands"
    asked = domains(recipe)["capital"].clozes(["{subject} is governed from"])
    assert Cloze("The Netherlands is governed from", "Amsterdam") in asked


def test_no_passage_both_holds_and_scores():
    texts = passages(None)
    assert texts.holding
    for scored in texts.unseen.values():
        assert scored
        assert not set(scored) & set(texts.holding)


# --- a step


def test_a_batch_asks_for_answers_and_holds_all_the_rest(tiny):
    tokenizer = tiny("llama").tokenizer
    settings = {"facts": 2, "near": 1, "texts": 1, "tokens": 5, "positions": 100}
    clozes = [Cloze("the capital of x is", "paris"), Cloze("the capital of y is", "rome")]
    lessons = Lessons(tokenizer, settings, clozes, ["a near one"], ["a text of some length"])
    taught, texts = next(lessons.batches(0))
    rows, positions = taught.asked
    after = torch.nn.functional.pad(taught.inputs["input_ids"], (0, 1))[rows, positions + 1]
    within = positions + 1 < taught.inputs["attention_mask"].sum(1)[rows]
    assert torch.equal(after[within], taught.answers[within])
    assert set(rows.tolist()) == {0, 1}
    assert set(taught.held[0].tolist()) == {2}
    assert len(texts.answers) == 0
    assert len(texts.held[0]) == texts.inputs["attention_mask"].sum() == 5


@torch.no_grad()
def test_what_is_remembered_is_what_the_backbone_gives(tiny, model):
    remembered, last = Remembered(tiny("llama"), [1]), tiny("llama").info.layers
    batch = {"input_ids": torch.tensor([[5, 6, 7], [8, 9, 0]]), "attention_mask": torch.tensor([[1, 1, 1], [1, 1, 0]])}
    real = batch["attention_mask"].bool()
    for _ in range(2):
        found = remembered(batch, frozenset({1, last}))
        expected = tiny("llama")(batch, frozenset({1, last}))
        for state in (1, last):
            assert_close(found[state][real], expected[state][real], "remembered")


# --- scores


def test_scores_are_shares_of_the_whole(model):
    clozes = [Cloze("a", "b"), Cloze("c", "d")]
    assert accuracy(model, clozes, ["b"]) == 50
    assert perplexity(model, ["some words of a text"]) > 1


# --- they run


@pytest.mark.slow
@pytest.mark.parametrize(("name", "rows"), [("facts", ["random", "full"]), ("forgetting", ["adapters", "fine-tuning"])])
def test_it_runs_on_a_tiny_model_a_row_at_a_time(name, rows, tmp_path):
    command = [sys.executable, "-m", f"benchmarks.{name}", "--quick", "--output", str(tmp_path), "--row"]
    for row in rows:
        subprocess.run([*command, row], cwd=ROOT, check=True, capture_output=True)
    assert json.loads((tmp_path / f"{name}-quick.json").read_text())["rows"].keys() >= set(rows)
    assert (tmp_path / f"{name}-quick.md").read_text().startswith("|")
    assert (tmp_path / f"{name}-quick.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.slow
def test_more_seeds_go_on_where_a_report_left_off(tmp_path):
    command = [sys.executable, "-m", "benchmarks.facts", "--quick", "--output", str(tmp_path), "--row", "adapter"]
    found = []
    for seeds in (1, 2):
        subprocess.run([*command, "--seeds", str(seeds)], cwd=ROOT, check=True, capture_output=True)
        found.append(json.loads((tmp_path / "facts-quick.json").read_text())["rows"]["adapter"]["seeds"])
    assert len(found[1]) == 2
    assert found[1][0] == found[0][0]
