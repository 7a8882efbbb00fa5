"""CoNLL-U: what is read is what was written, and whatever is wrong is said with file and line."""

import gzip
import random

import conllu
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from knowledge_data import DataError, ParseRow, read_conllu, sample_path
from knowledge_data.parses import WrongHead

SAMPLE = sample_path("conllu").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """Gives a file with these bytes or this text."""
    path = tmp_path_factory.mktemp("treebank") / "trees.conllu"

    def write(content):
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def line(number, form="word", head="0", relation="dep", upos="X"):
    return "\t".join([str(number), form, "_", upos, "_", "_", str(head), relation, "_", "_"])


def rows(path):
    return read_conllu(path).rows.to_list()


# --- the sample


def test_the_sample_is_read_exactly():
    found = rows(sample_path("conllu"))
    assert found[1] == {
        "words": ["Rain", "fell", "on", "the", "harbour", "."],
        "heads": [2, 0, 5, 5, 2, 2],
        "relations": ["nsubj", "root", "case", "det", "obl", "punct"],
        "upos": ["NOUN", "VERB", "ADP", "DET", "NOUN", "PUNCT"],
    }
    assert len(found) == 20
    assert sum(len(row["words"]) for row in found) == 132


@pytest.mark.parametrize(
    ("number", "words", "heads"),
    [
        pytest.param(3, "She ca n't swim .", [4, 4, 4, 0, 4], id="multiword token in the middle"),
        pytest.param(9, "It 's late .", [3, 3, 0, 3], id="multiword token at the start"),
        pytest.param(15, "Wir gehen zu dem Bahnhof .", [2, 0, 5, 5, 2, 2], id="contraction"),
        pytest.param(10, "Anna drinks tea , Karl coffee .", [2, 0, 2, 5, 2, 5, 2], id="empty node"),
        pytest.param(13, "Dear neighbours thanks", [2, 0, 0], id="two roots"),
    ],
)
def test_heads_are_counted_in_words(number, words, heads):
    row = rows(sample_path("conllu"))[number]
    assert (row["words"], row["heads"]) == (words.split(), heads)


def test_subtypes_of_relations_stay():
    assert rows(sample_path("conllu"))[6]["relations"][2:6] == ["nsubj:pass", "nsubj", "nsubj", "acl:relcl"]


def test_a_sentence_that_occurs_twice_stays_twice(file):
    reading = read_conllu(file(f"{line(1)}\n\n{line(1)}\n\n{line(1, 'other')}\n"))
    assert [row["words"] for row in reading.rows] == [["word"], ["word"], ["other"]]
    assert reading.report.as_dict() == {"kept": 3, "skipped": {}}


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda text: text.replace("\n", "\r\n"), id="windows line ends"),
        pytest.param(lambda text: f"\ufeff{text}", id="byte order mark"),
        pytest.param(lambda text: text.rstrip("\n"), id="no last newline"),
        pytest.param(lambda text: f"\n\n{text}\n\n\n", id="more blank lines"),
        pytest.param(lambda text: f"# newdoc\n# global.columns = ID FORM\n\n{text}\n# the end\n", id="comments alone"),
    ],
)
def test_what_makes_no_difference(change, file):
    assert rows(file(change(SAMPLE))) == rows(sample_path("conllu"))


def test_gzip_makes_no_difference(tmp_path):
    (tmp_path / "trees.conllu.gz").write_bytes(gzip.compress(SAMPLE.encode()))
    assert rows(tmp_path / "trees.conllu.gz") == rows(tmp_path / "trees.conllu") == rows(sample_path("conllu"))


def test_spaces_inside_a_column_do_not_end_it(file):
    text = line(1, "vingt  et un", upos="NUM")
    assert rows(file(text)) == [{"words": ["vingt  et un"], "heads": [0], "relations": ["dep"], "upos": ["NUM"]}]


def test_relation_and_part_of_speech_may_be_missing(file):
    [row] = rows(file(line(1, relation="_", upos="")))
    assert (row["relations"], row["upos"]) == (["_"], ["_"])


# --- what is wrong


def message_of(path):
    with pytest.raises(DataError) as caught:
        read_conllu(path)
    message = str(caught.value)
    assert "\n" not in message
    return message


GOOD = ["# text = a b c", line(1, "a", 2), line(2, "b", 0), line(3, "c", 2)]
"""Lines 4 to 7 of the file, after another sentence."""

COLUMNS = "separate the ten columns of CoNLL-U by tabs"
ID = "write 3, or 3-4 for a multiword token, or 8.1 for an empty node"


