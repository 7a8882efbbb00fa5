import gzip
import re
import shutil

import pytest

from knowledge_data import (
    DOWNSTREAM_READERS,
    READERS,
    DataError,
    read_conllu,
    read_knowledgenet,
    read_redocred,
    sample_path,
)

EVERY_READER = {**READERS, **DOWNSTREAM_READERS, "conllu": read_conllu}

JSON_READERS = ["fewrel", "piqa", "redocred", "squad", "tacred", "trex"]

FILE_READERS = [name for name in DOWNSTREAM_READERS if name != "text"]
"""Those that read no folder."""

every_reader = pytest.mark.parametrize("reader", EVERY_READER)


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
        EVERY_READER[reader](path)
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
    assert re.search("is not UTF-8 text: byte 0xe7( at offset 4)?; save it as UTF-8", message)


@pytest.mark.parametrize("reader", [*JSON_READERS, *FILE_READERS, "conllu", "semeval"])
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


@pytest.mark.parametrize(
    ("reader", "content"),
    [("trex", b"[]"), ("redocred", b"[ ]"), ("fewrel", b'{"P36": []}'), ("squad", b'{"data": []}')],
)
def test_no_record(reader, content, source):
    assert "holds no record" in message_of(reader, source(reader, content))


@pytest.mark.parametrize(
    ("reader", "content"),
    [("trex", b"[7]"), ("tacred", b"[[]]"), ("fewrel", b"[]"), ("piqa", b"[3]"), ("squad", b"[]")],
)
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
            "facts.tsv:2: has 8 cells but must have 9: fold, passage_id, ",
        ),
        ("facts", "\tSPOUSE\t", "\t\t", "facts.tsv:2: field 'relation' is empty"),
        (
            "passages",
            "run the",
            "run\tthe",
            "passages.tsv:2: has 4 cells but must have 3: fold, passage_id, text; separate the cells by tabs",
        ),
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


TAGGED = ["Ada\tB-person", "Lind\tI-person", "left\tO", "", "Rain\tO", "fell\tO"]


@pytest.mark.parametrize("reader", ["tagged", "typing"])
@pytest.mark.parametrize(
    ("line", "content", "words"),
    [
        (3, "left", "tagged.txt:3: is 'left'; write a word, a tab and a tag"),
        (3, "left O extra", "tagged.txt:3: is 'left O extra'; write a word"),
        (3, "left\tVBD\tO", "tagged.txt:3: is 'left\\tVBD\\tO'; write a word"),
        (3, "\tO", "tagged.txt:3: is '\\tO'; write a word"),
        (6, "fell\tX", "tagged.txt:6: field 'tag' is 'X'; write O, B-type or I-type"),
        (6, "fell\tB-", "tagged.txt:6: field 'tag' is 'B-'; write O, B-type or I-type"),
        (6, "fell\to", "tagged.txt:6: field 'tag' is 'o'; write O"),
        (1, "Ada\tI-person", "tagged.txt:1: field 'tag' is 'I-person' after 'O', which it does not continue; begin"),
        (2, "Lind\tI-place", "tagged.txt:2: field 'tag' is 'I-place' after 'B-person', which it does not continue"),
        (5, "Rain\tI-person", "tagged.txt:5: field 'tag' is 'I-person' after 'O'"),
    ],
)
def test_tagged(reader, line, content, words, source):
    lines = [*TAGGED[: line - 1], content, *TAGGED[line:]]
    assert words in message_of(reader, source(reader, "\n".join(lines).encode()))


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (cut(2, "goal"), "piqa.jsonl:3: field 'goal' is missing; the record's fields are: sol1, sol2"),
        (put(2, "sol1", 4), "piqa.jsonl:3: field 'sol1' is 4 but must be a text"),
        (put(2, "sol2", " "), "piqa.jsonl:3: field 'choices[1]' is empty; give each choice a text"),
        (put(2, "goal", ""), "piqa.jsonl:3: field 'context' is empty; say what is asked"),
        (cut(2), "piqa-labels.lst: holds 10 labels for the 9 records of piqa.jsonl; give one label a line for each"),
    ],
)
def test_piqa(edit, words, edited):
    assert words in message_of("piqa", edited("piqa", edit))


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (b"0\n1\n2\n" + b"0\n" * 7, "piqa-labels.lst:3: field 'label' is '2'; write 0 for sol1 or 1 for sol2"),
        (b"0\n" * 11, "piqa-labels.lst: holds 11 labels for the 10 records of piqa.jsonl"),
        (b"", "piqa-labels.lst: is empty"),
        (None, "piqa-labels.lst: does not exist"),
    ],
)
def test_piqa_labels(labels, words, source):
    path = source("piqa", sample_path("piqa").read_bytes())
    beside = path.with_name("piqa-labels.lst")
    beside.unlink() if labels is None else beside.write_bytes(labels)
    assert words in message_of("piqa", path)


