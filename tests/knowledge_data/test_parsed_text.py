"""Raw text, parsed: with a pipeline made here, since none can be expected to be installed."""

import sys

import pytest

from knowledge_data import DataError, read_parsed_text

spacy = pytest.importorskip("spacy")

from spacy.language import Language  # noqa: E402
from spacy.tokens import Doc  # noqa: E402


@Language.component("chain-of-words")
def chain_of_words(document):
    """Every token hangs from the one before; what follows a full stop begins a sentence."""
    tokens = list(document)
    first = [n == 0 or tokens[n - 1].text == "." for n in range(len(tokens))]
    return Doc(
        document.vocab,
        words=[token.text for token in tokens],
        spaces=[bool(token.whitespace_) for token in tokens],
        heads=[n if begins else n - 1 for n, begins in enumerate(first)],
        deps=["ROOT" if begins else "Dep" for begins in first],
        pos=["PUNCT" if token.is_punct else "" if token.is_digit else "NOUN" for token in tokens],
    )


@Language.component("relations-without-heads")
def relations_without_heads(document):
    for token in document:
        token.dep_ = "dep"
    return document


@pytest.fixture
def pipeline(tmp_path):
    """Saves a pipeline of these components, and gives its folder."""

    def save(*components):
        language = spacy.blank("en")
        for component in components:
            language.add_pipe(component)
        language.to_disk(tmp_path / "pipeline")
        return str(tmp_path / "pipeline")

    return save


@pytest.fixture
def parsed(tmp_path, pipeline):
    """Reads a text with the chain of words."""

    def read(text):
        (tmp_path / "text.txt").write_text(text)
        return read_parsed_text(tmp_path / "text.txt", pipeline("chain-of-words"))

    return read


def message_of(path, pipeline):
    with pytest.raises(DataError) as caught:
        read_parsed_text(path, pipeline)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.fixture
def text(tmp_path):
    (tmp_path / "text.txt").write_text("Rain fell.\n")
    return tmp_path / "text.txt"


def test_roots_are_0_and_heads_are_counted_from_1(parsed):
    assert parsed("Rain fell.\n").rows.to_list() == [
        {
            "words": ["Rain", "fell", "."],
            "heads": [0, 1, 2],
            "relations": ["root", "dep", "dep"],
            "upos": ["NOUN", "NOUN", "PUNCT"],
        }
    ]


def test_heads_are_counted_anew_in_every_sentence_of_a_line(parsed):
    found = parsed("Rain fell. Boats ran home.\n\n  \nBread rose.").rows
    assert [" ".join(words) for words in found["words"]] == ["Rain fell .", "Boats ran home .", "Bread rose ."]
    assert list(found["heads"]) == [[0, 1, 2], [0, 1, 2, 3], [0, 1, 2]]


def test_white_space_is_no_word_and_what_hangs_from_it_hangs_from_the_root(parsed):
    [row] = parsed("Rain fell  on\tboats.").rows
    assert row["words"] == ["Rain", "fell", "on", "boats", "."]
    assert row["heads"] == [0, 1, 0, 0, 4]


def test_what_has_no_part_of_speech_says_so(parsed):
    [row] = parsed("Rain fell 3 times.").rows
    assert row["upos"] == ["NOUN", "NOUN", "_", "NOUN", "PUNCT"]


def test_sentences_of_one_word_are_left_out_and_counted(parsed):
    reading = parsed("Rain\nBoats ran.\nBread\n")
    assert [row["words"] for row in reading.rows] == [["Boats", "ran", "."]]
    assert reading.report.as_dict() == {"kept": 1, "skipped": {"sentence of one word": 2}}


def test_a_sentence_met_twice_is_kept_once(parsed):
    assert parsed("Rain fell.\nRain fell.").report.as_dict() == {"kept": 1, "skipped": {"duplicate record": 1}}


@pytest.mark.parametrize("content", ["", " \n\n"])
def test_an_empty_text(content, tmp_path, pipeline):
    (tmp_path / "text.txt").write_text(content)
    assert message_of(tmp_path / "text.txt", pipeline("chain-of-words")).endswith(
        "text.txt: is empty; give a file with records"
    )


def test_a_pipeline_that_is_not_installed(text):
    assert message_of(text, "xx_no_such_pipeline") == (
        "spaCy has no pipeline 'xx_no_such_pipeline'; install it (python -m spacy download xx_no_such_pipeline), "
        "or name one that is installed"
    )


@pytest.mark.parametrize("components", [(), ("relations-without-heads",), ("sentencizer",)])
def test_a_pipeline_without_a_parser(components, text, pipeline):
    assert "gives no heads; name one with a parser" in message_of(text, pipeline(*components))


def test_a_pipeline_with_a_part_that_is_not_installed(text, pipeline, tmp_path):
    folder = pipeline("chain-of-words")
    config = tmp_path / "pipeline" / "config.cfg"
    config.write_text(config.read_text().replace('factory = "chain-of-words"', 'factory = "not-there"'))
    message = message_of(text, folder)
    assert "cannot be loaded ([E002] Can't find factory for 'not-there'" in message
    assert message.endswith("; install what it needs")


def test_without_spacy(text, monkeypatch):
    monkeypatch.setitem(sys.modules, "spacy", None)
    assert message_of(text, "en_core_web_sm") == "spaCy is not installed; pip install 'kadapter[spacy]'"


def test_a_line_longer_than_spacy_takes(tmp_path, pipeline):
    path = tmp_path / "text.txt"
    path.write_text("Rain fell.\n" + "Rain fell. " * 100_000)
    words = f"{path}:2: has 1,099,999 characters; spaCy takes 1,000,000 at once; write a passage a line"
    assert message_of(path, pipeline("chain-of-words")) == words
