import pytest
from hypothesis import given
from hypothesis import strategies as st

from knowledge_data import DataError, Entity, say

LETTERS = st.characters(exclude_categories=["Cs"], exclude_characters="{}")
LITERALS = st.text(LETTERS, max_size=6)
ENTITIES = st.builds(
    Entity,
    id=st.just("Q1"),
    name=st.text(LETTERS, min_size=1, max_size=6).filter(str.strip),
    article=st.sampled_from(["", "the"]),
)


@given(st.tuples(LITERALS, LITERALS, LITERALS), st.booleans(), ENTITIES, ENTITIES)
def test_spans_hold_exactly_the_names(literals, swapped, subject, object_):
    roles = ("{object}", "{subject}") if swapped else ("{subject}", "{object}")
    template = literals[0] + roles[0] + literals[1] + roles[1] + literals[2]
    row = say(template, subject, object_, "relation")
    assert row.text[row.subject_start : row.subject_end] == subject.name
    assert row.text[row.object_start : row.object_end] == object_.name
    assert row.phrasing == template


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("{subject} pays in {object}.", "The Gambia pays in the dalasi."),
        ("{object} is what {subject} pays in.", "The dalasi is what the Gambia pays in."),
    ],
)
def test_an_article_opens_a_sentence_with_a_capital(template, text):
    gambia, dalasi = Entity("country:GM", "Gambia", "the"), Entity("currency:GMD", "dalasi", "the")
    row = say(template, gambia, dalasi, "currency")
    assert (row.text, row.relation) == (text, "currency")
    assert (row.subject_id, row.object_id) == ("country:GM", "currency:GMD")


@pytest.mark.parametrize(
    "template",
    ["", "{subject}", "{subject} {subject} {object}", "{subject} {object} {place}", "{} {subject} {object}"],
)
def test_a_template_names_both_entities_once(template):
    with pytest.raises(DataError, match=r"does not name both entities; write \{subject\} once"):
        say(template, Entity("a", "A"), Entity("b", "B"), "relation")


def test_a_template_closes_its_braces():
    with pytest.raises(DataError, match=r"cannot be read: .*; close every brace"):
        say("{subject} {object", Entity("a", "A"), Entity("b", "B"), "relation")
