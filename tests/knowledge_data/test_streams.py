import codecs
import gzip
import json
import zipfile
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knowledge_data import DataError
from knowledge_data._json_array import stream_array
from knowledge_data.members import members
from knowledge_data.streams import complaints, stream_lines, stream_records
from knowledge_data.whole import written_whole

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)

ITEMS = [{"a": 1}, {"b": [2, "]"]}, {"c": {"d": 'é"\\'}}]


@pytest.fixture
def written(tmp_path):
    """Writes bytes to a file, gzipped where the name says so, and gives its path."""

    def write(name, content):
        path = tmp_path / name
        path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
        return path

    return write


def read(stream, path, on_error="skip"):
    """What is given, and what is counted."""
    skipped = Counter()
    return list(stream(path, complaints(on_error, skipped))), dict(skipped)


def cut(text, size):
    return [text[start : start + size] for start in range(0, len(text), size)]


# --- arrays


@given(items=st.lists(VALUES, max_size=6), size=st.integers(1, 7), indent=st.sampled_from([None, 1]))
def test_an_array_is_read_from_pieces_of_any_size(items, size, indent):
    assert list(stream_array(cut(json.dumps(items, indent=indent), size), 10_000)) == items


@given(items=st.lists(VALUES, max_size=4), size=st.integers(1, 9), end=st.integers(0, 40))
def test_an_array_that_breaks_off_is_never_taken_for_a_whole_one(items, size, end):
    text = json.dumps(items)
    with pytest.raises(ValueError):  # noqa: PT011
        list(stream_array(cut(text[: min(end, len(text) - 1)], size), 10_000))


@pytest.mark.parametrize(
    "text", ["[1 2]", "[1,]", "[,1]", "[1] 2", "[tru]", "{}", "", "[1]]", '["\\x"]', "[" * 100_000]
)
def test_what_is_no_array_is_refused(text):
    with pytest.raises((ValueError, RecursionError)):
        list(stream_array(cut(text, 3_000), 1_000_000))


def test_an_item_that_never_ends_is_not_gathered_for_ever():
    def endless():
        yield '["'
        while True:
            yield "x" * 100

    with pytest.raises(ValueError, match="longer than 1,000 characters"):
        list(stream_array(endless(), 1_000))


# --- records


@pytest.mark.parametrize("name", ["x.json", "x.json.gz", "x.jsonl", "x.jsonl.gz"])
@pytest.mark.parametrize("mark", [b"", codecs.BOM_UTF8])
def test_records_come_from_arrays_and_lines_plain_or_gzipped(name, mark, written):
    lines = "\n".join(map(json.dumps, ITEMS)) if "jsonl" in name else json.dumps(ITEMS, ensure_ascii=False)
    found, skipped = read(stream_records, written(name, mark + lines.encode()))
    assert [record.values for record in found] == ITEMS
    assert skipped == {}


@pytest.mark.parametrize(
    ("content", "message", "reason", "kept"),
    [
        (b'{"a": 1}\n{"a": \n{"b": 2}', ":2: is not JSON: Expecting value", "not JSON", 2),
        (b'{"a": 1}\n7\n{"b": 2}', ":2: holds 7 but must hold an object", "not an object with named fields", 2),
        (b'{"a": 1}\n"\xff"\n{"b": 2}', ":2: is not UTF-8 text: byte 0xff", "not UTF-8", 2),
        (b'{"a": 1}\n' + b"[" * 9_000 + b'\n{"b": 2}', ":2: is not JSON: values are nested too deeply", "not JSON", 2),
        (b'{"a": 1}\n{"n": ' + b"9" * 9_000 + b"}\n", ":2: is not JSON: Exceeds the limit", "not JSON", 1),
        (b'[{"a": 1}, {"b": ', ": record 2: is not JSON: it breaks off", "not JSON", 1),
        (b'[{"a": 1}, {"b": 1} {"c": 1}]', ": record 3: is not JSON: '{' stands where ',' must", "not JSON", 2),
        (b'[{"a": 1}, 7, {"b": 2}]', ": record 2: holds 7 but", "not an object with named fields", 2),
        (b'[{"a": 1}, {"b": "\xff"}]', ": record 1: is not UTF-8 text: byte 0xff", "not UTF-8", 0),
    ],
)
def test_what_is_no_record_is_told_or_counted(content, message, reason, kept, written):
    path = written("x.json", content)
    with pytest.raises(DataError) as caught:
        read(stream_records, path, "raise")
    assert str(caught.value).startswith(f"{path}{message}")
    found, skipped = read(stream_records, path)
    assert (len(found), skipped) == (kept, {reason: 1})


