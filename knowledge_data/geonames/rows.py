"""Facts about countries as marked sentences, split so that memory and phrasing can be told apart."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator

import networkx as nx
from datasets import Dataset, DatasetDict

from knowledge_data.draws import rank
from knowledge_data.errors import DataError
from knowledge_data.geonames.graph import country_graph
from knowledge_data.geonames.phrasings import HELD_OUT, TRAINING
from knowledge_data.geonames.statements import Statement, false_statements, true_statements
from knowledge_data.reading import Reading, ReadReport, gather
from knowledge_data.rows import NO_RELATION, RelationRow, columns
from knowledge_data.split import split_by_group, unordered
from knowledge_data.templates import Entity, say

_TRAINING = frozenset(phrasing for phrasings in TRAINING.values() for phrasing in phrasings)
_HELD_OUT = frozenset(phrasing for phrasings in HELD_OUT.values() for phrasing in phrasings)
_RELATION_OF = {
    phrasing: relation
    for phrasings_of in (TRAINING, HELD_OUT)
    for relation, phrasings in phrasings_of.items()
    for phrasing in phrasings
}
UNIQUE = frozenset({"capital", "continent", "currency"})
"""The relations that a country has to one thing only."""


def geonames_rows(seed: int = 0, negatives: float = 1.0, min_population: int = 1_000_000) -> Reading:
    """Every statement about the larger countries in every phrasing of its relation.

    The subject is always a country. A false statement is said in the phrasings of the relation that it denies
    and has the label `no_relation`: only who knows the fact can tell.

    Args:
        seed: of the choice of false statements.
        negatives: how many false statements for each true one.
        min_population: of the countries to speak of.

    Raises:
        DataError: `negatives` is below 0, or no country is so large.
    """
    if negatives < 0:
        raise DataError(f"negatives={negatives} is below 0", "give how many to add for each true statement")
    graph = country_graph()
    truths = true_statements(graph, seed, min_population)
    if not truths:
        raise DataError(f"min_population={min_population} leaves no country", "give a smaller number")
    statements = [*truths, *false_statements(graph, truths, seed, negatives)]
    reading = gather(RelationRow, (row for statement in statements for row in _phrasings(graph, statement)))
    return Reading(reading.rows, reading.report + ReadReport(skipped=graph.graph["skipped"]))


def geonames_splits(
    seed: int = 0, phrasings: int = 4, negatives: float = 1.0, min_population: int = 1_000_000
) -> DatasetDict:
    """What countries are like, to teach and to test.

    - `train`: training pairs, each in `phrasings` of the training phrasings;
    - `validation`: other pairs, in training phrasings;
    - `test`: still other pairs, in the three held-out phrasings of their relation;
    - `known`: the training pairs, each in one held-out phrasing: is what was taught recalled in other words?

    No pair of country and object, said truly or falsely, is in two of `train`, `validation` and `test`. Of what a
    country has only one (capital, continent, currency), all statements about that country are in the same one: else
    who was taught the true capital would know the false ones by elimination.

    Raises:
        DataError: `phrasings` is below 1, or as `geonames_rows`.
    """
    if phrasings < 1:
        raise DataError(f"phrasings={phrasings}", "say each pair in at least 1 phrasing")
    rows = geonames_rows(seed, negatives, min_population).rows
    parts = split_by_group(rows, _groups(rows), seed)
    return DatasetDict(
        train=_choose(parts["train"], _TRAINING, phrasings, seed),
        validation=_choose(parts["validation"], _TRAINING, phrasings, seed),
        test=_choose(parts["test"], _HELD_OUT, len(_HELD_OUT), seed),
        known=_choose(parts["train"], _HELD_OUT, 1, seed),
    )


def _groups(rows: Dataset) -> list[tuple[str, str]]:
    """What must stay together with each row: the country's one capital (continent, currency), or the pair."""
    said = columns(rows, "subject_id", "object_id", "phrasing")
    return [_group(subject, _RELATION_OF[phrasing], object_) for subject, object_, phrasing in said]


def _group(subject: str, relation: str, object_: str) -> tuple[str, str]:
    return (subject, relation) if relation in UNIQUE else unordered(subject, object_)


def _phrasings(graph: nx.MultiDiGraph, statement: Statement) -> Iterator[RelationRow]:
    subject, object_ = (
        Entity(node, graph.nodes[node]["name"], graph.nodes[node]["article"])
        for node in (statement.subject, statement.object)
    )
    for template in TRAINING[statement.relation] + HELD_OUT[statement.relation]:
        yield say(template, subject, object_, statement.relation if statement.holds else NO_RELATION)


def _choose(rows: Dataset, phrasings: Collection[str], count: int, seed: int) -> Dataset:
    """At most `count` rows of each pair, in some of these phrasings, drawn by the seed."""
    ranked: defaultdict[tuple[str, str], list[tuple[bytes, int]]] = defaultdict(list)
    said = columns(rows, "subject_id", "object_id", "phrasing")
    for number, (subject, object_, phrasing) in enumerate(said):
        if phrasing in phrasings:
            ranked[subject, object_].append((rank(seed, subject, object_, phrasing), number))
    return rows.select(sorted(number for pair in ranked.values() for _, number in sorted(pair)[:count]))
