import gzip
import json
import shutil
import zipfile
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knowledge_data import (
    PROBES,
    ClozeProbe,
    DataError,
    MinimalPair,
    find_probe,
    overlap,
    probe_facts,
    read_probe,
    sample_path,
)
from knowledge_data.building.overlap import Fact
from knowledge_data.probes import read_lama

KEPT = {
    "bear": (5, {}),
    "blimp": (2, {"good and bad sentence are the same": 1}),
    "lama": (5, {"no phrasing with one blank": 1}),
    "lm-kbc": (4, {}),
    "numersense": (3, {}),
    "pararel": (3, {"duplicate record": 1}),
}

every_probe = pytest.mark.parametrize("name", PROBES)


@pytest.fixture
def copied(tmp_path):
    """Copies the sample of a probe, and gives its path."""

    def copy(name):
        source = sample_path(name)
        target = tmp_path / source.name
        return shutil.copytree(source, target) if source.is_dir() else shutil.copy(source, target)

    return copy


def row_of(name, **wanted):
    """The first row of a sample with these values."""
    rows = read_probe(name, sample_path(name)).rows
    return next(row for row in rows if all(row[column] == value for column, value in wanted.items()))


@every_probe
def test_samples_are_read_whole_with_their_provenance(name):
    reading = read_probe(name, sample_path(name))
    kept, skipped = KEPT[name]
    assert (reading.report.kept, dict(reading.report.skipped)) == (kept, skipped)
    assert reading.rows.features == (MinimalPair if name == "blimp" else ClozeProbe).features()
    told = reading.provenance
    assert (told["kept"], told["dropped"], told["licence"]) == ({"rows": kept}, skipped, PROBES[name].licence)
    assert told["cite"]
    assert len(told["content_hash"]) == 16


@every_probe
def test_gzip_makes_no_difference(name, copied, tmp_path):
    plain = read_probe(name, sample_path(name))
    path = copied(name)
    for file in [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]:
        file.with_name(f"{file.name}.gz").write_bytes(gzip.compress(file.read_bytes()))
        file.unlink()
    assert read_probe(name, path).provenance["content_hash"] == plain.provenance["content_hash"]


def test_bear():
    assert row_of("bear", subject="Marlin") == {
        "relation": "P504",
        "subject": "Marlin",
        "subject_id": "b2",
        "objects": ["Osterhaven"],
        "object_numbers": [0],
        "object_ids": ["h2"],
        "candidates": ["Vellmouth", "Osterhaven", "Brindle Bay"],
        "phrasings": ["[X] is moored in [Y].", "The home port of [X] is [Y]."],
    }


def test_pararel():
    moored, born = row_of("pararel", relation="P504"), row_of("pararel", relation="P19")
    assert moored["phrasings"] == ["[X] is moored in [Y].", "The home port of [X] is [Y]."]
    assert (moored["subject"], moored["objects"], moored["subject_id"], moored["object_ids"]) == (
        "Gull", ["Vellmouth"], "", [],
    )  # fmt: skip
    # Without patterns of its own, a relation is asked by LAMA's template.
    assert born["phrasings"] == ["[X] was born in [Y] ."]


@pytest.mark.parametrize(
    ("relation", "subject", "ids", "phrasings"),
    [
        ("P504", "Gull", ("b1", ["h1"]), ["[X] is moored in [Y] ."]),
        ("P19", "Tom Quill", ("p2", ["h3"]), ["Quill grew up by the [Y]."]),
        ("/people/person/place_of_birth", "Ada Lorne", ("/m/0ada", []), ["[X] was born in [Y] ."]),
        ("AtLocation", "boat", ("", []), ["You are likely to find a boat in a [Y]."]),
        ("Squad", "", ("", []), ["Salt is loaded in [Y]."]),
    ],
)
def test_lama(relation, subject, ids, phrasings):
    row = row_of("lama", relation=relation)
    assert (row["subject"], (row["subject_id"], row["object_ids"]), row["phrasings"]) == (subject, ids, phrasings)


