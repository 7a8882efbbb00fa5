import copy
import gzip
import json
import shutil
import zipfile
from collections import Counter
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knowledge_data import DataError, TrexOptions, build_trex, read_trex, sample_path, stream_examples
from knowledge_data.reading import Skip
from knowledge_data.streams import complaints
from knowledge_data.trex import Example

DUMP = sample_path("trex-dump")

ENTITY, PROPERTY = "http://www.wikidata.org/entity/", "http://www.wikidata.org/prop/direct/"


def mention(uri, *boundaries):
    return {"uri": uri, "boundaries": list(boundaries) or None, "surfaceform": None, "annotator": "Spotlight"}


def triple(subject, object_, sentence=0, relation=PROPERTY + "P36", aligner="SPOAligner"):
    parts = {"subject": subject, "predicate": mention(relation), "object": object_}
    return {"sentence_id": sentence, "annotator": aligner, "confidence": None, "dependency_path": None, **parts}


@pytest.fixture
def document():
    """A document with one triple: Rome is the capital of Italy."""
    text = "Old Rome is in Italy. So is Turin."
    words = [(0, 3), (4, 8), (9, 11), (12, 14), (15, 20), (20, 21), (22, 24), (25, 27), (28, 33), (33, 34)]
    return {
        "docid": ENTITY + "Q220",
        "title": "Rome",
        "uri": ENTITY + "Q220",
        "text": text,
        "sentences_boundaries": [[0, 21], [22, 34]],
        "words_boundaries": [list(word) for word in words],
        "entities": [],
        "triples": [triple(mention(ENTITY + "Q38", 15, 20), mention(ENTITY + "Q220", 0, 8))],
    }


@pytest.fixture
def dump(tmp_path):
    """Writes documents to a dump and gives its path."""

    def write(*documents, name="dump.json"):
        (tmp_path / name).write_text(json.dumps(documents))
        return tmp_path / name

    return write


def outcomes(path, on_error="skip", aligners=()):
    """Examples, and how many were skipped or complained of by reason."""
    skipped = Counter()
    given = list(stream_examples(path, aligners, complaints(on_error, skipped)))
    skipped.update(outcome.reason for outcome in given if isinstance(outcome, Skip))
    return [outcome for outcome in given if not isinstance(outcome, Skip)], dict(skipped)


# --- examples


def test_a_triple_becomes_the_words_of_its_sentence_with_two_spans(document, dump):
    examples, skipped = outcomes(dump(document))
    assert examples == [Example("Q220", ("Old", "Rome", "is", "in", "Italy", "."), "P36", 4, 4, 0, 1, "Q38", "Q220")]
    assert skipped == {}


def test_a_later_sentence_counts_its_words_anew(document, dump):
    document["triples"] = [triple(mention("Q1", 22, 24), mention("Q2", 28, 33), sentence=1)]
    (example,), _ = outcomes(dump(document))
    assert example[1:7] == (("So", "is", "Turin", "."), "P36", 0, 0, 2, 2)


def test_words_may_stand_in_any_order(document, dump):
    ordered, _ = outcomes(dump(copy.deepcopy(document)))
    document["words_boundaries"].reverse()
    assert outcomes(dump(document))[0] == ordered


@pytest.mark.parametrize(
    ("uri", "identifier"),
    [
        ("http://www.wikidata.org/entity/Q38", "Q38"),
        ("Q38", "Q38"),
        ("1965-07-06T00:00:00Z^^http://www.w3.org/2001/XMLSchema#dateTime", "1965-07-06T00:00:00Z"),
        ("+12^^http://www.w3.org/2001/XMLSchema#decimal", "+12"),
    ],
)
def test_ids_and_values(uri, identifier, document, dump):
    document["triples"][0]["subject"]["uri"] = uri
    assert outcomes(dump(document))[0][0].subj_label == identifier


