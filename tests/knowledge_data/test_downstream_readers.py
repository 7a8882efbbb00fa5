import gzip
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knowledge_data import (
    DOWNSTREAM_READERS,
    AnswerRow,
    ChoiceRow,
    DataError,
    LabelledRow,
    ParseRow,
    ReadReport,
    TaggedRow,
    TextRow,
    TypingRow,
    read_codah,
    read_conllu,
    read_cosmosqa,
    read_piqa,
    read_sick,
    read_squad,
    read_tagged,
    read_typing,
    sample_path,
    typing_rows,
)

EVERY_READER = {**DOWNSTREAM_READERS, "conllu": read_conllu}

SAMPLES = {
    "codah": (ChoiceRow, 10),
    "conllu": (ParseRow, 20),
    "cosmosqa": (ChoiceRow, 13),
    "piqa": (ChoiceRow, 10),
    "sick": (LabelledRow, 12),
    "squad": (AnswerRow, 18),
    "tagged": (TaggedRow, 12),
    "text": (TextRow, 16),
    "typing": (TypingRow, 18),
}

every_reader = pytest.mark.parametrize("name", EVERY_READER)


def rows(name):
    return EVERY_READER[name](sample_path(name)).rows.to_list()


@every_reader
def test_samples_are_read_whole(name):
    kind, kept = SAMPLES[name]
    reading = EVERY_READER[name](sample_path(name))
    assert reading.report == ReadReport(kept, Counter())
    assert reading.rows.num_rows == kept
    assert reading.rows.features == kind.features()


@every_reader
def test_gzip_makes_no_difference(name, zipped):
    assert EVERY_READER[name](zipped(name)).rows.to_list() == rows(name)


@every_reader
def test_gzip_is_found_without_its_suffix(name, zipped):
    path = zipped(name)
    assert EVERY_READER[name](path.with_name(path.name.removesuffix(".gz"))).rows.to_list() == rows(name)


@every_reader
def test_windows_line_ends_and_byte_order_mark_make_no_difference(name, source):
    content = sample_path(name).read_text().replace("\n", "\r\n").encode("utf-8-sig")
    assert EVERY_READER[name](source(name, content)).rows.to_list() == rows(name)


def test_tagged():
    assert rows("tagged")[2] == {
        "words": ["Two", "lorries", "from", "Porto", "were", "late", "again", "."],
        "tags": ["O", "O", "O", "B-place", "O", "O", "O", "O"],
    }


@pytest.mark.parametrize("end", ["\n\n", "\n\t\n", "\n \n\n", "\n\t\r\n"])
def test_what_ends_a_sentence(end, source):
    path = source("tagged", f"Ada\tB-person\nLind\tI-person{end}left O\n".encode())
    assert read_tagged(path).rows.to_list() == [
        {"words": ["Ada", "Lind"], "tags": ["B-person", "I-person"]},
        {"words": ["left"], "tags": ["O"]},
    ]


def test_a_sentence_met_twice_is_kept_once(source):
    content = sample_path("tagged").read_bytes()
    report = read_tagged(source("tagged", content + b"\n" + content)).report
    assert report.as_dict() == {"kept": 12, "skipped": {"duplicate record": 12}}


def test_typing():
    found = rows("typing")
    assert found[0] == {
        "text": "Liva Brandt opened a bakery in Tallinn last spring .",
        "start": 0,
        "end": 11,
        "types": ["person"],
    }
    said = [(row["text"][row["start"] : row["end"]], *row["types"]) for row in found]
    assert said[1:4] == [("Tallinn", "place"), ("Harbour Choir", "group"), ("Omar Tveit", "person")]
    assert Counter(kind for _, kind in said) == {"person": 6, "place": 7, "group": 5}


def test_one_mention_of_several_types_is_one_row(source):
    twice = b"Vesk\tB-town\ngrew\tO\n\nVesk\tB-port\ngrew\tO\n\nVesk\tB-port\ngrew\tO\n"
    reading = read_typing(source("typing", twice))
    assert reading.rows.to_list() == [{"text": "Vesk grew", "start": 0, "end": 4, "types": ["port", "town"]}]
    assert reading.report.as_dict() == {"kept": 1, "skipped": {"mention of the same text and span met before": 2}}


def test_no_mention_is_no_row(source):
    reading = read_typing(source("typing", b"Rain\tO\n"))
    assert (reading.rows.num_rows, reading.rows.features) == (0, TypingRow.features())


def test_typing_rows_need_tags_in_order():
    with pytest.raises(DataError, match=r"field 'tags\[0\]' is 'I-x' after 'O'"):
        typing_rows(read_tagged(sample_path("tagged")).rows.map(lambda row: {"tags": ["I-x"] * len(row["tags"])}))


def test_cosmosqa():
    first, second, *_ = rows("cosmosqa")
    assert first["question"] == "What was the weather like by noon ?"
    assert second["choices"][second["label"]] == "I had packed for rain that did not come ."
    assert first["context"] == second["context"]
    assert second["choices"][3] == "None of the above choices ."