def test_lama_in_one_file_with_templates_beside(tmp_path):
    folder = sample_path("lama")
    alone = read_lama(folder / "TREx" / "P504.jsonl").rows[0]["phrasings"]
    assert alone == ["The Gull came home to [Y] at dawn."]
    templates = folder / "relations.jsonl"
    assert read_lama(folder / "TREx" / "P504.jsonl", templates).rows[0]["phrasings"] == ["[X] is moored in [Y] ."]


def test_lm_kbc():
    several = row_of("lm-kbc", subject="Gull")
    assert (several["objects"], several["object_numbers"]) == (["salt", "sea salt", "herring"], [0, 0, 1])
    assert row_of("lm-kbc", subject="Curlew")["objects"] == []
    assert row_of("lm-kbc", subject="Heron")["objects"] == ["slate"]


def test_numersense():
    row = row_of("numersense", objects=["two"])
    assert row["phrasings"] == ["a rowing boat has [Y] oars for each rower."]
    assert len(row["candidates"]) == 12


def test_blimp_from_its_zip_without_what_macos_adds(tmp_path):
    with zipfile.ZipFile(tmp_path / "BLiMP.zip", "w") as archive:
        for file in sorted((sample_path("blimp") / "data").iterdir()):
            archive.write(file, f"data/{file.name}")
            archive.writestr(f"__MACOSX/data/._{file.name}", b"\0\1\2")
    rows = read_probe("blimp", tmp_path / "BLiMP.zip").rows
    assert rows.to_list() == read_probe("blimp", sample_path("blimp")).rows.to_list()
    assert rows[0] == {
        "good": "The sailors dried themselves.",
        "bad": "The sailors dried itself.",
        "phenomenon": "anaphor_number_agreement",
        "group": "anaphor_agreement",
    }


# --- what was taught and is asked


@pytest.mark.parametrize(
    ("name", "by", "pairs"),
    [
        ("bear", "ids", 2),
        ("bear", "labels", 2),
        ("pararel", "labels", 2),
        ("pararel", "ids", 0),
        ("lm-kbc", "labels", 1),
    ],
)
def test_probes_are_compared_with_what_was_taught(name, by, pairs):
    taught = [
        Fact("b1", "moored_in", "h1", "GULL", "Vellmouth"),
        Fact("h1", "birthplace_of", "p1", "Vellmouth", "Ada  Lorne"),
        Fact("b1", "carries", "g1", "Gull", "sea salt"),
    ]
    found = overlap(taught, probe_facts(read_probe(name, sample_path(name)).rows), by)
    assert len(found.pairs) == pairs


def test_pairs_of_sentences_are_no_facts():
    with pytest.raises(DataError, match="the rows have no column 'relation'"):
        list(probe_facts(read_probe("blimp", sample_path("blimp")).rows))


# --- bad input