@pytest.mark.parametrize(
    ("subject", "object_", "reason"),
    [
        (mention("Q1"), mention("Q2", 15, 20), "triple whose subject or object has no place in the text"),
        (mention("Q1", 0, 8), mention("Q2"), "triple whose subject or object has no place in the text"),
        (mention("Q1", 0, 8), mention("Q2", 28, 33), "triple that leaves its sentence"),
        (mention("Q1", 1, 8), mention("Q2", 15, 20), "entity that begins or ends inside a word"),
        (mention("Q1", 0, 8), mention("Q2", 15, 19), "entity that begins or ends inside a word"),
        (mention("Q1", 0, 8), mention("Q2", 4, 8), "subject and object overlap"),
        (mention("Q1", 0, 8), mention("x/Q1", 15, 20), "triple of an entity with itself"),
    ],
)
def test_triples_that_give_no_example_are_counted(subject, object_, reason, document, dump):
    document["triples"].append(triple(subject, object_))
    examples, skipped = outcomes(dump(document), "raise")
    assert (len(examples), skipped) == (1, {reason: 1})


def test_what_two_aligners_found_is_one_example(document, dump):
    document["triples"].append(document["triples"][0] | {"annotator": "Simple-Aligner"})
    path = dump(document)
    assert outcomes(path)[1] == {"duplicate record": 1}
    examples, skipped = outcomes(path, aligners=["Simple-Aligner"])
    assert (len(examples), skipped) == (1, {"triple of an aligner that was not asked for": 1})


@given(data=st.data())
def test_spans_mark_in_the_sentence_what_the_boundaries_mark_in_the_text(data, tmp_path_factory):
    lengths = data.draw(st.lists(st.integers(1, 4), min_size=4, max_size=12))
    gaps = data.draw(st.lists(st.integers(0, 2), min_size=len(lengths), max_size=len(lengths)))
    text, words = "", []
    for number, (length, gap) in enumerate(zip(lengths, gaps, strict=True)):
        text += " " * gap
        words.append([len(text), len(text) + length])
        text += chr(ord("a") + number) * length
    end = data.draw(st.integers(2, len(words)))
    subject, object_ = (sorted(data.draw(st.tuples(*[st.integers(0, end - 1)] * 2))) for _ in "so")
    spans = [(words[first][0], words[last][1]) for first, last in (subject, object_)]
    path = tmp_path_factory.mktemp("dump") / "x.json"
    bounds = {"words_boundaries": words, "sentences_boundaries": [[0, words[end - 1][1]]]}
    triples = [triple(mention("Q2", *spans[0]), mention("Q3", *spans[1]))]
    path.write_text(json.dumps([{"docid": "Q1", "text": text, "triples": triples, **bounds}]))
    examples, skipped = outcomes(path, "raise")
    if skipped:
        assert skipped == {"subject and object overlap": 1}
        assert subject[0] <= object_[1]
        assert object_[0] <= subject[1]
    for example in examples:
        said = ["".join(example.token[first : last + 1]) for first, last in (example[3:5], example[5:7])]
        assert said == ["".join(text[slice(*span)].split()) for span in spans]


# --- the whole way


def test_the_sample(tmp_path):
    told = build_trex(DUMP, tmp_path / "out", TrexOptions(threshold=2))
    assert told["kept"] == {"rows": 12}
    assert told["dropped"] == {
        "triple whose subject or object has no place in the text": 1,
        "duplicate record": 1,
        "relation below the threshold": 4,
    }
    assert json.loads((tmp_path / "out" / "relations.json").read_text()) == {"P36": 5, "P17": 5, "P19": 2}
    assert json.loads((tmp_path / "out" / "provenance.json").read_text())["content_hash"] == told["content_hash"]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "provenance.json", "relations.json", "trex.jsonl",
    ]  # fmt: skip
    reading = read_trex(tmp_path / "out" / "trex.jsonl")
    assert reading.report.total == reading.report.kept == 12
    assert Counter(reading.rows["relation"]) == {"P36": 5, "P17": 5, "P19": 2}
    row = reading.rows[0]
    assert row["text"] == "Trams still climb the hills of Lisbon , the capital of Portugal ."
    assert (row["subject_id"], row["object_id"]) == ("Q45", "Q597")