@pytest.mark.parametrize(
    ("number", "bad", "words"),
    [
        (6, "2\tb\t0", f"6: has 3 columns, not 10; {COLUMNS}"),
        (6, line(2, "b") + "\t_", f"6: has 11 columns, not 10; {COLUMNS}"),
        (6, line(2, "b").replace("\t", "  "), f"6: has 1 columns, not 10; {COLUMNS}"),
        (6, line("two", "b"), f"6: field 'id' is 'two'; {ID}"),
        (6, line("2-1", "b"), f"6: field 'id' is '2-1'; {ID}"),
        (6, line("-2", "b"), f"6: field 'id' is '-2'; {ID}"),
        (6, line("9" * 5000, "b"), "6: field 'id' is '99999"),
        (6, line("_", "b"), f"6: field 'id' is missing; {ID}"),
        (6, line("", "b"), f"6: field 'id' is missing; {ID}"),
        (6, line(3, "b"), "6: field 'id' is 3, not 2; count words from 1"),
        (6, line(1, "b"), "6: field 'id' is 1, not 2; count words from 1"),
        (5, line(0, "a"), "5: field 'id' is 0, not 1; count words from 1"),
        (5, "", "6: field 'id' is 2, not 1; count words from 1"),
        (6, line(2, "", 0), "6: field 'form' is empty; write the word"),
        (6, line(2, " ", 0), "6: field 'form' is empty; write the word"),
        (6, line(2, "b", "_"), "6: field 'head' is missing; give a parsed treebank; 0 is the root"),
        (6, line(2, "b", "root"), "6: field 'head' is 'root'; write the number of the head; 0 is the root"),
        (6, line(2, "b", "1.5"), "6: field 'head' is '1.5'; write the number of the head; 0 is the root"),
        (6, line(2, "b", ""), "6: field 'head' is ''; write the number of the head"),
        (6, line(2, "b", 4), "6: field 'head' is 4 but the sentence has 3 words; count words from 1; 0 is the root"),
        (6, line(2, "b", -1), "6: field 'head' is -1 but the sentence has 3 words"),
        (6, line(2, "b", 2), "6: field 'head' is 2, the word itself; count words from 1; 0 is the root"),
        (6, line(2, "b", 3), "6: field 'head' closes a circle: 2 → 3 → 2; count words from 1; 0 is the root"),
        (6, line(2, "b", 1), "5: field 'head' closes a circle: 1 → 2 → 1"),
    ],
)
def test_bad_lines_are_named(number, bad, words, file):
    lines = [line(1), "", "# another", *GOOD]
    lines[number - 1] = bad
    path = file("\n".join(lines))
    assert message_of(path).startswith(f"{path}:{words}")


def test_a_sentence_of_multiword_tokens_alone(file):
    path = file(f"{line(1)}\n\n# text = dem\n{line('1-2', 'zum', '_')}\n")
    assert message_of(path) == f"{path}:4: begins a sentence without words; give its words, counted from 1"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty; give a file with records"),
        (b"\n\r\n \n", "is empty; give a file with records"),
        ("# sent_id = 1\n\n# text = a", "holds no sentence; give a file in the CoNLL-U format"),
        (line(1, "Curaçao").encode("latin-1"), "is not UTF-8 text: byte 0xe7 at offset 6; save it as UTF-8"),
        (line(1, "\ud83d").encode("utf-8", "surrogatepass"), "is not UTF-8 text: byte 0xed at offset 2; save it"),
    ],
)
def test_bad_files_are_named(content, words, file):
    path = file(content)
    assert message_of(path).startswith(f"{path}: {words}")


def test_a_missing_file(tmp_path):
    path = tmp_path / "nowhere.conllu"
    assert message_of(path) == f"{path}: does not exist, nor does nowhere.conllu.gz; check the path"


def test_gzip_cut_short(tmp_path):
    path = tmp_path / "trees.conllu.gz"
    path.write_bytes(gzip.compress(SAMPLE.encode())[:-9])
    assert f"{path}: is not a whole gzip file" in message_of(path)


# --- rows


def test_a_circle_names_its_first_word():
    with pytest.raises(WrongHead, match=r"circle: 3 → 4 → 5 → 3") as caught:
        ParseRow(tuple("abcde"), (0, 3, 4, 5, 3), ("dep",) * 5, ("X",) * 5)
    assert caught.value.word == 3


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"words": ()}, "field 'words' is empty; give a word"),
        ({"words": ("a", " ")}, r"field 'words\[1\]' is empty; give a word"),
        ({"words": ("a", "\ud83d")}, "field 'words' holds half a character at offset 0"),
        ({"relations": ("dep", "\udc00")}, "field 'relations' holds half a character at offset 0"),
        ({"heads": (0,)}, "field 'heads' has 1 entries for 2 words; give one for each word"),
        ({"relations": ("dep",) * 3}, "field 'relations' has 3 entries for 2 words"),
        ({"upos": ()}, "field 'upos' has 0 entries for 2 words"),
    ],
)
def test_a_row_is_valid_or_not_made(changes, words):
    good = {"words": ("a", "b"), "heads": (0, 1), "relations": ("root", "dep"), "upos": ("X", "X")}
    with pytest.raises(DataError, match=words):
        ParseRow(**good | changes)


# --- whatever was written

