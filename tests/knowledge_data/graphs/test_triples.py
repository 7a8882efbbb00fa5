"""Triples as a stream: every format, and everything that can be wrong with a file."""

import gzip
import tracemalloc
from collections import Counter

import pytest

from knowledge_data import Triple, is_streamed, iter_triples

FACTS = [Triple("Lin Aro", "lives in", "Teviot"), Triple("Teviot", "lies on", "river Mell")]

SAME = {
    "plain.tsv": "Lin Aro\tlives in\tTeviot\nTeviot\tlies on\triver Mell\n",
    "plain.txt": "Lin Aro\tlives in\tTeviot\r\nTeviot\tlies on\triver Mell\r\n",
    "header.tsv": "head\trelation\ttail\nLin Aro\tlives in\tTeviot\nTeviot\tlies on\triver Mell",
    "shuffled.csv": "tail,weight,head,rel\nTeviot,3,Lin Aro,lives in\nriver Mell,,Teviot,lies on\n",
    "quoted.csv": '"Lin Aro",lives in,"Teviot"\n"Teviot","lies on",river Mell\n',
    "spaced.tab": " Lin Aro \t lives in\tTeviot\n\nTeviot\tlies on\triver Mell \n \n",
    "mark.tsv": "\ufeffLin Aro\tlives in\tTeviot\nTeviot\tlies on\triver Mell\n",
    "objects.jsonl": '{"subject": "Lin Aro", "predicate": "lives in", "object": "Teviot", "since": 3}\n'
    '{"object": "river Mell", "predicate": "lies on", "subject": "Teviot"}\n',
    "lists.jsonl": '["Lin Aro", "lives in", "Teviot"]\n["Teviot", "lies on", "river Mell"]\n',
    "statements.nt": "# two\n<Lin\\u0020Aro> <lives\\u0020in> <Teviot> .\n"
    "<Teviot><lies\\u0020on><river\\U00000020Mell>.#\n",
}


def skips(path, **options):
    """The triples that are left, and what is left out by reason."""
    report = Counter()
    return list(iter_triples(path, on_error="skip", report=report, **options)), dict(report)


@pytest.mark.parametrize("zipped", ["", ".gz"])
@pytest.mark.parametrize("name", SAME)
def test_every_format_says_the_same(name, zipped, file):
    assert list(iter_triples(file(name + zipped, SAME[name]))) == FACTS


def test_a_missing_file_is_looked_for_gzipped(file):
    path = file("plain.tsv.gz", SAME["plain.tsv"])
    assert list(iter_triples(path.with_suffix(""))) == FACTS


def test_txt_may_be_separated_by_spaces(file):
    assert list(iter_triples(file("a.txt", "uk embassy usa\nusa embassy  uk\n"))) == [
        ("uk", "embassy", "usa"),
        ("usa", "embassy", "uk"),
    ]


def test_quotation_marks_in_tsv_are_letters(file):
    assert list(iter_triples(file("a.tsv", 'a\tr\t"b\n'))) == [("a", "r", '"b')]


def test_a_comma_in_quotation_marks_separates_nothing(file):
    assert list(iter_triples(file("a.csv", 'a,"r, or ""s""",b\n'))) == [("a", 'r, or "s"', "b")]


def test_columns_can_be_named_or_counted(file):
    named = file("a.csv", "who,did,whom\nann,met,bob\n")
    assert list(iter_triples(named, columns=["whom", "did", "who"])) == [("bob", "met", "ann")]
    counted = file("b.tsv", "1\tann\tmet\tbob\n")
    assert list(iter_triples(counted, columns=["2", "3", "4"])) == [("ann", "met", "bob")]
    fields = file("c.jsonl", '{"who": 1, "did": "met", "whom": "bob"}')
    assert list(iter_triples(fields, columns=["who", "did", "whom"])) == [("1", "met", "bob")]


def test_a_first_line_with_one_known_name_is_a_triple(file):
    assert list(iter_triples(file("a.tsv", "head\tpart of\tbody\n"))) == [("head", "part of", "body")]


def test_the_format_can_be_said(file):
    assert list(iter_triples(file("dump.data", "a,r,b\n"), format="csv")) == [("a", "r", "b")]


def test_a_folder_gives_its_splits_in_order_and_nothing_else(file, tmp_path):
    file("test.txt", "c\tr\td\n")
    file("train.txt.gz", "a\tr\tb\n")
    file("dev.tsv", "b\tr\tc\n")
    file("valid_negatives.txt", "x\tr\ty\n")
    file("entity2text.txt", "a\tAnn\n")
    assert [triple.subject for triple in iter_triples(tmp_path)] == ["a", "b", "c"]
    assert is_streamed(tmp_path)


@pytest.mark.parametrize(
    ("name", "streamed"), [("a.tsv", True), ("a.nt.gz", True), ("a.ttl", False), ("a.json", False)]
)
def test_what_is_streamed_is_known_by_the_name(name, streamed, file):
    assert is_streamed(file(name, "")) == streamed