def packed(dump, tmp_path, form):
    """The sample as it may lie on disk."""
    if form == "zip":
        with zipfile.ZipFile(tmp_path / "dump.zip", "w") as archive:
            for path in sorted(dump.iterdir()):
                archive.write(path, f"re-nlg/{path.name}")
        return tmp_path / "dump.zip"
    folder = shutil.copytree(dump, tmp_path / "dump")
    for path in list(folder.iterdir()):
        if form == "gz":
            path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes()))
        if form == "jsonl":
            lines = map(json.dumps, json.loads(path.read_text()))
            path.with_suffix(".jsonl").write_text("\n".join(lines))
        path.unlink()
    return folder


@pytest.mark.parametrize("form", ["zip", "gz", "jsonl"])
def test_a_dump_may_be_packed(form, tmp_path):
    plain = build_trex(DUMP, tmp_path / "plain", TrexOptions(threshold=1))
    told = build_trex(packed(DUMP, tmp_path, form), tmp_path / "packed", TrexOptions(threshold=1))
    assert (told["content_hash"], told["dropped"]) == (plain["content_hash"], plain["dropped"])


@given(threshold=st.integers(1, 6), count=st.sampled_from(["examples", "pairs"]))
def test_relations_are_kept_that_reach_the_threshold(threshold, count, tmp_path_factory):
    everything = [outcome for outcome in stream_examples(DUMP) if not isinstance(outcome, Skip)]
    pairs = {(example.relation, example.subj_label, example.obj_label) for example in everything}
    counted = (
        Counter(example.relation for example in everything) if count == "examples" else Counter(r for r, *_ in pairs)
    )
    wanted = [list(example) for example in everything if counted[example.relation] >= threshold]
    folder = tmp_path_factory.mktemp("trex") / "out"
    if not wanted:
        with pytest.raises(DataError, match="no example is left; lower the threshold"):
            build_trex(DUMP, folder, TrexOptions(threshold, count))
        return
    build_trex(DUMP, folder, TrexOptions(threshold, count))
    lines = (folder / "trex.jsonl").read_text().splitlines()
    found = [list(json.loads(line).values()) for line in lines]
    assert found == json.loads(json.dumps(wanted))


def test_pairs_are_counted_once(document, dump, tmp_path):
    documents = [document, copy.deepcopy(document)]
    path = dump(*documents)
    assert build_trex(path, tmp_path / "a", TrexOptions(threshold=2))["kept"] == {"rows": 2}
    with pytest.raises(DataError, match="no example is left"):
        build_trex(path, tmp_path / "b", TrexOptions(threshold=2, count="pairs"))


def test_relations_can_be_left_out(tmp_path):
    told = build_trex(DUMP, tmp_path / "out", TrexOptions(threshold=1, exclude=("P36",)))
    assert told["dropped"]["relation that was excluded"] == 5
    assert "P36" not in json.loads((tmp_path / "out" / "relations.json").read_text())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"threshold": 0}, "threshold=0 is below 1"),
        ({"count": "words"}, "count='words' is unknown"),
        ({"on_error": "no"}, "on_error='no' is unknown"),
    ],
)
def test_options_out_of_range(options, message):
    with pytest.raises(DataError, match=message):
        TrexOptions(**options)


# --- bad input


def put(*path_and_value):
    """An edit that sets what a path of keys leads to."""
    *path, last, value = path_and_value

    def edit(root):
        for key in path:
            root = root[key]
        root[last] = value

    return edit


DOCUMENT, TRIPLE = "malformed document", "malformed triple"

