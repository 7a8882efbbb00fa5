"""Splitting rows so that no pair of entities is met twice: what is tested was never taught."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from itertools import combinations

from datasets import Dataset, DatasetDict

from knowledge_data.draws import rank
from knowledge_data.errors import DataError
from knowledge_data.rows import columns

Pair = tuple[str, str]


def split_by_pair(rows: Dataset, seed: int, validation: float = 0.15, test: float = 0.2) -> DatasetDict:
    """Split into `train`, `validation` and `test`, keeping all rows of an unordered entity pair together.

    `validation` and `test` are shares of the pairs. Which pair goes where depends on the seed and on the set of
    pairs, not on the order of the rows; within a split the rows keep their order.

    Raises:
        DataError: a share is not between 0 and 1, they leave nothing for training, there are too few pairs for
            three splits, or the rows have no `subject_id` and `object_id`.
    """
    return split_by_group(rows, _pairs(rows), seed, validation, test)


def split_by_group(
    rows: Dataset, groups: Sequence[Pair], seed: int, validation: float = 0.15, test: float = 0.2
) -> DatasetDict:
    """Split as `split_by_pair` does, keeping all rows of a group together; `groups` names that of each row.

    Raises:
        DataError: as `split_by_pair`.
    """
    if min(validation, test) <= 0 or validation + test >= 1:
        problem = f"validation={validation} and test={test} leave an empty split"
        raise DataError(problem, "give shares above 0 that add up to less than 1")
    places = _places(groups)
    shuffled = sorted(places, key=lambda group: rank(seed, *group))
    first, second = round(test * len(shuffled)), round((test + validation) * len(shuffled))
    parts = {"train": shuffled[second:], "validation": shuffled[first:second], "test": shuffled[:first]}
    _check_filled(parts, len(shuffled))
    return DatasetDict({name: _select(rows, places, part) for name, part in parts.items()})


def check_no_pair_shared(splits: DatasetDict) -> None:
    """Make sure that no unordered entity pair stands in two of the splits.

    Raises:
        DataError: one does; names it and the two splits.
    """
    pairs = {name: set(_pairs(rows)) for name, rows in splits.items()}
    for one, other in combinations(pairs, 2):
        shared = pairs[one] & pairs[other]
        if shared:
            problem = f"splits {one!r} and {other!r} share {len(shared)} entity pairs, such as {min(shared)}"
            raise DataError(problem, "split with split_by_pair")


def unordered(one: str, other: str) -> Pair:
    """Give the pair of two ids, whichever comes first."""
    return min(one, other), max(one, other)


def _pairs(rows: Dataset) -> list[Pair]:
    return [unordered(*ids) for ids in columns(rows, "subject_id", "object_id")]


def _places(groups: Sequence[Pair]) -> dict[Pair, list[int]]:
    """Each group, and the numbers of its rows."""
    places: defaultdict[Pair, list[int]] = defaultdict(list)
    for number, group in enumerate(groups):
        places[group].append(number)
    return places


def _check_filled(parts: dict[str, list[Pair]], pairs: int) -> None:
    for name, part in parts.items():
        if not part:
            problem = f"too few pairs: {pairs} leave split {name!r} empty"
            raise DataError(problem, "give more rows or larger shares")


def _select(rows: Dataset, places: dict[Pair, list[int]], pairs: list[Pair]) -> Dataset:
    return rows.select(sorted(number for pair in pairs for number in places[pair]))
