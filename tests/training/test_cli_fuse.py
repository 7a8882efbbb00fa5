"""The command `kadapter fuse`."""

import json
import re

import pytest
import yaml

from kadapter import KnowledgeModel

pytestmark = pytest.mark.usefixtures("mixing")


@pytest.fixture
def file(said, tmp_path):
    """A file of two stages."""
    (tmp_path / "fused.yaml").write_text(yaml.safe_dump(said, sort_keys=False))
    return tmp_path / "fused.yaml"


def unspaced(text):
    return "".join(text.split())


def test_both_stages_are_run_and_each_is_summed_up(kadapter, file, said, tmp_path):
    output = tmp_path / "run"
    outcome = kadapter("fuse", file, "--output", output)
    assert outcome.code == 0
    # Titles are folded to the width of their tables.
    said_in_order = [
        f"Member light: {output}/members/light",
        f"Member deep: {output}/members/deep",
        f"Member ready: {said['members']['ready']}, trained before",
        f"Trained: {output}/fused",
    ]
    places = [unspaced(outcome.out).index(unspaced(title)) for title in said_in_order]
    assert places == sorted(places)
    assert len(re.findall(r"validation accuracy .* [01]\.\d{3}", outcome.out)) == 3
    assert unspaced(f"kadapter evaluate {output}/fused") in unspaced(outcome.out)
    assert KnowledgeModel.from_pretrained(output / "fused").plugged == ("fused",)


@pytest.mark.slow
def test_a_finished_run_says_the_same_again_as_json(kadapter, file, said, tmp_path, held):
    arguments = ["fuse", file, "--output", tmp_path / "run", "--set", "target.training.epochs=1", "--json"]
    first = kadapter(*arguments)
    before = held(tmp_path / "run" / "members")
    again = kadapter(*arguments, "--resume")
    assert (first.code, again.code, again.out) == (0, 0, first.out)
    assert held(tmp_path / "run" / "members") == before
    result = json.loads(first.out)
    assert list(result) == ["members", "fused"]
    assert list(result["members"]) == ["light", "deep", "ready"]
    assert result["members"]["ready"] == said["members"]["ready"]
    for place, said_there in {"members/deep": result["members"]["deep"], "fused": result["fused"]}.items():
        assert said_there == json.loads((tmp_path / "run" / place / "result.json").read_text())
    assert result["fused"]["recipe"]["training"]["epochs"] == 1


@pytest.mark.parametrize(
    ("arguments", "hints"),
    [
        (["--set", "target.adapter.type=mixx"], ["target: ", "did you mean 'mix'?"]),
        (["--set", "members.deep.source.path=no.json"], ["no.json"]),
        (["--set", "members.ready=river"], ["member 'ready': ", "did you mean 'rivers'?"]),
        (["--set", "target.epochs=1"], ["target: recipe has no option 'epochs'"]),
        (["--set", "target.training.epochs"], ["write it as option=value"]),
        (["--resume"], ["no run of two stages to resume in "]),
    ],
)
def test_what_cannot_be_fused_is_refused_in_one_line(kadapter, assert_refused, file, tmp_path, arguments, hints):
    assert_refused(kadapter("fuse", file, "--output", tmp_path / "run", *arguments), *hints)
    assert not (tmp_path / "run").exists()


def test_a_file_that_is_not_there_is_refused(kadapter, assert_refused, tmp_path):
    outcome = kadapter("fuse", tmp_path / "no.yaml", "--output", tmp_path / "run")
    assert_refused(outcome, "cannot read stages ", "no.yaml: No such file")
