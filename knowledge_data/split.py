"""Splitting rows so that nothing is met twice, no pair of entities, no text: what is tested was never taught."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate, combinations

import numpy as np
from datasets import Dataset, DatasetDict

from knowledge_data.draws import key, rank
from knowledge_data.errors import DataError
from knowledge_data.rows import columns

Pair = tuple[str, str]

Group = tuple[str, ...]
"""What rows that must stay together have in common: a pair of entities, a text."""


def split_by_pair(rows: Dataset, seed: int, validation: float = 0.15, test: float = 0.2) -> DatasetDict:
    """Split into `train`, `validation` and `test`, keeping all rows of an unordered entity pair together.

    `validation` and `test` are shares of the pairs. Which pair goes where depends on the seed and on the set of
    pairs, not on the order of the rows; within a split the rows keep their order.

    Raises:
        DataError: a share is not between 0 and 1, they leave nothing for training, there are too few pairs for
            three splits, or the rows have no `subject_id` and `object_id`.
    """
    return split_by_group(rows, by_pair(rows), seed, validation, test)


def split_by_group(
    rows: Dataset, groups: Sequence[Group], seed: int, validation: float = 0.15, test: float = 0.2
) -> DatasetDict:
    """Split as `split_by_pair` does, keeping all rows of a group together; `groups` names that of each row.

    Raises:
        DataError: as `split_by_pair`.
    """
    parts = hold_out(rows, groups, seed, {"test": test, "validation": validation})
    return DatasetDict({name: parts[name] for name in ("train", "validation", "test")})


def hold_out(rows: Dataset, groups: Sequence[Group], seed: int, shares: Mapping[str, float]) -> DatasetDict:
    """Split into `train` and the named `shares` of the groups; as `split_by_group` in all else.

    Raises:
        DataError: a share is not between 0 and 1, they leave nothing for training, or there are too few groups.
    """
    if min(shares.values()) <= 0 or sum(shares.values()) >= 1:
        problem = f"{' and '.join(f'{name}={share}' for name, share in shares.items())} leave an empty split"
        raise DataError(problem, "give shares above 0 that add up to less than 1")
    places = _places(groups)
    shuffled = sorted(places, key=lambda group: rank(seed, *group))
    ends = [round(share * len(shuffled)) for share in accumulate(shares.values())]
    held = zip(shares, [0, *ends], ends, strict=False)
    parts = {"train": shuffled[ends[-1] :], **{name: shuffled[start:end] for name, start, end in held}}
    _check_filled(parts, len(shuffled))
    return DatasetDict({name: _select(rows, places, part) for name, part in parts.items()})


def draw(rows: Dataset, groups: Sequence[Group], seed: int, limit: int) -> Dataset:
    """At most `limit` rows: group after group, drawn by the seed, the last one perhaps in part.

    Raises:
        DataError: `limit` is below 1.
    """
    if limit < 1:
        raise DataError(f"limit={limit} leaves no row", "give 1 or more")
    places = _places(groups)
    drawn = [number for group in sorted(places, key=lambda group: rank(seed, *group)) for number in places[group]]
    return rows.select(sorted(drawn[:limit]))


def check_no_pair_shared(splits: DatasetDict) -> None:
    """Make sure that no unordered entity pair stands in two of the splits.

    Raises:
        DataError: one does; names it and the two splits.
    """
    # Eight bytes a row: as texts, the pairs of millions of rows would not fit.
    keys = {name: np.unique(np.fromiter(_keys(rows), np.uint64)) for name, rows in splits.items()}
    for one, other in combinations(keys, 2):
        if len(suspects := np.intersect1d(keys[one], keys[other], assume_unique=True)):
            shared = _pairs_of(splits[one], suspects) & _pairs_of(splits[other], suspects)
            if shared:
                problem = f"splits {one!r} and {other!r} share {len(shared)} entity pairs, such as {min(shared)}"
                raise DataError(problem, "split with split_by_pair")


def _keys(rows: Dataset) -> Iterator[int]:
    return (key(0, *pair) for pair in iterate_pairs(rows))


def _pairs_of(rows: Dataset, keys: np.ndarray) -> set[Pair]:
    """The pairs that have one of these keys: two pairs may have the same."""
    wanted = set(keys.tolist())
    return {pair for pair in iterate_pairs(rows) if key(0, *pair) in wanted}


def iterate_pairs(rows: Dataset) -> Iterator[Pair]:
    """Give the unordered pair of each row, without holding all of them.

    Raises:
        DataError: the rows have no `subject_id` and `object_id`.
    """
    return (unordered(*ids) for ids in columns(rows, "subject_id", "object_id"))


def unordered(one: str, other: str) -> Pair:
    """Give the pair of two ids, whichever comes first."""
    return min(one, other), max(one, other)


def by_pair(rows: Dataset) -> list[Pair]:
    """Rows about the same two entities, whichever is the subject."""
    return list(iterate_pairs(rows))


def _places(groups: Sequence[Group]) -> dict[Group, list[int]]:
    """Each group, and the numbers of its rows."""
    places: defaultdict[Group, list[int]] = defaultdict(list)
    for number, group in enumerate(groups):
        places[group].append(number)
    return places


def _check_filled(parts: dict[str, list[Group]], groups: int) -> None:
    for name, part in parts.items():
        if not part:
            problem = f"too few pairs or texts: {groups} leave split {name!r} empty"
            raise DataError(problem, "give more rows or larger shares")


def _select(rows: Dataset, places: dict[Group, list[int]], groups: list[Group]) -> Dataset:
    return rows.select(sorted(number for group in groups for number in places[group]))