def test_cosmosqa_cells_may_hold_quotation_marks_and_lines(source):
    record = '1,"He said ""no"",\nand left .",Why ?,a,b,c,d,2\n'
    content = f"id,context,question,answer0,answer1,answer2,answer3,label\n{record}\n1,x,y,a,b,c,d,7\n"
    with pytest.raises(DataError, match=r"cosmosqa\.csv:5: field 'label' is 7"):
        read_cosmosqa(source("cosmosqa", content.encode()))
    [row] = read_cosmosqa(source("cosmosqa", content[: content.rindex("1,")].encode())).rows
    assert (row["context"], row["label"]) == ('He said "no",\nand left .', 2)


def test_piqa():
    assert rows("piqa")[1] == {
        "context": "Dry wet boots overnight",
        "question": "",
        "choices": [
            "Fill them with water and close the lid.",
            "Stuff them with newspaper and stand them near a heater.",
        ],
        "label": 1,
    }


def test_piqa_labels_may_be_gzipped(source):
    path = source("piqa", sample_path("piqa").read_bytes())
    labels = path.with_name("piqa-labels.lst")
    labels.with_name("piqa-labels.lst.gz").write_bytes(gzip.compress(labels.read_bytes()))
    labels.unlink()
    assert read_piqa(path).rows.to_list() == rows("piqa")


def test_codah():
    row = rows("codah")[3]
    assert (row["context"], row["question"]) == ("Four friends share a pizza of eight slices evenly. Each", "")
    assert row["choices"][row["label"]] == "gets two slices."


@pytest.mark.parametrize(("label", "skipped"), [(0, {}), (1, {"the right choice stands there twice": 1})])
def test_a_right_choice_that_stands_there_twice_is_left_out(label, skipped, source):
    content = f"o\tI have\ttwo\tnothing\tmany\tnothing\t{label}\n"
    assert read_codah(source("codah", content.encode())).report.skipped == skipped


def test_sick():
    assert rows("sick")[1] == {
        "text": "A woman is peeling an orange",
        "text_pair": "Nobody is peeling an orange",
        "label": "contradiction",
    }
    assert Counter(row["label"] for row in read_sick(sample_path("sick")).rows) == {
        "entailment": 4,
        "contradiction": 4,
        "neutral": 4,
    }


def test_squad():
    found = rows("squad")
    assert found[0] == {
        "id": "q1",
        "question": "When was the mill built?",
        "context": "The mill at Vesk was built in 1782. It ground rye until a flood took its wheel in 1911.",
        "answers": ["1782", "in 1782"],
        "starts": [30, 27],
    }
    assert [row["question"] for row in found if not row["answers"]] == [
        "Who owned the mill?",
        "How tall is the lighthouse?",
        "When was the newer bridge built?",
    ]
    assert found[2]["starts"] == []


def test_squad_1_1_says_nothing_of_impossible(edited):
    def forget(squad):
        for article in squad["data"]:
            for paragraph in article["paragraphs"]:
                for question in paragraph["qas"]:
                    del question["is_impossible"]

    assert read_squad(edited("squad", forget)).rows.to_list() == rows("squad")


# --- what holds for all tagged words

WORDS = st.text(
    st.characters(exclude_categories=["Cs", "Cc", "Zs"], exclude_characters="\ufeff\u2028\u2029"),
    min_size=1,
    max_size=5,
)
TYPES = st.sampled_from(["person", "creative-work", "ort"])
MENTIONS = st.tuples(st.lists(WORDS, min_size=1, max_size=3), st.none() | TYPES)
SENTENCES = st.lists(st.lists(MENTIONS, min_size=1, max_size=5), min_size=1, max_size=5)


def tagged(sentence):
    """(word, tag) of every word of a sentence, given as pieces with a type or None."""
    return [
        (word, f"{'I' if number else 'B'}-{kind}" if kind else "O")
        for words, kind in sentence
        for number, word in enumerate(words)
    ]


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    return tmp_path_factory.mktemp("tagged") / "words.txt"


def write(file, sentences, separator="\t"):
    blocks = ["\n".join(map(separator.join, tagged(sentence))) for sentence in sentences]
    file.write_bytes("\n\n".join(blocks).encode())
    return file


@given(sentences=SENTENCES, separator=st.sampled_from("\t "))
def test_tagged_words_are_read_as_they_were_written(file, sentences, separator):
    read = [
        tuple(zip(row["words"], row["tags"], strict=True))
        for row in read_tagged(write(file, sentences, separator)).rows
    ]
    assert read == list(dict.fromkeys(tuple(tagged(sentence)) for sentence in sentences))


@given(sentence=st.lists(MENTIONS, min_size=1, max_size=5))
def test_typing_spans_hold_the_words_of_the_mention(file, sentence):
    said = [
        (row["text"][row["start"] : row["end"]], *row["types"]) for row in read_typing(write(file, [sentence])).rows
    ]
    assert said == [(" ".join(words), kind) for words, kind in sentence if kind]


@given(sentences=SENTENCES)
def test_typing_counts_every_mention(file, sentences):
    report = read_typing(write(file, sentences)).report
    assert report.total == sum(kind is not None for sentence in sentences for _, kind in sentence)
