import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kadapter.probing.metrics import consistency, figures, macro, micro
from kadapter.probing.scoring import Answer

answers = st.lists(
    st.builds(Answer, st.sampled_from("abc"), st.integers(1, 20), st.just(20), st.just(1)), min_size=1, max_size=8
)


@given(answers)
def test_figures_keep_their_bounds(answers):
    found = figures(answers, (1, 2, 10, 20))
    assert 0 <= found["p@1"] <= found["p@2"] <= found["p@10"] <= found["p@20"] == 1
    assert 1 / 20 <= found["mrr"] <= 1
    assert found["p@1"] <= found["mrr"] + 1e-9
    if len(answers) > 1:
        assert 0 <= found["consistency"] <= 1
        assert found["every"] <= found["p@1"]


@given(answers, st.randoms())
def test_the_order_of_phrasings_does_not_matter(answers, random):
    shuffled = random.sample(answers, len(answers))
    assert figures(shuffled) == pytest.approx(figures(answers))


@given(st.lists(st.sampled_from("abc"), min_size=2, max_size=8))
def test_consistency_by_counting(said):
    same = sum(said[i] == said[j] for i in range(len(said)) for j in range(i))
    assert consistency(said) == pytest.approx(same / math.comb(len(said), 2))
    assert (consistency(said) == 1) == (len(set(said)) == 1)


def test_consistency_is_as_pararel_defines_it():
    # Of three phrasings two agree: one pair of three.
    assert consistency(["Paris", "paris", "Lyon"]) == pytest.approx(1 / 3)
    assert math.isnan(consistency(["Paris"]))


def test_micro_and_macro():
    large, small = np.ones((9, 1)), np.zeros((1, 1))
    assert micro(np.concatenate([large, small]), 0, 0)["mean"][0] == pytest.approx(0.9)
    assert macro([large, small], 0, 0)["mean"][0] == pytest.approx(0.5)


def test_intervals_are_those_of_scipy():
    from scipy.stats import bootstrap

    values = np.random.default_rng(1).random(60) < 0.3
    found = micro(values[:, None].astype(float), 4000, 0)
    wanted = bootstrap((values.astype(float),), np.mean, n_resamples=4000, method="percentile").confidence_interval
    assert (found["low"][0], found["high"][0]) == pytest.approx((wanted.low, wanted.high), abs=0.02)


@pytest.mark.filterwarnings("error")
def test_intervals_are_seeded_and_leave_out_what_is_no_number():
    values = np.array([[0.0, 1.0, np.nan], [1.0, 1.0, 0.5], [1.0, 1.0, np.nan]])
    once, again = micro(values, 200, 3), micro(values, 200, 3)
    for edge in ("mean", "low", "high"):
        assert np.array_equal(once[edge], again[edge])
    assert once["mean"] == pytest.approx([2 / 3, 1, 0.5])
    assert (once["low"][1], once["high"][1], once["low"][2]) == (1, 1, 0.5)


def test_differences_are_paired():
    # Each item gains exactly 0.5, whatever it had: the difference has no spread, the two sides have.
    before = np.random.default_rng(0).random((30, 1))
    found = micro(np.hstack([before, before + 0.5, np.full((30, 1), 0.5)]), 300, 0)
    assert found["high"][2] - found["low"][2] == pytest.approx(0)
    assert found["high"][0] - found["low"][0] > 0.05