QUESTION = ("data", 0, "paragraphs", 1, "qas", 0)
AT = "squad.json: field 'data[0].paragraphs[1].qas[0]."


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (cut("data"), "squad.json: field 'data' is missing"),
        (put("data", 0, "paragraphs", 3), "squad.json: field 'data[0].paragraphs' is 3 but must be a list"),
        (cut("data", 0, "paragraphs", 1, "context"), "field 'data[0].paragraphs[1].context' is missing"),
        (put("data", 0, "paragraphs", 1, "context", "Bread"), f"{AT}answers[0]' is 'a museum' but the context says ''"),
        (cut(*QUESTION, "id"), f"{AT}id' is missing"),
        (put(*QUESTION, "id", ""), f"{AT}id' is empty"),
        (put(*QUESTION, "question", None), f"{AT}question' is None but must be a text"),
        (cut(*QUESTION, "answers"), f"{AT}answers' is missing"),
        (put(*QUESTION, "answers", []), f"{AT}answers' is empty; give an answer, or say that is_impossible is true"),
        (put(*QUESTION, "answers", 0, "text", ""), f"{AT}answers[0]' is empty; leave it out"),
        (
            put(*QUESTION, "answers", 0, "answer_start", "30"),
            f"{AT}answers[0].answer_start' is '30' but must be a whole",
        ),
        (
            put(*QUESTION, "answers", 0, "answer_start", 30),
            f"{AT}answers[0]' is 'a museum' but the context says ' museum.' at character 30; count characters from 0",
        ),
        (put(*QUESTION, "answers", 0, "answer_start", -3), "but the context says '' at character -3"),
        (put(*QUESTION, "answers", 0, "answer_start", 3000), "but the context says '' at character 3000"),
        (put(*QUESTION, "is_impossible", True), f"{AT}is_impossible' is true but there are 1 answers; leave them out"),
        (put(*QUESTION, "is_impossible", 1), f"{AT}is_impossible' is 1 but must be true or false"),
    ],
)
def test_squad(edit, words, edited):
    assert words in message_of("squad", edited("squad", edit))


@pytest.mark.parametrize(
    ("reader", "old", "new", "words"),
    [
        (
            "sick",
            "\tsentence_A\t",
            "\tA\t",
            "sick.txt:2: field 'sentence_A' is missing; the record's fields are: pair_ID",
        ),
        (
            "sick",
            "3.1\tCONTRA",
            "3.1\tPRO",
            "sick.txt:3: field 'entailment_judgment' is 'PRODICTION'; write entailment",
        ),
        ("sick", "\t3.1\t", "\t", "sick.txt:3: has 4 cells but must have 5: pair_ID, sentence_A"),
        ("sick", "\t3.1\t", "\t3.1\t\t", "sick.txt:3: has 6 cells but must have 5"),
        ("sick", "2\tA woman is peeling an orange", "2\t", "sick.txt:3: field 'text' is empty; give the text"),
        ("sick", "Nobody is peeling an orange", "", "sick.txt:3: field 'sentence_B' is empty; give the text"),
        ("codah", "stroked it.\t", "", "codah.tsv:2: has 6 cells but must have 7: category, prompt, completion0"),
        ("codah", "\t1\n", "\t4\n", "codah.tsv:2: field 'label' is 4 but there are 4 choices; count from 0"),
        ("codah", "\t1\n", "\tone\n", "codah.tsv:2: field 'label' is 'one' but must be a whole number; count from 0"),
        ("codah", "stroked it.", " ", "codah.tsv:2: field 'choices[0]' is empty; give each choice a text"),
        (
            "cosmosqa",
            ",label",
            ",right",
            "cosmosqa.csv:2: field 'label' is missing; the record's fields are: id, context",
        ),
        (
            "cosmosqa",
            ",None of the above choices .,1",
            ",1",
            "cosmosqa.csv:3: has 7 cells but must have 8: id, context",
        ),
        ("cosmosqa", "choices .,1", "choices .,9", "cosmosqa.csv:3: field 'label' is 9 but there are 4 choices"),
        ("cosmosqa", "choices .,1", "choices .,-1", "cosmosqa.csv:3: field 'label' is '-1' but must be a whole number"),
        ("cosmosqa", 'q2,"', 'q2,"I" ', "cosmosqa.csv:3: is not comma-separated ("),
        ("cosmosqa", 'oven .",Wh', "oven .,Wh", "cosmosqa.csv:4: "),
    ],
)
def test_tables_of_tasks(reader, old, new, words, source):
    text = sample_path(reader).read_text()
    assert old in text
    assert words in message_of(reader, source(reader, text.replace(old, new, 1).encode()))


@pytest.mark.parametrize(
    ("reader", "content"),
    [("sick", b"pair_ID\tsentence_A\n"), ("cosmosqa", b"id,context\n"), ("squad", b'{"data": []}')],
)
def test_nothing_but_a_frame(reader, content, source):
    assert "holds no record" in message_of(reader, source(reader, content))


def test_unknown_sample():
    with pytest.raises(DataError, match=r"there is no sample for 'docred'; choose one of: bear, blimp, codah, conllu,"):
        sample_path("docred")