# Spaces may stand inside a form, as in Vietnamese, but not at its ends.
letters = st.characters(exclude_categories=["Cs", "Cc", "Zs", "Zl", "Zp"], exclude_characters="\ufeff")
forms = st.lists(st.text(letters, min_size=1, max_size=4), min_size=1, max_size=2).map(" ".join)
relations = st.sampled_from(["root", "nsubj:pass", "acl:relcl", "dep", "_"])
comments = st.lists(st.sampled_from(["# text = a", "#", "# 1\tword", "#\u00e9"]), max_size=2)


@st.composite
def trees(draw, forms=forms):
    """Rows whose words hang from the root or from one another in any order, but in no circle."""
    words = draw(st.lists(forms, min_size=1, max_size=7))
    order = draw(st.permutations(range(1, len(words) + 1)))
    heads = {word: draw(st.sampled_from([0, *order[:place]])) for place, word in enumerate(order)}
    return {
        "words": words,
        "heads": [heads[word] for word in sorted(heads)],
        "relations": [draw(relations) for _ in words],
        "upos": [draw(st.sampled_from(["NOUN", "PUNCT", "_"])) for _ in words],
    }


@st.composite
def written(draw, row):
    """A row as lines, with comments, multiword tokens and empty nodes where they may stand."""
    lines = draw(comments)
    for number, (form, head, relation, upos) in enumerate(zip(*row.values(), strict=True), start=1):
        if number < len(row["words"]) and draw(st.booleans()):
            lines.append(line(f"{number}-{draw(st.integers(number + 1, len(row['words'])))}", "both", "_", "_", "_"))
        lines += [line(number, form, head, relation, upos), *draw(comments)]
        empty = draw(st.integers(0, 2))
        lines += [line(f"{number}.{count}", "gap", "_", "_", "_") for count in range(1, empty + 1)]
    return "\n".join(lines)


@given(data=st.data(), all_rows=st.lists(trees(), min_size=1, max_size=4))
@settings(max_examples=60)
def test_trees_are_read_as_they_were_written(file, data, all_rows):
    blocks = [data.draw(written(row)) for row in all_rows]
    separator, end = data.draw(st.sampled_from(["\n\n", "\n\n\n"])), data.draw(st.sampled_from(["", "\n", "\n\n"]))
    assert rows(file(separator.join(blocks) + end)) == all_rows


@given(all_rows=st.lists(trees(), min_size=1, max_size=3))
@settings(max_examples=40)
def test_trees_are_read_as_the_library_writes_them(file, all_rows):
    names = ("id", "form", "lemma", "upos", "xpos", "feats", "head", "deprel", "deps", "misc")
    sentences = []
    for row in all_rows:
        words = enumerate(zip(*row.values(), strict=True), start=1)
        tokens = [(n, form, "_", upos, "_", None, head, deprel, None, None) for n, (form, head, deprel, upos) in words]
        sentences.append(conllu.TokenList([dict(zip(names, token, strict=True)) for token in tokens], {"sent_id": "1"}))
    assert rows(file("".join(sentence.serialize() for sentence in sentences))) == all_rows


def test_what_the_library_makes_of_the_sample_is_read_the_same(file):
    again = "".join(sentence.serialize() for sentence in conllu.parse(SAMPLE))
    assert rows(file(again)) == rows(sample_path("conllu"))


def fuzzed(content, seed):
    """The bytes after a few random cuts, doublings and replacements."""
    draw, content = random.Random(seed), bytearray(content)
    for _ in range(draw.randint(1, 6)):
        at = draw.randrange(len(content) + 1)
        end = at + draw.choice([0, 1, 1, 5, 60])
        pieces = [b"", b"\t", b"\n", b"-", b".", b"0", b"9", b"#", b" ", b"\xff", b"\r", content[at:end] * 2]
        content[at:end] = draw.choice([*pieces, bytes([draw.randrange(256)])])
    return bytes(content)


def check_rows_or_an_error(path):
    """Reads it; an error must name the file, in one line, and rows must be valid."""
    try:
        reading = read_conllu(path)
    except DataError as error:
        said = str(error)
    else:
        assert reading.report.kept == len([ParseRow(*map(tuple, row.values())) for row in reading.rows]) > 0
        return
    assert said.startswith(str(path))
    assert "\n" not in said


@given(seed=st.integers(0, 2**32), zipped=st.booleans())
@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_damaged_file_gives_rows_or_an_error_that_names_it(tmp_path, seed, zipped):
    content = SAMPLE.encode()
    path = tmp_path / ("trees.conllu.gz" if zipped else "trees.conllu")
    path.write_bytes(fuzzed(gzip.compress(content, mtime=0) if zipped else content, seed))
    check_rows_or_an_error(path)


@given(text=st.text(st.sampled_from("12.-_\t\n# aé\r\u2028\u0085") | st.characters(exclude_categories=["Cs"])))
def test_any_text_gives_rows_or_an_error_that_names_it(file, text):
    check_rows_or_an_error(file(text))
