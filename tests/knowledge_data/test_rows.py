import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knowledge_data import RELATION_FEATURES, DataError, RelationRow, join_tokens

WORDS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8)


def row(**changes):
    fields = {
        "text": "Oslo is in Norway.",
        "subject_start": 0,
        "subject_end": 4,
        "object_start": 11,
        "object_end": 17,
        "relation": "country",
        "subject_id": "Q585",
        "object_id": "Q20",
    }
    return RelationRow(**fields | changes)


def test_features_name_the_fields_of_a_row():
    assert list(RELATION_FEATURES) == list(vars(row()))
    assert {name for name, kind in RELATION_FEATURES.items() if kind.dtype == "int64"} == {
        "subject_start",
        "subject_end",
        "object_start",
        "object_end",
    }


def test_ids_default_to_the_case_folded_surface():
    made = RelationRow.of_spans("Oslo is in Norway.", (0, 4), (11, 17), "country", ids=("", "Q20"))
    assert (made.subject_id, made.object_id, made.phrasing) == ("oslo", "Q20", "")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"subject_end": 0}, "field 'subject' spans characters 0 to 0, but the text has 18"),
        ({"subject_start": -1}, "field 'subject' spans characters -1 to 4"),
        ({"object_end": 19}, "field 'object' spans characters 11 to 19, but the text has 18"),
        ({"subject_start": 4, "subject_end": 5}, "field 'subject' spans characters 4 to 5, which are blank"),
        ({"relation": ""}, "field 'relation' is empty"),
        ({"object_id": ""}, "field 'object_id' is empty"),
        ({"text": "Oslo is in Norway\ud83d"}, "field 'text' holds half a character at offset 17"),
    ],
)
def test_a_row_is_valid_or_not_made(changes, message):
    with pytest.raises(DataError, match=message):
        row(**changes)


@pytest.mark.parametrize(
    ("subject", "overlaps"),
    [((0, 4), False), ((0, 11), False), ((0, 12), True), ((16, 18), True), ((17, 18), False)],
)
def test_overlap(subject, overlaps):
    assert row(subject_start=subject[0], subject_end=subject[1]).overlaps is overlaps


@given(st.lists(WORDS, min_size=1, max_size=8), st.data())
def test_token_spans_become_character_spans(tokens, data):
    first = data.draw(st.integers(0, len(tokens) - 1))
    last = data.draw(st.integers(first, len(tokens) - 1))
    text, [(start, end)] = join_tokens(tokens, (first, last))
    assert text == " ".join(tokens)
    assert text[start:end] == " ".join(tokens[first : last + 1])


@pytest.mark.parametrize("span", [(-1, 0), (1, 0), (0, 2), (2, 2)])
def test_token_spans_must_lie_in_the_sentence(span):
    with pytest.raises(DataError, match=r"leaves the sentence of 2 tokens"):
        join_tokens(["two", "words"], span)


def test_errors_survive_pickling():
    error = DataError("is 9 but the sentence has 7 tokens", where="train.jsonl:3", field="subj_end")
    copy = pickle.loads(pickle.dumps(error))
    assert str(copy) == str(error) == "train.jsonl:3: field 'subj_end' is 9 but the sentence has 7 tokens"
    assert (copy.where, copy.field) == ("train.jsonl:3", "subj_end")