# --- what is wrong: (name, content, what the error says, the reason under which it is counted)

BAD_LINES = [
    ("a.tsv", "a\tr\n", ":2: has 2 cells but must have 3; separate the cells by tabs", "wrong number of columns"),
    ("a.tsv", "a\tr\tb\t\n", ":2: has 4 cells but must have 3", "wrong number of columns"),
    ("a.csv", "a,r\n", ":2: has 2 cells but must have 3; separate the cells by commas", "wrong number of columns"),
    ("a.csv", 'a,"r,b\n', ":2: is not comma-separated (unexpected end of data)", "quotation marks that do not match"),
    ("a.csv", '"a"b,r,c\n', ":2: is not comma-separated", "quotation marks that do not match"),
    ("a.tsv", "\tr\tb\n", ":2: field 'subject' is empty", "empty subject, relation or object"),
    ("a.tsv", "a\t \tb\n", ":2: field 'relation' is empty", "empty subject, relation or object"),
    ("a.tsv", "a\tr\t\n", ":2: field 'object' is empty", "empty subject, relation or object"),
    ("a.tsv", b"a\tr\tCura\xe7ao\n", ":2: is not UTF-8 text: byte 0xe7; save it as UTF-8", "not UTF-8"),
    ("a.tsv", "a\0\tr\tb\n", ":2: is not UTF-8 text: it holds zero bytes, as UTF-16 does", "not UTF-8"),
    ("a.jsonl", '{"subject": \n', ":2: is not JSON", "not JSON"),
    ("a.jsonl", "[" * 100_000 + "\n", ":2: is not JSON: values are nested too deeply", "not JSON"),
    ("a.jsonl", "1" * 5000 + "\n", ":2: is not JSON", "not JSON"),
    ("a.jsonl", "7\n", ":2: holds 7 but must hold an object with named fields", "not an object with named fields"),
    ("a.jsonl", '["a", "r"]\n', ":2: is a list, but not one of three texts", "wrong number of columns"),
    ("a.jsonl", '["a", "r", 3]\n', ":2: is a list, but not one of three texts", "wrong number of columns"),
    ("a.jsonl", '{"h": "a", "r": "r"}\n', "has no fields whose names say subject", "a field is missing or no text"),
    ("a.jsonl", '{"h": "a", "r": [], "t": "b"}\n', "'r' is [] but must be a text", "a field is missing or no text"),
    ("a.jsonl", '["\\ud800", "r", "b"]\n', ":2: is no valid Unicode", "not UTF-8"),
    ("a.jsonl", '["\\u0000", "r", "b"]\n', ":2: holds a zero byte", "not UTF-8"),
    ("a.nt", "<a> <r> <b>\n", ":2: is no statement of N-Triples; write <subject>", "not a statement of N-Triples"),
    ("a.nt", '<a> <r> "b" . <c>\n', ":2: is no statement of N-Triples", "not a statement of N-Triples"),
    ("a.nt", "<a> <r> <b\\q> .\n", ":2: has the unknown escape \\q", "not a statement of N-Triples"),
    ("a.nt", "<a> <r> <b\\UFFFFFFFF> .\n", ":2: has the escape", "not a statement of N-Triples"),
    ("a.nt", "<a> <r> <b\\uD800> .\n", ":2: is no valid Unicode", "not UTF-8"),
]  # fmt: skip
GOOD = {".tsv": "x\tr\ty\n", ".csv": "x,r,y\n", ".jsonl": '["x", "r", "y"]\n', ".nt": "<x> <r> <y> .\n"}


@pytest.mark.parametrize(("name", "line", "said", "reason"), BAD_LINES)
def test_a_bad_line_is_named_or_counted(name, line, said, reason, file, complaint):
    line = line if isinstance(line, bytes) else line.encode()
    good = GOOD[name[1:]].encode()
    path = file(name, good + line + good)
    message = complaint(list, iter_triples(path))
    assert message.startswith(str(path))
    assert said in message
    assert skips(path) == ([("x", "r", "y")] * 2, {reason: 1})


def test_a_bad_first_line_is_counted_once(file, complaint):
    path = file("a.tsv", "only two\tcells\na\tr\tb\n")
    assert ":1: has 2 cells but a triple has 3; name the columns" in complaint(list, iter_triples(path))
    assert skips(path) == ([("a", "r", "b")], {"wrong number of columns": 1})


def test_self_loops_are_counted_whatever_happens_to_errors(file):
    report = Counter()
    path = file("a.tsv", "a\tr\ta\na\tr\tb\n")
    assert list(iter_triples(path, report=report)) == [("a", "r", "b")]
    assert report == {"self-loop: subject and object are the same": 1}