@pytest.mark.parametrize(
    ("name", "file", "old", "new", "words"),
    [
        ("bear", "P504.jsonl", '"answer_idx": 1', '"answer_idx": 2', ":2: field 'answer_idx' says 'Brindle Bay' but"),
        ("bear", "P504.jsonl", '"answer_idx": 1', '"answer_idx": 3', ":2: field 'answer_idx' is 3 but the"),
        ("bear", "P504.jsonl", '"b2"', "2", ":2: field 'sub_id' is 2 but must be a text"),
        ("bear", "metadata_relations.json", '"P504"', '"P505"', ": field 'P504' is missing"),
        ("bear", "metadata_relations.json", "moored in [Y]", "moored", ":1: field 'phrasings[0]' is '[X] is moored.'"),
        ("blimp", "data/passive_1.jsonl", '"UID"', '"uid"', ":1: field 'UID' is missing"),
        ("blimp", "data/passive_1.jsonl", '"The net was mended by Ada."', '" "', ":1: field 'good' is empty"),
        ("lama", "TREx/P504.jsonl", "obj_label", "label", ":1: field 'obj_label' is missing"),
        ("lama", "TREx/P19.jsonl", '[{"sub_surface"', '["x", {"sub_surface"', ":1: field 'evidences[0]' is 'x'"),
        ("lama", "Squad/test.jsonl", '["Salt', '[7, "Salt', ":1: field 'masked_sentences[0]' is 7 but must be a text"),
        ("lama", "relations.jsonl", "[Y] .", "Y", ".jsonl:1: field 'phrasings[0]' is '[X] is moored in Y'"),
        ("lm-kbc", "", '[["timber"]]', '["timber"]', ":2: field 'ObjectEntities[0]' is 'timber' but must be a list"),
        ("lm-kbc", "", '[["timber"]]', '[[" "]]', ":2: field 'objects[0]' is empty; give each a name"),
        ("numersense", "", "<mask> water", "water", ":2: field 'sentence' has 0 blanks; write <mask> once"),
        ("numersense", "", "\tno\n", "\televen\n", ":2: field 'answer' is 'eleven'; write one of: no, zero, one"),
        ("numersense", "", "\tno\n", "\n", ":2: has 1 cells but must have 2: sentence, answer"),
        ("pararel", "facts/P504.jsonl", '"obj_label": "Osterhaven"', '"obj": 1', ":2: field 'obj_label' is missing"),
        ("pararel", "patterns/P504.jsonl", "port of [X]", "[X] of [X]", "facts/P504.jsonl:1: field 'phrasings[1]' is"),
        ("pararel", "facts/P19.jsonl", '{"sub', '{sub', "P19.jsonl:1: is not JSON"),
    ],
)  # fmt: skip
def test_what_is_malformed_is_told_with_its_place(name, file, old, new, words, copied):
    path = copied(name)
    edited = path / file if file else path
    assert old in edited.read_text()
    edited.write_text(edited.read_text().replace(old, new))
    with pytest.raises(DataError) as caught:
        read_probe(name, path)
    assert words in str(caught.value)


@every_probe
def test_nothing_there(name, tmp_path):
    with pytest.raises(DataError, match=r"does not exist|holds no"):
        read_probe(name, tmp_path / "nowhere")


@pytest.mark.parametrize("name", ["blimp", "lama", "lm-kbc"])
def test_nothing_in_it(name, tmp_path):
    (tmp_path / "x.jsonl").write_text("\n")
    with pytest.raises(DataError, match="holds no record"):
        read_probe(name, tmp_path / "x.jsonl")


def test_a_relation_without_any_phrasing(copied):
    path = copied("pararel")
    (path / "LAMA_relations.jsonl").unlink()
    with pytest.raises(DataError, match=r"P19\.jsonl: holds facts of P19, which has no phrasing; give"):
        read_probe("pararel", path)


def test_an_unknown_probe():
    with pytest.raises(DataError, match=r"there is no probe 'glue'; choose one of: bear, blimp, lama, lm-kbc, "):
        read_probe("glue", ".")


@given(data=st.data(), name=st.sampled_from(["bear", "lama", "lm-kbc", "pararel", "blimp"]))
def test_any_change_to_a_record_is_read_or_told(data, name, tmp_path_factory):
    folder = tmp_path_factory.mktemp("fuzz")
    source = sample_path(name)
    path = shutil.copytree(source, folder / "x") if source.is_dir() else shutil.copy(source, folder / source.name)
    files = [path] if path.is_file() else sorted(path.rglob("*.jsonl"))
    file = data.draw(st.sampled_from(files))
    records = [json.loads(line) for line in file.read_text().splitlines()]
    record = data.draw(st.sampled_from(records))
    record[data.draw(st.sampled_from(sorted(record)))] = data.draw(
        st.none() | st.booleans() | st.integers(-2, 9) | st.text(max_size=3) | st.lists(st.text(max_size=2), max_size=2)
    )
    file.write_text("\n".join(map(json.dumps, records)))
    with suppress(DataError):
        read_probe(name, path)


# --- what is malformed, skipped


