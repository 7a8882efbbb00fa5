import pytest

from knowledge_data import AnswerRow, ChoiceRow, DataError, LabelledRow, TaggedRow, TypingRow


@pytest.mark.parametrize(
    ("kind", "values", "words"),
    [
        (TaggedRow, ((), ()), "field 'words' is empty; give a word"),
        (TaggedRow, (("a", " "), ("O", "O")), "field 'words[1]' is empty"),
        (TaggedRow, (("a",), ("O", "O")), "field 'tags' has 2 tags for 1 words; tag each word"),
        (TaggedRow, (("a", "b"), ("O", "I-x")), "field 'tags[1]' is 'I-x' after 'O', which it does not continue"),
        (TaggedRow, (("a",), ("B",)), "field 'tags[0]' is 'B'; write O, B-type or I-type"),
        (TaggedRow, (("\ud83d",), ("O",)), "field 'words' holds half a character at offset 0"),
        (TypingRow, ("a b", 1, 1, ("x",)), "field 'mention' spans characters 1 to 1, but the text has 3"),
        (TypingRow, ("a b", 1, 2, ("x",)), "field 'mention' spans characters 1 to 2, which are blank"),
        (TypingRow, ("a b", 0, 1, ()), "field 'types' is empty; give the mention a type"),
        (TypingRow, ("a b", 0, 1, ("y", "x")), "field 'types' is ('y', 'x'); sort the types and give each once"),
        (TypingRow, ("a b", 0, 1, ("x", "x")), "field 'types' is ('x', 'x'); sort the types and give each once"),
        (LabelledRow, ("", "b", "x"), "field 'text' is empty; give the text"),
        (LabelledRow, ("a", "", " "), "field 'label' is empty; give it a name"),
        (ChoiceRow, ("c", "", ("a",), 0), "field 'choices' has only one; give two or more"),
        (ChoiceRow, ("c", "", ("a", "b"), 2), "field 'label' is 2 but there are 2 choices; count from 0"),
        (ChoiceRow, ("c", "", ("a", "b"), -1), "field 'label' is -1 but there are 2 choices"),
        (AnswerRow, ("1", "q", "c", ("c",), ()), "field 'starts' has 0 places for 1 answers; place each answer"),
    ],
)
def test_a_row_is_valid_or_not_made(kind, values, words):
    with pytest.raises(DataError) as caught:
        kind(*values)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_features_are_what_tasks_read():
    assert {
        kind.__name__: list(kind.features()) for kind in (AnswerRow, ChoiceRow, LabelledRow, TaggedRow, TypingRow)
    } == {
        "AnswerRow": ["id", "question", "context", "answers", "starts"],
        "ChoiceRow": ["context", "question", "choices", "label"],
        "LabelledRow": ["text", "text_pair", "label"],
        "TaggedRow": ["words", "tags"],
        "TypingRow": ["text", "start", "end", "types"],
    }
