from itertools import combinations

import pytest
from datasets import Dataset
from hypothesis import given, settings
from hypothesis import strategies as st

from knowledge_data import (
    DOWNSTREAM_READERS,
    DataError,
    by_context,
    by_sentences,
    by_text,
    by_words,
    draw,
    sample_path,
    split_by_group,
)

GROUPS = {
    "codah": by_context,
    "cosmosqa": by_context,
    "piqa": by_context,
    "sick": by_sentences,
    "squad": by_context,
    "tagged": by_words,
    "text": by_text,
    "typing": by_text,
}


def pairs_of(pairs):
    return Dataset.from_list([{"text": one, "text_pair": other} for one, other in pairs])


def numbered(groups):
    return Dataset.from_list([{"text": group, "number": number} for number, group in enumerate(groups)])


@pytest.mark.parametrize("reader", DOWNSTREAM_READERS)
@pytest.mark.parametrize("seed", range(5))
def test_no_group_is_in_two_splits(reader, seed):
    rows = DOWNSTREAM_READERS[reader](sample_path(reader)).rows
    splits = split_by_group(rows, GROUPS[reader](rows), seed)
    assert sum(part.num_rows for part in splits.values()) == rows.num_rows
    for one, other in combinations(splits.values(), 2):
        assert not set(GROUPS[reader](one)) & set(GROUPS[reader](other))


def test_groups_name_what_is_common():
    rows = Dataset.from_list([{"words": ["a", "b"], "text": "a b", "context": "c"}])
    assert (by_words(rows), by_text(rows), by_context(rows)) == ([("a", "b")], [("a b",)], [("c",)])


def test_pairs_are_linked_through_others():
    pairs = [("d", "c"), ("x", "y"), ("b", "c"), ("b", "a"), ("z", ""), ("w", "")]
    assert by_sentences(pairs_of(pairs)) == [("a",), ("x",), ("a",), ("a",), ("z",), ("w",)]


@given(st.lists(st.tuples(*[st.sampled_from("abcdefghijklmnop")] * 2), min_size=1, max_size=20), st.randoms())
def test_linked_pairs_share_no_sentence_with_others(pairs, random):
    groups = dict(zip(pairs, by_sentences(pairs_of(pairs)), strict=True))
    for (one, group), (other, other_group) in combinations(groups.items(), 2):
        assert group == other_group or not set(one) & set(other)
    random.shuffle(pairs)
    assert dict(zip(pairs, by_sentences(pairs_of(pairs)), strict=True)) == groups


def test_groups_need_their_column():
    with pytest.raises(DataError, match=r"the rows have no column 'context'; give rows that have it; these have: text"):
        by_context(numbered("ab"))


@given(st.text("abcdef", min_size=1, max_size=20), st.integers(1, 25), st.integers(0, 99))
@settings(max_examples=40)
def test_drawing_takes_whole_groups_but_the_last(groups, limit, seed):
    rows = numbered(groups)
    drawn = draw(rows, by_text(rows), seed, limit)
    assert drawn.num_rows == min(limit, len(groups))
    assert drawn["number"][:] == sorted(drawn["number"])
    taken = drawn["text"][:]
    assert sum(0 < taken.count(group) < groups.count(group) for group in set(groups)) <= 1


def test_drawing_depends_on_the_seed_and_not_on_the_order():
    rows, turned = numbered("abcdefgh"), numbered("hgfedcba")
    drawn = [set(draw(data, by_text(data), seed, 4)["text"]) for data, seed in ((rows, 1), (turned, 1), (rows, 2))]
    assert drawn[0] == drawn[1] != drawn[2]


@pytest.mark.parametrize("limit", [0, -1])
def test_drawing_nothing(limit):
    with pytest.raises(DataError, match=rf"limit={limit} leaves no row; give 1 or more"):
        draw(numbered("ab"), [("a",), ("b",)], 0, limit)