@pytest.mark.parametrize(
    ("name", "file", "old", "new", "reason", "kept"),
    [
        ("bear", "P504.jsonl", '"answer_idx": 1', '"answer_idx": 2', "malformed record", 4),
        ("bear", "metadata_relations.json", '"P504"', '"P505"', "malformed relation", 2),
        ("blimp", "data/anaphor_number_agreement.jsonl", '"UID"', '"uid"', "malformed record", 1),
        ("lama", "TREx/P504.jsonl", "obj_label", "label", "malformed record", 4),
        ("lama", "relations.jsonl", '"template"', '"said"', "malformed record", 5),
        ("lm-kbc", "", '[["timber"]]', '["timber"]', "malformed record", 3),
        ("lm-kbc", "", '[["timber"]]}', '[["timber"]]', "not JSON", 3),
        ("numersense", "", "<mask> water", "water", "malformed record", 2),
        ("numersense", "", "\tno\n", "\n", "malformed record", 2),
        ("pararel", "facts/P504.jsonl", '"obj_label": "Osterhaven"', '"obj": 1', "malformed record", 2),
        ("pararel", "patterns/P504.jsonl", '"pattern": "The', '"said": "The', "malformed record", 3),
        ("pararel", "LAMA_relations.jsonl", "P19", "P20", "malformed relation", 2),
    ],
)
def test_what_is_malformed_is_skipped_and_counted(name, file, old, new, reason, kept, copied):
    path = copied(name)
    edited = path / file if file else path
    edited.write_text(edited.read_text().replace(old, new, 1))
    reading = read_probe(name, path, on_error="skip")
    assert (reading.report.kept, reading.report.skipped[reason]) == (kept, 1)
    assert reading.provenance["dropped"][reason] == 1
    with pytest.raises(DataError):
        read_probe(name, path)


@every_probe
def test_skipping_changes_nothing_where_all_is_well(name):
    assert read_probe(name, sample_path(name), "skip").provenance == read_probe(name, sample_path(name)).provenance


def test_other_words_than_raise_and_skip():
    with pytest.raises(DataError, match="on_error='ignore' is unknown; choose raise or skip"):
        read_probe("bear", sample_path("bear"), "ignore")


# --- where probes lie


def test_probes_are_found_by_name(tmp_path):
    for name in ("BEAR", "blimp", "lm_kbc_2022", "numersense"):
        (tmp_path / name).mkdir()
    assert find_probe("bear", tmp_path) == tmp_path / "BEAR"
    assert find_probe("lm-kbc", tmp_path) == tmp_path / "lm_kbc_2022" / "dev.jsonl"
    assert find_probe("numersense", tmp_path) == tmp_path / "numersense" / "validation.masked.tsv"
    with pytest.raises(DataError, match="holds nothing called lama; say where it lies: lama=PATH"):
        find_probe("lama", tmp_path)
    with pytest.raises(DataError, match="there is no probe 'glue'"):
        find_probe("glue", tmp_path)


# --- rows


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"relation": ""}, "field 'relation' is empty"),
        ({"objects": ("a", "")}, "field 'objects[1]' is empty"),
        ({"object_numbers": (0,)}, "field 'object_numbers' has 1 entries for 2 objects"),
        ({"object_numbers": (0, 2)}, "field 'object_numbers' is (0, 2); count the objects from 0"),
        ({"object_numbers": (1, 1)}, "field 'object_numbers' is (1, 1)"),
        ({"object_ids": ("q",)}, "field 'object_ids' has 1 entries for 2 objects"),
        ({"candidates": ("x", "y")}, "none of which is among the candidates"),
        ({"candidates": ("a", " ")}, "field 'candidates[1]' is empty"),
        ({"phrasings": ("[X] is [Y] and [Y].",)}, "write [Y] once, and [X] once or not"),
        ({"phrasings": ("[X] and [X] is [Y].",)}, "write [Y] once, and [X] once or not"),
        ({"subject": "\ud800"}, "field 'subject' holds half a character"),
    ],
)
def test_cloze_probes_are_checked(change, words):
    good = {
        "relation": "r", "subject": "s", "subject_id": "", "objects": ("a", "b"), "object_numbers": (0, 1),
        "object_ids": (), "candidates": (), "phrasings": ("[X] is [Y].",),
    }  # fmt: skip
    ClozeProbe(**good)
    with pytest.raises(DataError) as caught:
        ClozeProbe(**good | change)
    assert words in str(caught.value)
