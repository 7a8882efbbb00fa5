import gzip
import shutil

import pytest

from knowledge_data import READERS, DataError, read_knowledgenet, read_redocred, sample_path

JSON_READERS = ["fewrel", "redocred", "tacred", "trex"]

every_reader = pytest.mark.parametrize("reader", READERS)


def put(*path_and_value):
    """An edit that sets what a path of keys leads to."""
    *path, last, value = path_and_value

    def edit(root):
        for key in path:
            root = root[key]
        root[last] = value

    return edit


def cut(*path):
    """An edit that removes what a path of keys leads to."""

    def edit(root):
        for key in path[:-1]:
            root = root[key]
        del root[path[-1]]

    return edit


def span(number, role, start, end):
    """An edit that sets the token span of one record."""

    def edit(records):
        records[number] |= {f"{role}_start": start, f"{role}_end": end}

    return edit


def message_of(reader, path):
    with pytest.raises(DataError) as caught:
        READERS[reader](path)
    message = str(caught.value)
    assert "\n" not in message
    return message


@every_reader
def test_missing(reader, tmp_path):
    assert "does not exist" in message_of(reader, tmp_path / "nowhere")


@every_reader
@pytest.mark.parametrize("content", [b"", b"\n \n"])
def test_empty(reader, content, source):
    assert message_of(reader, source(reader, content)).endswith("is empty; give a file with records")


@every_reader
def test_not_gzip_although_named_so(reader, source):
    assert "is not a whole gzip file" in message_of(reader, source(reader, b"plain", suffix=".gz"))


@every_reader
def test_gzip_cut_short(reader, source):
    content = gzip.compress(b"some text that will be cut")[:-9]
    assert "is not a whole gzip file" in message_of(reader, source(reader, content, suffix=".gz"))


@every_reader
def test_not_utf8(reader, source):
    message = message_of(reader, source(reader, "Curaçao".encode("latin-1")))
    assert "is not UTF-8 text: byte 0xe7 at offset 4; save it as UTF-8" in message


@pytest.mark.parametrize("reader", [*JSON_READERS, "semeval"])
def test_a_folder_where_a_file_was_expected(reader, tmp_path):
    assert "is a folder; give the file inside it" in message_of(reader, tmp_path)


@pytest.mark.parametrize("reader", JSON_READERS)
def test_malformed_json_names_the_line(reader, source):
    message = message_of(reader, source(reader, b'[\n{"token": ]\n'))
    assert ":2: is not JSON: Expecting value at column 11" in message


def test_malformed_json_line_names_the_line(source):
    lines = sample_path("trex").read_bytes().splitlines()
    message = message_of("trex", source("trex", b"\n".join([*lines[:2], b"", lines[3][:-1]])))
    assert "trex.jsonl:4: is not JSON" in message


@pytest.mark.parametrize(("reader", "content"), [("trex", b"[]"), ("redocred", b"[ ]"), ("fewrel", b'{"P36": []}')])
def test_no_record(reader, content, source):
    assert "holds no record" in message_of(reader, source(reader, content))


@pytest.mark.parametrize(("reader", "content"), [("trex", b"[7]"), ("tacred", b"[[]]"), ("fewrel", b"[]")])
def test_not_an_object(reader, content, source):
    assert "must hold an object with named fields" in message_of(reader, source(reader, content))


TOKEN_CASES = [
    (cut(2, "relation"), "field 'relation' is missing; the record's fields are: "),
    (put(2, "relation", 5), "field 'relation' is 5 but must be a text"),
    (put(2, "relation", ""), "field 'relation' is empty"),
    (cut(2, "subj_start"), "field 'subj_start' is missing"),
    (put(2, "subj_start", "0"), "field 'subj_start' is '0' but must be a whole number"),
    (put(2, "subj_start", True), "field 'subj_start' is True but must be a whole number"),
    (put(2, "obj_start", 1.0), "field 'obj_start' is 1.0 but must be a whole number"),
    (put(2, "obj_end", 99), "field 'obj_end' is 99 but the sentence has "),
    (put(2, "obj_end", -1), "field 'obj_end' is -1 but the sentence has "),
    (span(2, "obj", 2, 1), "field 'obj_end' is 1 but the span starts at 2; the end is inclusive"),
    (put(2, "token", "Oslo"), "field 'token' is 'Oslo' but must be a list"),
    (put(2, "token", 0, None), "field 'token[0]' is None but must be a text"),
    (put(2, "token", []), "but the sentence has 0 tokens; count from 0"),
]


