"""The demo does the main job, start to end; CI runs it as users do, on the real backbone."""

import io

import pytest
from rich.console import Console

from kadapter import KnowledgeModel
from kadapter.demo import ROWS, SPLITS, demo_recipe, run_demo
from kadapter.testing import save_tiny_backbone


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo")
    save_tiny_backbone("bert", folder / "tiny")
    small = {"source.min_population": 40_000_000, "source.phrasings": 1, "training.epochs": 1}
    recipe = demo_recipe().with_options({"backbone": str(folder / "tiny"), **small})
    said = io.StringIO()
    report = run_demo(folder / "out", recipe, Console(file=said, width=200))
    return folder / "out", recipe, report, said.getvalue()


def test_it_measures_the_adapter_beside_its_controls_on_both_splits(demo):
    _, _, report, said = demo
    assert set(report["rows"]) == set(ROWS)
    for row, label in ROWS.items():
        assert label in said
        for split in SPLITS:
            value = report["rows"][row]["scores"][split]["accuracy"]["mean"]
            assert f"{100 * value:.1f}" in said


def test_it_shows_that_unplugging_restores_the_backbone(demo):
    *_, said = demo
    assert said.count("bit for bit: True") == 2
    assert "False" not in said


def test_what_it_keeps_can_be_used_again(demo):
    out, recipe, _, said = demo
    assert str(out / "geo") in said
    model = KnowledgeModel.from_pretrained(recipe.backbone, adapters=[str(out / "geo")])
    assert model.plugged == ("geo",)


def test_a_second_time_nothing_is_trained_again(demo):
    out, recipe, report, _ = demo
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*.safetensors")}
    again = run_demo(out, recipe, Console(file=io.StringIO()))
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*.safetensors")} == before
    assert again["rows"] == report["rows"]