def test_literals_are_counted(file):
    report = Counter()
    path = file("a.nt", '_:x <r> "3"^^<int> .\n<a> <r> "drei"@de-AT .\n_:x <r> _:y.z .\n')
    assert list(iter_triples(path, report=report)) == [("_:x", "r", "_:y.z")]
    assert report == {"literal: a text or a number, no entity": 2}


def test_duplicates_are_given_again(file):
    assert len(list(iter_triples(file("a.tsv", "a\tr\tb\n" * 3)))) == 3


@pytest.mark.parametrize("cut", [9, 200])
def test_a_gzip_file_cut_short_gives_what_it_holds_and_says_so(cut, tmp_path, complaint):
    content = gzip.compress("".join(f"entity {n * 7919 % 1000}\tr\tentity {n}\n" for n in range(5000)).encode())
    path = tmp_path / "a.tsv.gz"
    path.write_bytes(content[:-cut])
    assert "is not a whole gzip file" in complaint(list, iter_triples(path))
    triples, report = skips(path)
    assert report["file that breaks off or cannot be read"] == 1
    assert 0 < len(triples) <= 5000


def test_plain_text_named_gz_is_refused_even_when_errors_are_counted(tmp_path, complaint):
    path = tmp_path / "a.tsv.gz"
    path.write_text("a\tr\tb\n")
    assert "is not a whole gzip file" in complaint(list, iter_triples(path))
    assert "gives no triple, only what is left out: file that breaks off" in complaint(skips, path)


def test_a_line_without_end_is_counted_in_little_memory(tmp_path):
    path = tmp_path / "a.tsv.gz"
    with gzip.open(path, "wb", compresslevel=1) as out:
        out.write(b"a\tr\tb\n")
        for _ in range(60):
            out.write(b"x" * 2**20)
        out.write(b"\nb\tr\tc\n")
    tracemalloc.start()
    triples, report = skips(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert triples == [("a", "r", "b"), ("b", "r", "c")]
    assert report == {"line that is too long": 1}
    assert peak < 10 * 2**20


def test_memory_does_not_grow_with_the_file(tmp_path):
    def peak(lines):
        path = tmp_path / f"{lines}.tsv"
        path.write_text("".join(f"entity {n}\trelation\tentity {n + 1}\n" for n in range(lines)))
        tracemalloc.start()
        for _ in iter_triples(path):
            pass
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return peak

    peak(10)
    assert peak(20_000) < 2 * peak(1000)


# --- what is refused at once


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"format": "xml"}, "format='xml' cannot be read line by line; choose csv"),
        ({"on_error": "ignore"}, "on_error='ignore' is unknown; choose raise or skip"),
        ({"columns": ["a", "b"]}, "columns=['a', 'b'] are not three different names"),
        ({"columns": ["a", "a", "b"]}, "are not three different names"),
        ({"columns": "abc"}, "columns='abc' are not three different names"),
    ],
)
def test_options_are_checked_before_anything_is_read(options, said, file, complaint):
    assert said in complaint(iter_triples, file("a.tsv", "a\tr\tb\n"), **options)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("a.xlsx", "has a name that ends in no known format: .csv"),
        ("a", "has a name that ends in no known format"),
        ("a.ttl", "is read as a whole, not line by line; use read_graph"),
    ],
)
def test_a_file_of_another_format_is_refused_at_once(name, said, file, complaint):
    assert said in complaint(iter_triples, file(name, "a\tr\tb\n"))


def test_a_missing_file_or_folder_of_nothing_is_refused_at_once(tmp_path, complaint):
    assert "does not exist" in complaint(iter_triples, tmp_path / "nowhere.tsv")
    assert "holds no file called train, valid or test" in complaint(iter_triples, tmp_path)


def test_two_files_for_a_split_are_refused(file, tmp_path, complaint):
    file("valid.txt", "a\tr\tb\n")
    file("dev.txt", "a\tr\tb\n")
    assert "holds two files for validation: dev.txt and valid.txt" in complaint(iter_triples, tmp_path)


@pytest.mark.parametrize("content", ["", "\n \n", "head\trelation\ttail\n"])
def test_a_file_without_a_triple_is_refused(content, file, complaint):
    assert complaint(list, iter_triples(file("a.tsv", content))).endswith("holds no triple; give a file with triples")


def test_a_file_of_which_nothing_is_left_says_why(file, complaint):
    path = file("a.tsv", "a\tr\ta\nb\tr\nc\tr\n")
    message = complaint(list, iter_triples(path, on_error="skip"))
    assert "gives no triple, only what is left out: wrong number of columns (2), self-loop" in message


def test_columns_that_are_not_there_are_refused_even_when_errors_are_counted(file, complaint):
    path = file("a.csv", "who,did,whom\nann,met,bob\n")
    assert "a.csv:1: has no column 'what' but who, did, whom" in complaint(skips, path, columns=["who", "what", "whom"])
    assert "has no column '4'" in complaint(skips, path, columns=["1", "2", "4"])
    assert "has no column '0'" in complaint(skips, path, columns=["0", "1", "2"])
