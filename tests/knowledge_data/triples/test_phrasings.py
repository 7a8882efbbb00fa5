import pytest
from hypothesis import given
from hypothesis import strategies as st

from knowledge_data import DataError, Entity, Phrasings, read_templates, say


@pytest.fixture
def said(tmp_path):
    """Reads templates from a text."""

    def read(text):
        path = tmp_path / "templates.yaml"
        path.write_text(text, encoding="utf-8")
        return read_templates(path)

    return read


TEMPLATE = "{subject} is near {object}."


@pytest.mark.parametrize(
    "text",
    [f"near: '{TEMPLATE}'", f"near:\n- '{TEMPLATE}'", f"near: {{train: ['{TEMPLATE}']}}"],
    ids=["one", "a list", "train alone"],
)
def test_phrasings_that_are_not_held_out_are_tested_too(text, said):
    assert said(text) == {"near": Phrasings((TEMPLATE,), (TEMPLATE,))}


def test_held_out_phrasings_are_for_testing(said):
    read = said("near: {train: ['{subject} x {object}', '{object} y {subject}'], test: '{subject} z {object}'}")
    assert read["near"] == Phrasings(("{subject} x {object}", "{object} y {subject}"), ("{subject} z {object}",))


WRONG = {
    "": "is empty; give a file with records",
    "# nothing": r"templates\.yaml: says no templates; write a line 'relation: template'",
    "- a": r"templates\.yaml: says no templates",
    "near: [": r"templates\.yaml: is not YAML: while parsing",
    "yes: '{subject} {object}'": r"templates\.yaml: names the relation True, which is no text; put it in quotation",
    "3: '{subject} {object}'": "names the relation 3, which is no text",
    "near: 7": r"templates\.yaml: relation 'near': is 7; give a template, a list of them, or",
    "near: []": r"relation 'near': is of type list; give a template",
    "near: {trian: ['{subject} {object}']}": r"relation 'near': has 'trian'; give a template",
    "near: {test: ['{subject} {object}']}": r"relation 'near': has no 'train'",
    "near: {train: ['{subject} {object}'], test: []}": r"relation 'near': test: is of type list",
    "near: [7]": r"relation 'near', template 1: is 7; put it in quotation marks",
    "near: ['{subject} {object}', '{subject} only']": r"relation 'near', template 2: template '\{subject\} only' doe",
    "near: ['{subject} {object', '{subject} {object}']": r"template 1: template '.*' cannot be read: .*; close every",
    "near: ['{subject} {object}', '{subject} {object}']": r"relation 'near': has a template twice; give each once",
    "near: {train: '{subject} {object}', test: '{subject} {object}'}": r"holds out '.*', which it also trains with",
    "near: '{subject} {object}'\nfar: '{subject} {object}.'\nnear: '{object} {subject}'": r"yaml:3: names 'near' a",
    "near: &a [*a]": r"relation 'near', template 1: is of type list; put it in quotation marks",
}  # fmt: skip


@pytest.mark.parametrize("text", WRONG)
def test_what_is_wrong_with_a_template_is_said_with_file_and_key(text, said):
    with pytest.raises(DataError, match=WRONG[text]):
        said(text)


def test_a_file_that_is_missing(tmp_path):
    with pytest.raises(DataError, match=r"nowhere\.yaml: does not exist"):
        read_templates(tmp_path / "nowhere.yaml")


NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1).filter(str.strip)
LITERALS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="{}"))


@given(NAMES, NAMES, LITERALS, LITERALS, LITERALS, st.booleans())
def test_spans_are_exact_whatever_is_said(subject, object_, before, between, after, turned):
    first, second = ("{object}", "{subject}") if turned else ("{subject}", "{object}")
    row = say(f"{before}{first}{between}{second}{after}", Entity("s", subject), Entity("o", object_), "near")
    assert row.text[slice(*row.subject)] == subject
    assert row.text[slice(*row.object)] == object_
    assert len(row.text) == sum(map(len, (before, between, after, subject, object_)))