@pytest.mark.parametrize(("edit", "words"), TOKEN_CASES)
@pytest.mark.parametrize(("reader", "where"), [("trex", "trex.jsonl:3: "), ("tacred", "tacred.json: record 3: ")])
def test_token_records(reader, where, edit, words, edited):
    message = message_of(reader, edited(reader, edit))
    assert where in message
    assert words in message


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (put("P206", {}), "fewrel.json: field 'P206' is {} but must be a list"),
        (put("P206", 1, "x"), "field 'P206[1]' is 'x' but must be an object with named fields"),
        (cut("P206", 1, "tokens"), "fewrel.json: P206 record 2: field 'tokens' is missing"),
        (put("P206", 1, "tokens", 0, 3), "P206 record 2: field 'tokens[0]' is 3 but must be a text"),
        (cut("P206", 1, "h"), "P206 record 2: field 'h' is missing"),
        (put("P206", 1, "h", ["basel", "Q78"]), "field 'h' has 2 parts; give [name, id, positions]"),
        (put("P206", 1, "t", 1, None), "field 't.id' is None but must be a text"),
        (put("P206", 1, "t", 2, []), "field 't.positions' names no token"),
        (put("P206", 1, "t", 2, [[]]), "field 't.positions' names no token"),
        (put("P206", 1, "t", 2, [4]), "field 't.positions[0]' is 4 but must be a list"),
        (put("P206", 1, "t", 2, [["4"]]), "field 't.positions[0][0]' is '4' but must be a whole number"),
        (put("P206", 1, "t", 2, [[3, 40]]), "field 't.positions[0][1]' is 40 but the sentence has 11 tokens"),
        (put("P206", 1, "t", 2, [[3, 5]]), "field 't.positions[0]' is [3, 5], not consecutive"),
        (put("P206", 1, "tokens", 4, " "), "field 'subject' spans characters 16 to 17, which are blank"),
    ],
)
def test_fewrel(edit, words, edited):
    assert words in message_of("fewrel", edited("fewrel", edit))


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (cut(1, "sents"), "redocred.json: record 2: field 'sents' is missing"),
        (put(1, "sents", 2, "text"), "field 'sents[2]' is 'text' but must be a list"),
        (put(1, "sents", 2, 0, 5), "field 'sents[2][0]' is 5 but must be a text"),
        (put(1, "vertexSet", 0, []), "field 'vertexSet[0]' is empty; give each entity a mention"),
        (put(1, "vertexSet", 0, 0, 5), "field 'vertexSet[0][0]' is 5 but must be an object"),
        (
            put(1, "vertexSet", 0, 0, "sent_id", 3),
            "field 'vertexSet[0][0].sent_id' is 3 but the document has 3 ",
        ),
        (
            put(1, "vertexSet", 0, 0, "pos", [0, 99]),
            "field 'vertexSet[0][0].pos' is [0, 99] but the sentence has",
        ),
        (
            put(1, "vertexSet", 0, 0, "pos", [2, 2]),
            "field 'vertexSet[0][0].pos' is [2, 2] but the sentence has",
        ),
        (put(1, "vertexSet", 0, 0, "pos", [2]), "give the first token and the one after the last"),
        (cut(1, "vertexSet", 0, 0, "name"), "field 'vertexSet[0][0].name' is missing"),
        (put(1, "labels", 0, "h", 17), "field 'labels[0].h' is 17 but the document has 6 entities"),
        (put(1, "labels", 0, "t", "x"), "field 'labels[0].t' is 'x' but must be a whole number"),
        (cut(1, "labels", 0, "r"), "field 'labels[0].r' is missing"),
        (put(1, "labels", 0, "evidence", ["0"]), "field 'labels[0].evidence[0]' is '0' but must be"),
        (put(1, "labels", 7), "field 'labels' is 7 but must be a list"),
    ],
)
def test_redocred(edit, words, edited):
    assert words in message_of("redocred", edited("redocred", edit))


