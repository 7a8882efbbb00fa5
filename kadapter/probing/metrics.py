"""Figures: of one item over its phrasings, and of many items with bootstrap intervals."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations
from statistics import fmean

import numpy as np

from kadapter.probing.scoring import Answer

Figures = dict[str, float]

INTERVAL = 0.95


def figures(answers: Sequence[Answer], ranks: Sequence[int] = (1, 10)) -> Figures:
    """Score one item; each figure is a mean over its phrasings.

    `p@k`: the right answer is among the first k. `mrr`: 1 / its rank. With several phrasings also `consistency`:
    the share of pairs of phrasings to which the same was said (Elazar et al. 2021), and `every`: whether all are right.

    Args:
        answers: one for each phrasing.
        ranks: each k of `p@k`.
    """
    found = {f"p@{k}": fmean(answer.rank <= k for answer in answers) for k in ranks}
    found["mrr"] = fmean(1 / answer.rank for answer in answers)
    if len(answers) > 1:
        found["consistency"] = consistency([answer.said for answer in answers])
        found["every"] = float(all(answer.rank == 1 for answer in answers))
    return found


def consistency(said: Sequence[str]) -> float:
    """Give the share of pairs that are the same, without regard to case; not a number when there is no pair."""
    pairs = list(combinations([text.casefold() for text in said], 2))
    return fmean(one == other for one, other in pairs) if pairs else math.nan


def chance(answers: Iterable[Answer]) -> float:
    """Give how often a blind guess is right."""
    return fmean(answer.right / answer.choices for answer in answers)


def micro(values: np.ndarray, resamples: int, seed: int) -> dict[str, np.ndarray]:
    """Give `mean`, `low` and `high` of each column: over items, and the percentile interval of the bootstrap.

    Items are drawn with all of their columns, so that a difference of two columns is a paired one. What is not a
    number is left out.

    Args:
        values: (N, C)
        resamples: how many; 0 for no interval.
        seed: of the draws.
    """
    return _summary(mean_of(values), _resampled(values, resamples, seed))


def macro(groups: Sequence[np.ndarray], resamples: int, seed: int) -> dict[str, np.ndarray]:
    """Give what `micro` gives, of the mean over groups: each (N, C), drawn from by itself."""
    drawn = np.stack([_resampled(group, resamples, seed + number) for number, group in enumerate(groups)])
    return _summary(mean_of(np.stack([mean_of(group) for group in groups])), mean_of(drawn))


def mean_of(values: np.ndarray) -> np.ndarray:
    """Give the mean over the first dimension, of those that are numbers; not a number where none is."""
    there = ~np.isnan(values)
    with np.errstate(invalid="ignore"):
        return np.where(there, values, 0).sum(0) / there.sum(0)


def _resampled(values: np.ndarray, resamples: int, seed: int) -> np.ndarray:
    """Give the means of draws with replacement: (resamples, C)."""
    random = np.random.default_rng(seed)
    means = [mean_of(values[random.integers(len(values), size=len(values))]) for _ in range(resamples)]
    return np.array(means).reshape(resamples, values.shape[1])


def _summary(means: np.ndarray, drawn: np.ndarray) -> dict[str, np.ndarray]:
    if not len(drawn):
        return {"mean": means}
    edges = (1 - INTERVAL) / 2, (1 + INTERVAL) / 2
    # Columns in which nothing is a number have no mean either; numpy would warn of them.
    low, high = np.nanquantile(np.where(np.isnan(drawn).all(0), 0, drawn), edges, axis=0)
    return {"mean": means, "low": low, "high": high}


def differences(with_: Mapping[str, float], without: Mapping[str, float]) -> Figures:
    """Give figure -> by how much it is higher."""
    return {name: value - without[name] for name, value in with_.items()}
