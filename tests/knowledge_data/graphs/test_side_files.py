"""Side files: labels, aliases, types and descriptions in the forms in which they are published."""

import json
from collections import Counter

import pytest

from knowledge_data import EntityFacts, RelationFacts, read_entities, read_relations

TEVIOT = EntityFacts("Teviot", ("Old Teviot", "Tev"), ("town", "port"), "a town on the Mell")

ALL = {
    "objects.json": json.dumps(
        {"t": {"label": "Teviot", "alternatives": ["Old Teviot", "Tev"], "types": ["town", "port"],
               "description": "a town on the Mell", "wiki": None}}
    ),
    "list.json": json.dumps(
        [{"id": "t", "name": "Teviot", "aliases": ["Old Teviot", "Tev", "Tev"], "type": ["town", "port"],
          "description": "a town on the Mell"}]
    ),
    "lines.jsonl": '{"entity": "t", "label": "Teviot", "alias": ["Old Teviot", "Tev"], "types": ["town", "port"]}\n'
    '{"entity": "t", "label": "Not Teviot", "description": "a town on the Mell"}\n',
    "table.tsv": "id\tlabel\taliases\ttypes\tdescription\nt\tTeviot\tOld Teviot| Tev\ttown|port\ta town on the Mell\n",
    "table.csv": 'id,types,name,definition,alias\nt,town|port,Teviot,"a town on the Mell",Old Teviot|Tev\n',
    "facts.nt": "".join(
        f"<t> <{relation}> {value} .\n"
        for relation, value in [
            ("http://www.w3.org/2000/01/rdf-schema#label", '"Teviotium"@la'),
            ("http://www.w3.org/2000/01/rdf-schema#label", '"Teviot"@en-GB'),
            ("http://www.w3.org/2004/02/skos/core#altLabel", '"Old Teviot"'),
            ("http://www.w3.org/2004/02/skos/core#altLabel", '"Tev"@en'),
            ("http://www.w3.org/2004/02/skos/core#altLabel", '"Tewiot"@de'),
            ("http://www.w3.org/1999/02/22-rdf-syntax-ns#type", "<town>"),
            ("http://www.w3.org/1999/02/22-rdf-syntax-ns#type", "<port>"),
            ("http://schema.org/description", '"a town on the Mell"'),
            ("http://example.org/people", '"3000"'),
        ]
    ),
}  # fmt: skip


@pytest.mark.parametrize("zipped", ["", ".gz"])
@pytest.mark.parametrize("name", ALL)
def test_every_form_says_the_same(name, zipped, file):
    assert read_entities(entities=file(name + zipped, ALL[name])) == {"t": TEVIOT}


@pytest.mark.parametrize("name", ALL)
def test_only_what_is_asked_is_taken(name, file):
    path = file(name, ALL[name])
    assert read_entities(labels=path) == {"t": EntityFacts(label="Teviot")}
    assert read_entities(types=path, descriptions=path) == {"t": EntityFacts("", (), TEVIOT.types, TEVIOT.description)}


def test_a_label_in_another_language_is_better_than_none(file):
    path = file("a.nt", '<t> <http://www.w3.org/2000/01/rdf-schema#label> "Teviotium"@la .\n')
    assert read_entities(entities=path)["t"].label == "Teviotium"


PLAIN = [
    ("labels", "a.txt", "t\tTeviot\n", EntityFacts("Teviot")),
    ("labels", "a.json", '{"t": "Teviot"}', EntityFacts("Teviot")),
    ("labels", "a.json", '{"t": ["Teviot", "a town"]}', EntityFacts("Teviot")),
    ("descriptions", "a.tsv", "t\t a town\n", EntityFacts(description="a town")),
    ("types", "a.json", '{"t": ["town"]}', EntityFacts(types=("town",))),
    ("types", "a.tsv", "t\ttown|port\nt\ttown\n", EntityFacts(types=("town", "port"))),
    ("aliases", "a.tsv", "t\tTev\tOld Teviot\n", EntityFacts(aliases=("Tev", "Old Teviot"))),
    ("aliases", "a.json", '{"t": ["Te|v"]}', EntityFacts(aliases=("Te|v",))),
    ("labels", "a.jsonl", '{"sub_id": "t", "sub_label": "T", "obj_id": "u", "obj_label": "U"}', EntityFacts("T")),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "name", "content", "facts"), PLAIN)