def test_redocred_negatives_below_zero():
    with pytest.raises(DataError, match=r"negatives=-1 is below 0"):
        read_redocred(sample_path("redocred"), negatives=-1)


GOOD = '7\t"A <e1>b</e1> c <e2>d</e2>."\nOther\nComment:\n\n'
NO_SENTENCE = "field 'sentence' is not a number, a tab and a quoted text with one <e1>…</e1> before one <e2>…</e2>"


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("<e1>", "", f"semeval.txt:5: {NO_SENTENCE}"),
        ("</e2>", "", f"semeval.txt:5: {NO_SENTENCE}"),
        ("c", "<e1>c</e1>", f"semeval.txt:5: {NO_SENTENCE}"),
        ("7\t", "", f"semeval.txt:5: {NO_SENTENCE}"),
        ('."', ".", f"semeval.txt:5: {NO_SENTENCE}"),
        (">b<", "><", "semeval.txt:5: field 'subject' spans characters 2 to 2"),
        (
            "Other",
            "other",
            "semeval.txt:6: field 'relation' is 'other'; write Name(e1,e2), Name(e2,e1) or Other",
        ),
        ("Other", "Cause-Effect", "semeval.txt:6: field 'relation' is 'Cause-Effect'; write"),
        ("\nOther\nComment:", "", "semeval.txt:5: field 'relation' is missing; write it below the sentence"),
        ("Comment:\n\n", "", "semeval.txt:7: field 'comment' is "),
    ],
)
def test_semeval(old, new, words, source):
    content = GOOD + GOOD.replace(old, new, 1) + GOOD
    assert words in message_of("semeval", source("semeval", content.encode()))


@pytest.mark.parametrize(
    ("file", "old", "new", "words"),
    [
        ("facts", "\tproperty\t", "\tkind\t", "facts.tsv:2: field 'property' is missing"),
        (
            "facts",
            "\t13\t27\t",
            "\tx\t27\t",
            "facts.tsv:2: field 'subject_start' is 'x' but must be a whole number",
        ),
        ("facts", "\t13\t27\t", "\t-1\t27\t", "field 'subject_start' is '-1' but must be a whole number"),
        (
            "facts",
            "\t13\t27\t",
            "\t13\t270\t",
            "facts.tsv:2: field 'subject' spans characters 13 to 270, but",
        ),
        ("facts", "\t13\t27\t", "\t27\t27\t", "facts.tsv:2: field 'subject' spans characters 27 to 27, but"),
        (
            "facts",
            "\tSPOUSE\t",
            "\t",
            "facts.tsv:2: has 8 cells but the header has 9; separate the cells by tabs",
        ),
        ("facts", "\tSPOUSE\t", "\t\t", "facts.tsv:2: field 'relation' is empty"),
        ("passages", "run the", "run\tthe", "passages.tsv:2: has 4 cells but the header has 3"),
        ("passages", "run the", "run\rthe", "passages.tsv:2: is not tab-separated"),
        ("passages", "\ttext\n", "\twords\n", "passages.tsv:2: field 'text' is missing"),
    ],
)
def test_knowledgenet(file, old, new, words, tmp_path):
    folder = shutil.copytree(sample_path("knowledgenet"), tmp_path / "copy")
    path = folder / f"{file}.tsv"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new, 1), newline="")
    assert words in message_of("knowledgenet", folder)


@pytest.mark.parametrize("name", ["passages.tsv", "facts.tsv", "no_fact.tsv"])
def test_knowledgenet_needs_its_three_files(name, tmp_path):
    folder = shutil.copytree(sample_path("knowledgenet"), tmp_path / "copy")
    (folder / name).unlink()
    with pytest.raises(DataError, match=rf"{name}: does not exist, nor does {name}\.gz; check the path"):
        read_knowledgenet(folder)


def test_knowledgenet_table_with_only_a_header(source):
    assert "holds no record" in message_of("knowledgenet", source("knowledgenet", b"fold\tpassage_id\n"))


def test_unknown_sample():
    with pytest.raises(DataError, match=r"there is no sample for 'docred'; choose one of: fewrel, knowledgenet"):
        sample_path("docred")