def test_a_gzip_that_is_cut_short_gives_what_it_has_and_is_counted(written):
    path = written("x.jsonl.gz", "\n".join(json.dumps({"n": n, "x": hash(str(n))}) for n in range(20_000)).encode())
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(DataError, match="is not a whole gzip file"):
        read(stream_records, path, "raise")
    found, skipped = read(stream_records, path)
    assert 0 < len(found) < 20_000
    assert skipped == {"file that breaks off or cannot be read": 1}


def test_plain_text_named_gz_is_told_and_counted(tmp_path):
    path = tmp_path / "x.jsonl.gz"
    path.write_text('{"a": 1}')
    with pytest.raises(DataError, match=r"drop \.gz from its name"):
        read(stream_records, path, "raise")
    assert read(stream_records, path) == ([], {"file that breaks off or cannot be read": 1})


def test_a_line_that_is_too_long_is_passed_over(written):
    path = written("x.txt", b"one\n" + b"y" * 5_000 + b"\nthree\n" + b"z" * 101)
    skipped = Counter()
    lines = list(stream_lines(path, complaints("skip", skipped), longest=100))
    assert lines == [(f"{path}:1", "one"), (f"{path}:3", "three")]
    assert skipped == {"line that is too long": 2}


def test_another_word_for_on_error():
    with pytest.raises(DataError, match=r"on_error='ignore' is unknown; choose raise or skip"):
        complaints("ignore", Counter())


@given(content=st.binary(max_size=300), start=st.sampled_from([b"", b"[", b'[{"a": 1}, ', b'{"a":']))
def test_any_bytes_are_read_or_counted(content, start, tmp_path_factory):
    path = tmp_path_factory.mktemp("fuzz") / "x.json"
    path.write_bytes(start + content)
    found, skipped = read(stream_records, path)
    assert all(isinstance(record.values, dict) for record in found)
    assert sum(skipped.values()) <= 2 + content.count(b"\n") + content.count(b",")


# --- members


def test_members_of_a_folder_and_of_a_zip(tmp_path):
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "2.json").write_text("[]")
    (tmp_path / "1.json.gz").write_bytes(gzip.compress(b"[]"))
    (tmp_path / "3.txt").write_text("no")
    with zipfile.ZipFile(tmp_path / "z.zip", "w") as archive:
        archive.writestr("in/4.json", '[{"a": 1}]')
        archive.writestr("in/5.json.gz", gzip.compress(b'[{"b": 2}]'))
        archive.writestr("__MACOSX/in/._4.json", "\0")
    found = members(tmp_path, [".json"])
    names = [member.name.removeprefix(f"{tmp_path}/") for member in found]
    assert names == ["1.json.gz", "b/2.json", "z.zip/in/4.json", "z.zip/in/5.json.gz"]
    assert [record.values for member in found for record in stream_records(member)] == [{"a": 1}, {"b": 2}]


@pytest.mark.parametrize(("name", "content"), [("x.zip", b"PK"), ("x.zip", b"")])
def test_a_broken_zip_is_told(name, content, tmp_path):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match="is not a whole zip file"):
        members(tmp_path / name, [".json"])


def test_a_folder_without_such_files_is_told(tmp_path):
    with pytest.raises(DataError, match=r"holds no file that ends in \.json"):
        members(tmp_path, [".json"])


# --- whole or not at all


def test_a_file_appears_when_it_is_whole(tmp_path):
    with written_whole(tmp_path / "x") as aside:
        aside.write_text("whole")
        assert not (tmp_path / "x").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


@pytest.mark.parametrize("is_folder", [True, False])
def test_nothing_is_left_of_what_failed(is_folder, tmp_path):
    def fail():
        with written_whole(tmp_path / "x") as aside:
            aside.mkdir() if is_folder else aside.write_text("half")
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert list(tmp_path.iterdir()) == []


def test_what_is_there_is_not_overwritten(tmp_path):
    (tmp_path / "x").write_text("old")
    with pytest.raises(DataError, match="is there already"), written_whole(tmp_path / "x"):
        pass
    assert (tmp_path / "x").read_text() == "old"


def test_what_a_killed_process_left_is_removed(tmp_path):
    left, running = tmp_path / f".x.{2**22 + 1}.part", tmp_path / ".x.1.part"
    left.write_text("half")
    running.write_text("another process writes this")
    with written_whole(tmp_path / "x") as aside:
        aside.write_text("whole")
    assert sorted(path.name for path in tmp_path.iterdir()) == [".x.1.part", "x"]
