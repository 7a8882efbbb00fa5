from itertools import combinations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from knowledge_data import (
    DataError,
    GraphOptions,
    Triple,
    check_no_pair_shared,
    content_hash,
    graph_rows,
    iter_triples,
    sample_path,
)
from knowledge_data.triples import Falsehoods

FACTS = list(iter_triples(sample_path("harbour") / "triples.tsv"))
PAIRS = {frozenset((fact.subject, fact.object)) for fact in FACTS}
LABELS = dict(line.split("\t") for line in (sample_path("harbour") / "labels.tsv").read_text().splitlines())
TYPES = dict(line.split("\t") for line in (sample_path("harbour") / "types.tsv").read_text().splitlines())


def every(splits):
    return [row for rows in splits.values() for row in rows]


@pytest.mark.parametrize("split", ["pair", "entity", "relation"])
def test_relation_rows_mark_the_names_and_share_nothing(harbour, split):
    made = harbour(split=split)
    check_no_pair_shared(made.splits)
    for row in every(made.splits):
        assert row["text"][row["subject_start"] : row["subject_end"]] == LABELS[row["subject_id"]]
        assert row["text"][row["object_start"] : row["object_end"]] == LABELS[row["object_id"]]
    assert made.report.kept == len(every(made.splits))


def test_true_rows_are_facts_and_false_ones_are_not(harbour):
    rows = every(harbour().splits)
    true = [row for row in rows if row["relation"] != "no_relation"]
    assert sorted((row["subject_id"], row["relation"], row["object_id"]) for row in true) == sorted(FACTS)
    for row in rows:
        assert (frozenset((row["subject_id"], row["object_id"])) in PAIRS) == (row["relation"] != "no_relation")


def test_typed_falsehoods_are_of_the_same_kind(harbour):
    kinds = {(TYPES[f.subject], f.relation, TYPES[f.object]) for f in FACTS}
    templates = {row["phrasing"]: row["relation"] for row in every(harbour(phrasings=9).splits)}
    for row in every(harbour().splits):
        if row["relation"] == "no_relation" and templates[row["phrasing"]] != "no_relation":
            kind = TYPES[row["subject_id"]], templates[row["phrasing"]], TYPES[row["object_id"]]
            assert kind in kinds


def test_uniform_falsehoods_are_of_any_kind(harbour):
    rows = [row for row in every(harbour(corruption="uniform").splits) if row["relation"] == "no_relation"]
    pairs = {(TYPES[row["subject_id"]], TYPES[row["object_id"]]) for row in rows}
    assert pairs - {(TYPES[fact.subject], TYPES[fact.object]) for fact in FACTS}


@pytest.mark.parametrize(("negatives", "least", "most"), [(0, 0, 0), (0.5, 10, 35), (1, 35, 45), (2, 60, 90)])
def test_negatives_are_a_ratio(harbour, negatives, least, most):
    rows = every(harbour(negatives=negatives).splits)
    assert least <= sum(row["relation"] == "no_relation" for row in rows) <= most


def test_what_cannot_be_denied_is_counted(graph):
    triples = [(s, "r", o) for s in "abcdef" for o in "uvwxyz"]
    made = graph(triples, "r: '{subject} r {object}'", validation=0.3, test=0.3)
    assert made.report.skipped == {"no false pair left to deny": 36}


ENTITIES = st.sampled_from([f"e{number}" for number in range(12)])
GRAPHS = st.lists(st.builds(Triple, ENTITIES, st.sampled_from("rs"), ENTITIES), min_size=1, max_size=40, unique=True)


@given(GRAPHS, st.integers(0, 5), st.sampled_from(["typed", "uniform"]), st.floats(0, 3))
def test_a_falsehood_is_never_a_known_pair(facts, seed, corruption, ratio):
    facts = sorted(facts)
    known = {frozenset((fact.subject, fact.object)) for fact in facts}
    false = list(Falsehoods(facts, seed, corruption).pairs(facts, ratio))
    assert len(false) == len(set(false))
    assert all(frozenset((fact.subject, fact.object)) not in known and fact.subject != fact.object for fact in false)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=10)
@given(order=st.permutations(FACTS))
def test_rows_do_not_depend_on_the_order_of_the_triples(order, graph):
    templates = (sample_path("harbour") / "templates.yaml").read_text()
    assert content_hash(graph(order, templates).splits) == content_hash(graph(FACTS, templates).splits)


