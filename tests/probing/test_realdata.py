"""A real decoder knows something of what published probes ask, and a random guess does not."""

import pytest

from kadapter import BackboneError, KnowledgeModel, probe
from kadapter.probing import ask_one

pytestmark = pytest.mark.realdata


@pytest.fixture(scope="module")
def smollm2():
    try:
        return KnowledgeModel.from_pretrained("smollm2")
    except BackboneError as error:
        pytest.skip(str(error))


def test_capitals_of_bear(smollm2, data_folder):
    report = probe(smollm2, "bear", data_folder / "bear", relations=["P1376"], limit=12)
    found = report["relations"]["P1376"]
    assert found["without"]["p@1"]["low"] > 3 * found["chance"]
    assert found["phrasings"] > 1
    assert 0 < found["without"]["consistency"]["mean"] < 1


def test_grammar_of_blimp(smollm2, data_folder):
    report = probe(smollm2, "blimp", data_folder / "blimp", limit=3)
    assert len(report["relations"]) == 67
    assert report["overall"]["micro"]["without"]["p@1"]["low"] > 0.65


def test_a_fact(smollm2):
    [best, *_] = ask_one(smollm2, "The capital of France is [MASK].")["without"]
    assert best["answer"] == "Paris"