def test_plain_forms(kind, name, content, facts, file):
    assert read_entities(**{kind: file(name, content)})["t"] == facts


def test_what_is_said_first_stays_and_lists_add_up(file):
    first, second = file("a.tsv", "t\tTeviot\n"), file("b.tsv", "t\tTeviot Town\nu\tUver\n")
    known = read_entities(labels=[first, second], aliases=[second])
    assert known == {"t": EntityFacts("Teviot", ("Teviot Town",)), "u": EntityFacts("Uver", ("Uver",))}


@pytest.mark.parametrize(
    ("name", "content"),
    [("a.json", '{"x": {"qid": "t", "label": "Teviot"}}'), ("a.csv", "label,number\nTeviot,t\n")],
)
def test_the_id_may_stand_in_any_field(name, content, file):
    field = "qid" if name.endswith("json") else "number"
    assert read_entities(entities=file(name, content), id_field=field) == {"t": EntityFacts("Teviot")}


def test_entries_that_say_nothing_are_counted(file):
    report = Counter()
    path = file("a.json", '{"t": {"label": ""}, "u": {"label": null}, "v": {"wiki": "x"}, "w": {"label": "W"}}')
    assert read_entities(labels=path, report=report) == {"w": EntityFacts("W")}
    assert report == {"entry of a side file that says nothing": 3}


RELATIONS = [
    ("a.json", '{"r": {"label": "lives in", "description": "where someone lives"}}'),
    ("a.json", '{"r": ["lives in", "where someone lives"]}'),
    ("a.tsv", "r\tlives in\twhere someone lives\n"),
    ("a.jsonl", '{"relation": "r", "label": "lives in", "description": "where someone lives", "type": "N-1"}'),
]


@pytest.mark.parametrize(("name", "content"), RELATIONS)
def test_relations_in_every_form(name, content, file):
    assert read_relations(file(name, content)) == {"r": RelationFacts("lives in", "where someone lives")}


BAD = [
    ("a.tsv", "t\n", "a.tsv:1: has 1 cells but must have an id and a text", "wrong number of columns"),
    ("a.tsv", "t\tTeviot\ta town\n", "a.tsv:1: has 2 texts but must have one", "wrong number of columns"),
    ("a.tsv", "\tTeviot\n", "a.tsv:1: has an empty id", "empty subject, relation or object"),
    ("a.tsv", b"t\t\xff\n", "a.tsv:1: is not UTF-8 text", "not UTF-8"),
    ("a.csv", "id,label\nt\n", "a.csv:2: has 1 cells but must have 2", "wrong number of columns"),
    ("a.json", '{"t": {"label": 3}}', "entry 't': field 'label' is 3 but must be a text", "wrong value"),
    ("a.json", '{"t": 3}', "entry 't': field 'value' is 3 but must be a text", "wrong value"),
    ("a.json", '{"t": []}', "entry 't': has 0 texts but must have one", "wrong number of columns"),
    ("a.json", '{"t": "\\ud800"}', "entry 't': is no valid Unicode", "not UTF-8"),
    ("a.jsonl", '{"label": "x"}', "a.jsonl:1: field 'id' is missing", "a field is missing or no text"),
    ("a.jsonl", "{", "a.jsonl:1: is not JSON", "not JSON"),
    ("a.nt", "<t>\n", "a.nt:1: is no statement of N-Triples", "not a statement"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "content", "said", "reason"), BAD)
def test_a_bad_entry_is_named_or_counted(name, content, said, reason, file, complaint):
    path, report = file(name, content), Counter()
    assert said in complaint(read_entities, labels=path)
    assert read_entities(labels=path, on_error="skip", report=report) == {}
    assert len(report) == 1
    assert reason in next(iter(report))
    assert report.total() == 1


def test_what_cannot_be_read_at_all_is_refused(file, tmp_path, complaint):
    assert "does not exist" in complaint(read_entities, labels=tmp_path / "no.tsv")
    assert "is not JSON" in complaint(read_entities, labels=file("a.json", "{"), on_error="skip")
    assert "ends in no known format" in complaint(read_entities, labels=file("a.xml", "<a/>"))
    assert "has no column 'q' but id, label" in complaint(
        read_entities, labels=file("b.csv", "id,label\n"), id_field="q"
    )
