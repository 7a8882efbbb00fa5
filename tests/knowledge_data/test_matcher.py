from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knowledge_data import DataError, EntityFacts, Matcher, Names
from knowledge_data.alignment.words import words

ALPHABET = "aAbB é́İß-.' \t東京ไ"
"""Letters in both cases, marks, letters that grow when they are folded, signs, white space, scripts without it."""

TEXTS = st.text(ALPHABET, max_size=30)
NAMES = st.dictionaries(
    st.sampled_from(["q1", "q2", "q3", "q4"]),
    st.lists(st.text(ALPHABET, max_size=6), min_size=1, max_size=3),
    max_size=4,
)
CASES = st.sampled_from(["smart", "exact", "any"])


def facts(name, *aliases):
    return EntityFacts(label=name, aliases=aliases)


def matcher(case="smart", ambiguous="label", **entities):
    return Matcher(Names.of(entities.items(), case, ambiguous))


def found(matcher, text):
    return [(text[mention.start : mention.end], *mention.entities) for mention in matcher.find(text)]


def matches(name, piece, case):
    """The rule in other words: whether these words of a text are this name."""
    if case == "any" or (case == "smart" and " ".join(name).lower() == " ".join(name)):
        return [word.casefold() for word in name] == [word.casefold() for word in piece]
    return name == piece


# --- laws


@given(names=NAMES, text=TEXTS, case=CASES)
def test_what_is_found_is_a_name_and_the_longest_that_begins_there(names, text, case):
    known = Names.of(((entity, facts(*given)) for entity, given in names.items()), case, "all", 1, ())
    there = words(text)
    spelled = [word for word, _ in there]
    wanted = {(entity, tuple(w for w, _ in words(name))) for entity, of_entity in names.items() for name in of_entity}
    wanted = {(entity, name) for entity, name in wanted if name}
    at = 0
    for mention in [*Matcher(known).find(text), None]:
        first = len(there) if mention is None else [span[0] for _, span in there].index(mention.start)
        assert first >= at, "mentions overlap, or stand in the wrong order"
        passed = [(name, start) for _, name in wanted for start in range(at, first)]
        assert not any(matches(list(name), spelled[start : start + len(name)], case) for name, start in passed)
        if mention is not None:
            last = [span[1] for _, span in there].index(mention.end)
            piece = spelled[first : last + 1]
            assert any(matches(list(name), piece, case) for e, name in wanted if e in mention.entities)
            longer = [name for _, name in wanted if len(name) > len(piece)]
            assert not any(matches(list(name), spelled[first : first + len(name)], case) for name in longer)
            at = last + 1


@given(text=TEXTS)
def test_words_cover_all_but_white_space_and_do_not_overlap(text):
    there = words(text)
    assert all(text[slice(*span)] == word for word, span in there)
    assert "".join(word for word, _ in there) == "".join(text.split())
    assert all(one[1] <= other[0] for (_, one), (_, other) in pairwise(there))


# --- the rules, one by one


@pytest.mark.parametrize(
    ("text", "words_found"),
    [
        ("He saw New York.", [("New York", "city")]),
        ("He saw New York City.", [("New York City", "whole")]),
        ("He saw New  York\tCity.", [("New  York\tCity", "whole")]),
        ("York and New", []),
        ("Newest Yorkshire, New Yorker", []),
        ("New York New York", [("New York", "city"), ("New York", "city")]),
        ("a New York-based firm", [("New York", "city")]),
        ("new york", []),
        ("NEW YORK", []),
        ("Washington , D.C . is old", [("Washington , D.C .", "capital")]),
        ("Washington, D", []),
    ],
)
def test_longest_at_the_ends_of_words(text, words_found):
    known = matcher(city=facts("New York"), whole=facts("New York City"), capital=facts("Washington, D.C."))
    assert found(known, text) == words_found


@pytest.mark.parametrize(
    ("case", "text", "hits"),
    [
        ("smart", "Cultivar and cultivar and CULTIVAR", 3),
        ("exact", "Cultivar and cultivar and CULTIVAR", 1),
        ("any", "Cultivar and cultivar and CULTIVAR", 3),
        ("smart", "Gull and gull and GULL", 1),
        ("exact", "Gull and gull and GULL", 1),
        ("any", "Gull and gull and GULL", 3),
    ],
)
def test_case(case, text, hits):
    assert len(matcher(case, a=facts("cultivar"), b=facts("Gull")).find(text)) == hits


def test_the_case_of_the_name_is_preferred():
    known = matcher(bird=facts("gull"), boat=facts("Gull"))
    assert found(known, "The Gull, a gull, a GULL") == [("Gull", "boat"), ("gull", "bird"), ("GULL", "bird")]


def test_letters_that_change_their_number_when_folded():
    known = matcher("any", street=facts("Straße"), city=facts("İzmir"))
    assert found(known, "die STRASSE in İZMIR, straße") == [
        ("STRASSE", "street"),
        ("İZMIR", "city"),
        ("straße", "street"),
    ]


@pytest.mark.parametrize(
    ("name", "text", "hit"),
    [
        ("東京", "彼は東京に住む", True),
        ("京に", "彼は東京に住む", True),
        ("Cafe", "Café", False),
        ("Café", "in the Café.", True),
        ("हिन", "हिन्दी", False),
        ("हिन्दी", "यह हिन्दी है", True),
    ],
)
def test_scripts(name, text, hit):
    assert bool(matcher(a=facts(name)).find(text)) == hit


@pytest.mark.parametrize(
    ("ambiguous", "georgia", "sakartvelo"),
    [("label", ("country",), ("country", "film")), ("skip", ("country", "state"), ("country", "film"))],
)
def test_a_label_wins_over_an_alias(ambiguous, georgia, sakartvelo):
    known = matcher(
        ambiguous=ambiguous,
        country=facts("Georgia", "Sakartvelo"),
        state=facts("State of Georgia", "Georgia"),
        film=facts("My Film", "Sakartvelo"),
    )
    assert [mention.entities for mention in known.find("Georgia Sakartvelo")] == [georgia, sakartvelo]


def test_names_that_are_of_no_use_are_counted():
    entities = {"a": facts("x", "xy", ""), "b": facts(""), "c": facts("-"), "d": facts("", "dd")}
    names = Names.of(entities.items())
    assert names.skipped == {"entity without a name": 1, "name that is too short": 2}
    assert (len(names), names.ambiguous) == (2, 0)


@pytest.mark.parametrize(
    ("case", "common", "names_kept"),
    [("smart", {"us", "it"}, 2), ("exact", {"us", "it"}, 2), ("any", {"us", "it"}, 1), ("smart", (), 4)],
)
def test_common_words_are_no_names_unless_in_capitals(case, common, names_kept):
    names = Names.of([("a", facts("It", "it", "Item")), ("b", facts("US"))], case, common=common)
    assert len(names) == names_kept
    assert names.skipped == ({"name that is a common word": 5 - 1 - names_kept} if common else {})


@pytest.mark.parametrize("option", [{"case": "lower"}, {"ambiguous": "popular"}])
def test_unknown_options(option):
    with pytest.raises(DataError, match=r"is unknown; choose one of: "):
        Names.of([], **option)