def test_seeds_differ(harbour):
    assert content_hash(harbour(seed=0).splits) == content_hash(harbour(seed=0).splits)
    assert content_hash(harbour(seed=0).splits) != content_hash(harbour(seed=1).splits)


def test_held_out_phrasings_are_met_in_the_test_only(harbour):
    splits = harbour(phrasings=2).splits
    held = {"One finds {subject} at the quay of {object}.", "At the helm of the {object} stands {subject}."}
    assert held <= set(splits["test"]["phrasing"])
    assert not held & {*splits["train"]["phrasing"], *splits["validation"]["phrasing"]}


def test_training_triples_are_said_in_several_ways(harbour):
    one, two = (harbour(phrasings=count, negatives=0).splits for count in (1, 2))
    assert one["test"].num_rows == two["test"].num_rows
    twice = sum(1 for row in one["train"] if row["relation"] not in ("born_in", "ships"))
    assert two["train"].num_rows == one["train"].num_rows + twice


def test_a_limit_takes_whole_pairs(harbour):
    rows = every(harbour(limit=30, negatives=0).splits)
    assert 30 <= len(rows) <= 31
    drawn = {frozenset((row["subject_id"], row["object_id"])) for row in rows}
    assert len(rows) == sum(frozenset((fact.subject, fact.object)) in drawn for fact in FACTS)


@pytest.mark.parametrize("limit", [None, 30])
def test_where_phrasings_are_held_out_every_fact_is_taught_and_some_are_asked_again(harbour, limit):
    splits = harbour(objective="cloze", split="phrasing", limit=limit).splits
    facts = {name: {(r["subject_id"], r["relation"], r["object_id"]) for r in rows} for name, rows in splits.items()}
    assert facts["test"] | facts["validation"] < facts["train"]
    assert not facts["test"] & facts["validation"]
    assert len(facts["train"]) == (len(FACTS) if limit is None else 30)
    held = {"One finds {subject} at the quay of {object}.", "At the helm of the {object} stands {subject}."}
    assert held & {*splits["test"]["phrasing"]}
    assert not held & {*splits["train"]["phrasing"], *splits["validation"]["phrasing"]}


# --- other objectives


def test_a_cloze_hides_the_object(harbour):
    rows = every(harbour(objective="cloze").splits)
    assert {row["text"][row["start"] : row["end"]] == LABELS[row["object_id"]] for row in rows} == {True}
    assert sorted((row["subject_id"], row["relation"], row["object_id"]) for row in rows) == sorted(FACTS)


def test_a_choice_has_one_true_object(harbour):
    splits = harbour(objective="choice", choices=3).splits
    objects, names = {}, {name: entity for entity, name in LABELS.items()}
    for fact in FACTS:
        objects.setdefault(LABELS[fact.subject], set()).add(LABELS[fact.object])
    for row in every(splits):
        assert len(set(row["choices"])) == 3
        subject = next(name for name in sorted(names, key=len, reverse=True) if name in row["context"])
        right = row["choices"][row["label"]]
        assert right in objects[subject]
        assert not objects[subject] & (set(row["choices"]) - {right})
        assert row["context"].count("___") == 1
    assert {row["label"] for row in every(splits)} == {0, 1, 2}


def test_types_are_asked_of_entities_that_are_in_one_split(harbour):
    splits = harbour(objective="typing").splits
    mentions = {name: {row["text"][row["start"] : row["end"]] for row in rows} for name, rows in splits.items()}
    for one, other in combinations(mentions.values(), 2):
        assert not one & other
    names = {name: entity for entity, name in LABELS.items()}
    assert all(row["types"] == [TYPES[names[row["text"][row["start"] : row["end"]]]]] for row in every(splits))


def test_descriptions_are_matched_within_a_split_and_do_not_give_the_name_away(harbour):
    splits = harbour(objective="description").splits
    texts = {name: set(rows["text_pair"]) for name, rows in splits.items()}
    for one, other in combinations(texts.values(), 2):
        assert not one & other
    rows = every(splits)
    assert [row["label"] for row in rows].count("match") == [row["label"] for row in rows].count("other") == 23
    assert "The ___ is a small boat with a red sail." in {row["text_pair"] for row in rows}
    assert not [
        row for row in rows if row["label"] == "match" and row["text"].casefold() in row["text_pair"].casefold()
    ]


