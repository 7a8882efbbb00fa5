import pytest
from datasets import Dataset, DatasetDict
from hypothesis import given, settings
from hypothesis import strategies as st

from knowledge_data import DataError, check_no_pair_shared, split_by_pair

IDS = st.sampled_from("abcdefgh")
PAIRS = st.lists(st.tuples(IDS, IDS), min_size=8, max_size=15, unique_by=frozenset)


def rows_of(pairs):
    return Dataset.from_list([{"subject_id": one, "object_id": other} for one, other in pairs])


def contents(splits):
    return {name: sorted(map(tuple, map(dict.values, rows))) for name, rows in splits.items()}


@given(PAIRS, st.integers(), st.randoms(use_true_random=False))
@settings(max_examples=30, deadline=None)
def test_split_properties(pairs, seed, random):
    pairs += [(other, one) for one, other in pairs[::2]]
    splits = split_by_pair(rows_of(pairs), seed)
    check_no_pair_shared(splits)
    assert sorted(pairs) == sorted(row for part in contents(splits).values() for row in part)
    random.shuffle(pairs)
    assert contents(split_by_pair(rows_of(pairs), seed)) == contents(splits)


def test_shares_count_pairs_and_not_rows():
    pairs = [(f"s{number}", "o") for number in range(100)]
    splits = split_by_pair(rows_of(pairs + pairs[:50] * 9), seed=1, validation=0.1, test=0.3)
    distinct = {name: len(set(rows["subject_id"])) for name, rows in splits.items()}
    assert distinct == {"train": 60, "validation": 10, "test": 30}


def test_seeds_differ():
    rows = rows_of((f"s{number}", "o") for number in range(40))
    assert contents(split_by_pair(rows, 1)) != contents(split_by_pair(rows, 2))


def test_rows_keep_their_order():
    rows = rows_of((f"s{number:02}", "o") for number in range(40))
    for part in split_by_pair(rows, 1).values():
        assert list(part["subject_id"]) == sorted(part["subject_id"])


def test_both_directions_are_one_pair():
    splits = DatasetDict(train=rows_of([("a", "b"), ("c", "d")]), test=rows_of([("b", "a")]))
    with pytest.raises(DataError, match=r"'train' and 'test' share 1 entity pairs, such as \('a', 'b'\)"):
        check_no_pair_shared(splits)


def test_too_few_pairs():
    with pytest.raises(DataError, match=r"too few pairs or texts: 2 leave split 'test' empty; give more rows"):
        split_by_pair(rows_of([("a", "b"), ("c", "d")]), seed=0)


@pytest.mark.parametrize(("validation", "test"), [(0, 0.2), (0.2, 0), (-0.1, 0.2), (0.5, 0.5), (0.9, 0.3)])
def test_impossible_shares(validation, test):
    with pytest.raises(DataError, match=r"give shares above 0 that add up to less than 1"):
        split_by_pair(rows_of([("a", "b")]), 0, validation, test)


def test_rows_without_ids():
    with pytest.raises(DataError, match=r"no column 'subject_id'; give rows that have it; these have: text"):
        split_by_pair(Dataset.from_list([{"text": "Oslo"}]), seed=0)