BAD = [
    (put("text", 7), "field 'text' is 7 but must be a text", DOCUMENT),
    (put("docid", None), "field 'docid' is None but must be a text", DOCUMENT),
    (put("docid", "Q\ud800"), "field 'docid' holds half a character", DOCUMENT),
    (put("triples", {}), "field 'triples' is {} but must be a list", DOCUMENT),
    (put("triples", 0, []), r"field 'triples[0]' is [] but must be an object", DOCUMENT),
    (put("words_boundaries", 2, [9, 99]), "field 'words_boundaries[2]' is [9, 99] but the text has 34", DOCUMENT),
    (put("words_boundaries", 2, [9.0, 11]), "field 'words_boundaries[2]' is [9.0, 11]", DOCUMENT),
    (put("words_boundaries", 2, [True, 11]), "field 'words_boundaries[2]' is [True, 11]", DOCUMENT),
    (put("sentences_boundaries", 0, [-1, 21]), "field 'sentences_boundaries[0]' is [-1, 21]", DOCUMENT),
    (put("sentences_boundaries", 0, [21]), "field 'sentences_boundaries[0]' is [21]", DOCUMENT),
    (put("sentences_boundaries", 0, [21, 0]), "field 'sentences_boundaries[0]' is [21, 0]", DOCUMENT),
    (put("triples", 0, "sentence_id", 2), "'triples[0].sentence_id' is 2 but the doc", TRIPLE),
    (put("triples", 0, "sentence_id", None), "'triples[0].sentence_id' is None", TRIPLE),
    (put("triples", 0, "subject", None), "'triples[0].subject' is None but must be an object", TRIPLE),
    (put("triples", 0, "subject", "boundaries", [15, 99]), "'triples[0].subject.boundaries' is [15, 99]", TRIPLE),
    (put("triples", 0, "subject", "boundaries", "15"), "'triples[0].subject.boundaries' is '15'", TRIPLE),
    (put("triples", 0, "object", "uri", 5), "'triples[0].object.uri' is 5 but must be a text", TRIPLE),
    (put("triples", 0, "predicate", "uri", ""), "'triples[0].relation' is empty", TRIPLE),
    (put("triples", 0, "annotator", 5), "'triples[0].annotator' is 5", TRIPLE),
    (put("text", "Old Rome is in \ud800taly. So is Turin."), "holds half a character", TRIPLE),
]  # fmt: skip


@pytest.mark.parametrize(("edit", "message", "reason"), BAD)
def test_what_is_malformed_is_told_or_counted(edit, message, reason, document, dump):
    good = copy.deepcopy(document)
    edit(document)
    path = dump(good, document, good)
    with pytest.raises(DataError) as caught:
        outcomes(path, "raise", ["SPOAligner"])
    assert str(caught.value).startswith(f"{path}: record 2: ")
    assert message in str(caught.value)
    examples, skipped = outcomes(path, "skip", ["SPOAligner"])
    assert (len(examples), skipped) == (2, {reason: 1})


def test_a_file_that_breaks_off_is_told_or_counted_and_leaves_nothing(document, dump, tmp_path):
    whole, broken = dump(document, name="1.json"), dump(document, document, name="2.json")
    broken.write_text(broken.read_text()[:-30])
    with pytest.raises(DataError, match=r"2\.json: record 2: is not JSON: it breaks off"):
        build_trex(tmp_path, tmp_path / "out", TrexOptions(threshold=1))
    assert sorted(tmp_path.iterdir()) == [whole, broken]
    told = build_trex(tmp_path, tmp_path.parent / "out", TrexOptions(threshold=1, on_error="skip"))
    assert (told["kept"], told["dropped"]) == ({"rows": 2}, {"not JSON": 1})


JUNK = st.none() | st.booleans() | st.integers(-3, 40) | st.text(max_size=3) | st.lists(st.integers(-1, 40), max_size=3)


@given(data=st.data())
def test_any_change_to_a_document_is_read_told_or_counted(data, tmp_path_factory):
    documents = json.loads((DUMP / "part_0.json").read_text())
    place = documents
    path = []
    while isinstance(place, list | dict) and place and not (path and data.draw(st.integers(0, 4)) == 0):
        key = data.draw(st.sampled_from(sorted(place) if isinstance(place, dict) else range(len(place))))
        path.append((place, key))
        place = place[key]
    holder, key = path[-1]
    holder[key] = data.draw(JUNK)
    file = tmp_path_factory.mktemp("fuzz") / "x.json"
    file.write_text(json.dumps(documents))
    examples, _ = outcomes(file)
    for example in examples:
        assert 0 <= example.subj_start <= example.subj_end < len(example.token)
        assert 0 <= example.obj_start <= example.obj_end < len(example.token)
    with suppress(DataError):
        outcomes(file, "raise")
