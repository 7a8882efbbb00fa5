from collections import Counter

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from knowledge_data import DataError, Splitter, Triple, check_triples, split_triples

IDS = st.sampled_from([f"e{number}" for number in range(25)])
RELATIONS = st.sampled_from("rstuvw")
FACTS = st.lists(st.builds(Triple, IDS, RELATIONS, IDS), min_size=30, max_size=60, unique=True)
HALF = {"validation": 0.3, "test": 0.3}


def splitter(by, seed, facts):
    relations = tuple({fact.relation for fact in facts}) if by == "relation" else ()
    return Splitter(by, seed, **HALF, relations=relations)


def parts_of(by, facts, seed):
    dropped = Counter()
    assume(by != "relation" or len({fact.relation for fact in facts}) > 2)
    try:
        return split_triples(facts, splitter(by, seed, facts), dropped), dropped
    except DataError:
        assume(False)


def mirrored(facts):
    """The facts, their inverses, and the same pairs by another relation."""
    return [*facts, *(Triple(o, f"-{r}", s) for s, r, o in facts), *(Triple(s, "w", o) for s, _, o in facts[::3])]


@pytest.mark.parametrize("by", ["pair", "entity", "relation"])
@settings(max_examples=40)
@given(facts=FACTS, seed=st.integers(0, 99))
def test_nothing_crosses(by, facts, seed):
    parts, dropped = parts_of(by, mirrored(facts), seed)
    check_triples(parts, by)
    pairs = {name: {frozenset((s, o)) for s, _, o in part} for name, part in parts.items()}
    assert not pairs["train"] & (pairs["validation"] | pairs["test"])
    assert not pairs["validation"] & pairs["test"]
    assert sum(map(len, parts.values())) + dropped.total() == len(mirrored(facts))


@settings(max_examples=40)
@given(facts=FACTS, seed=st.integers(0, 99))
def test_every_test_fact_is_about_an_unseen_entity(facts, seed):
    parts, _ = parts_of("entity", facts, seed)
    seen = {entity for name in ("train", "validation") for s, _, o in parts[name] for entity in (s, o)}
    assert all(not {s, o} <= seen for s, _, o in parts["test"])


@settings(max_examples=40)
@given(facts=FACTS, seed=st.integers(0, 99))
def test_relations_of_the_test_are_nowhere_else(facts, seed):
    parts, _ = parts_of("relation", facts, seed)
    relations = {name: {fact.relation for fact in part} for name, part in parts.items()}
    assert not relations["test"] & (relations["train"] | relations["validation"])
    assert not relations["validation"] & relations["train"]


@settings(max_examples=40)
@given(facts=FACTS, more=FACTS, seed=st.integers(0, 99), by=st.sampled_from(["pair", "entity"]))
def test_facts_that_are_added_move_no_other(facts, more, seed, by):
    split = Splitter(by, seed, **HALF)
    before = {fact: split(*fact) for fact in facts}
    after = {fact: split(*fact) for fact in [*more, *facts]}
    assert all(after[fact] == before[fact] for fact in facts)


def test_shares_hold_on_the_whole():
    split = Splitter("pair", 3, validation=0.1, test=0.3)
    counted = Counter(split(f"s{number}", "r", "o") for number in range(20_000))
    assert {name: round(count / 20_000, 2) for name, count in counted.items()} == pytest.approx(
        {"train": 0.6, "validation": 0.1, "test": 0.3}, abs=0.011
    )


def test_a_few_relations_are_in_all_three_splits():
    facts = [Triple(f"s{number}", relation, "o") for number, relation in enumerate("abc")]
    assert set(map(len, split_triples(facts, Splitter("relation", relations=("a", "b", "c"))).values())) == {1}


def test_two_relations_are_too_few():
    with pytest.raises(DataError, match="there are 2 relations, which cannot be in three splits; give more"):
        Splitter("relation", relations=("a", "b"))


@pytest.mark.parametrize(("validation", "test"), [(0, 0.2), (0.2, 0), (0.5, 0.5), (-0.1, 0.2)])
def test_impossible_shares(validation, test):
    with pytest.raises(DataError, match=r"give shares above 0 that add up to less than 1"):
        Splitter("pair", 0, validation, test)


def test_an_empty_split_is_told():
    with pytest.raises(DataError, match=r"no triple is in split '\w+' of 1; give more triples"):
        split_triples([Triple("a", "r", "b")], Splitter())


A, B = Triple("a", "r", "b"), Triple("c", "s", "d")
LEAKS = {
    "inverse": ("pair", {"train": [A], "test": [Triple("b", "q", "a")]}, "and 'test' share the pair of entities a"),
    "relation": ("relation", {"train": [A], "test": [B, Triple("x", "r", "y")]}, "and 'test' share the relation r"),
    "entity": ("entity", {"train": [A, B], "test": [Triple("a", "r", "c")]}, "entities of a r c, in split 'test'"),
    "validation": ("entity", {"train": [A, B], "validation": [Triple("d", "r", "b")]}, "'validation', are in train"),
}  # fmt: skip


@pytest.mark.parametrize("leak", LEAKS)
def test_the_check_sees_a_leak(leak):
    by, parts, words = LEAKS[leak]
    with pytest.raises(DataError, match=words):
        check_triples(parts, by)