# --- what is missing or wrong


def test_a_relation_without_a_template_is_named(graph):
    with pytest.raises(DataError, match=r"yaml: relation 's' of the triple c \| s \| d has no template; there are tem"):
        graph([("a", "r", "b"), ("c", "s", "d")], "r: '{subject} r {object}'")


def test_relations_without_a_template_can_be_counted_and_left_out(graph):
    triples = [(f"a{number}", "r", f"b{number}") for number in range(30)]
    made = graph([*triples, ("c", "s", "d")], "r: '{subject} r {object}'", negatives=0, on_error="skip")
    assert (made.report.kept, made.report.skipped) == (30, {"relation without a template": 1})


def test_entities_without_a_label_are_counted(harbour, tmp_path):
    (tmp_path / "labels.tsv").write_text("".join(f"{e}\t{name}\n" for e, name in LABELS.items() if e != "b1"))
    made = harbour(labels=str(tmp_path / "labels.tsv"), negatives=0)
    about = sum("b1" in fact for fact in FACTS)
    assert made.report.skipped == {"entity without a label": about}
    assert made.report.kept == len(FACTS) - about


def test_ids_are_names_where_there_are_no_labels(graph):
    triples = [(f"old_boat_{number}", "r", "x") for number in range(30)]
    row = graph(triples, "r: '{subject} r {object}'", negatives=0).splits["train"][0]
    assert row["text"].startswith("old boat ")


def test_a_triple_that_stands_twice_is_said_once(graph):
    triples = [(f"a{number}", "r", f"b{number}") for number in range(30)]
    made = graph(triples * 2, "r: '{subject} r {object}'")
    assert made.report.skipped["duplicate record"] == 30


def test_labels_of_relations_stand_for_templates(tmp_path):
    folder = sample_path("harbour")
    (tmp_path / "relations.tsv").write_text(
        "".join(f"{f.relation}\tis {{so}} {f.relation}\n" for f in dict.fromkeys(FACTS))
    )
    made = graph_rows(folder / "triples.tsv", GraphOptions(relations=str(tmp_path / "relations.tsv"), negatives=0))
    assert "b1: is {so} moored_in: h1." in {row["text"] for row in every(made.splits)}


def test_nothing_says_how_relations_are_said():
    with pytest.raises(DataError, match="nothing says how the relations are put into words; give templates"):
        graph_rows(sample_path("harbour") / "triples.tsv", GraphOptions())


WRONG = [
    ({"phrasings": 0}, "phrasings is 0; it must be 1 or more"),
    ({"negatives": -1.0}, "negatives is -1.0; it must be 0 or more"),
    ({"choices": 1}, "choices is 1; it must be 2 or more"),
    ({"limit": 0}, "limit is 0; it must be 1 or more, or null"),
    ({"objective": "typing", "types": None}, "objective 'typing' needs to know the types of entities; give the side"),
    ({"objective": "description", "descriptions": None}, "needs to know the descriptions of entities"),
    ({"split": "phrasing"}, "split is 'phrasing'; it must be pair, entity or relation, or the objective cloze"),
    ({"objective": "typing", "split": "pair"}, "split is 'pair'; it must be entity for typing; leave split out"),
]


@pytest.mark.parametrize(("options", "words"), WRONG)
def test_impossible_options(options, words, harbour):
    with pytest.raises(DataError, match=words):
        harbour(**options)


@pytest.mark.realdata
@pytest.mark.parametrize(
    ("options", "splits"),
    [
        ({"split": "pair"}, {"train", "validation", "test"}),
        ({"split": "entity"}, {"train", "validation", "test"}),
        ({"split": "relation"}, {"train", "validation", "test"}),
        ({"objective": "choice", "corruption": "uniform"}, {"train", "validation", "test"}),
    ],
)
def test_umls(options, splits, data_folder):
    umls = data_folder / "small_kgs" / "umls"
    said = {"relations": str(umls / "relation2text.txt"), "labels": str(umls / "entity2text.txt"), **options}
    made = graph_rows(umls, GraphOptions(**said))
    assert set(made.splits) == splits
    assert min(map(len, made.splits.values())) > 300
    if "objective" not in options:
        check_no_pair_shared(made.splits)
        kept = sum(row["relation"] != "no_relation" for row in every(made.splits))
        assert kept == 6529 or options["split"] == "relation"
