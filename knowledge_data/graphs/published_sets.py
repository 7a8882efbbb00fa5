"""Graphs as they are published: which files of a set hold what, and under which licence."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from knowledge_data.errors import DataError
from knowledge_data.graphs.facts import read_entities
from knowledge_data.graphs.graph import EntityFacts, KnowledgeGraph
from knowledge_data.graphs.reading import read_graph

_COLLECTION = "MIT (the collection)"

Facts = Callable[[Path], Mapping[str, EntityFacts]]
"""Gives what is known of entities that no side file says as such."""


@dataclass(frozen=True)
class PublishedSet:
    """A set of files that holds a graph.

    Attributes:
        folder: what its folder is usually called.
        triples: the folder or file of the triples, inside that.
        licence: under which it stands.
        sides: argument of `read_graph` -> file inside the folder.
        facts: what is known of entities but stands in no side file of its own; given the folder.
        names: makes labels of ids, where ids are readable.
    """

    folder: str
    triples: str
    licence: str
    sides: Mapping[str, str] = field(default_factory=dict)
    facts: Facts | None = None
    names: Callable[[str], str] | None = None


def _wordnet_facts(folder: Path) -> dict[str, EntityFacts]:
    """Of `stool, solid excretory product`, the words before the first comma are the label."""
    read = read_entities(descriptions=folder / "entity2text.txt")
    parts = ((name, facts.description.partition(", ")) for name, facts in read.items())
    return {name: EntityFacts(label=label, description=rest or label) for name, (label, _, rest) in parts}


def _synset_label(name: str) -> str:
    """Of `land_reform.n.01`, `land reform`."""
    return name.rsplit(".", 2)[0].replace("_", " ")


_CODEX_SIDES = {"labels": "types_en.json", "types": "entity2types.json", "relations": "relations_en.json"}
_CODEX_LICENCE = "MIT; facts from Wikidata (CC0)"
_WORDNET_LICENCE = "WordNet licence; the collection MIT, the definitions Apache-2.0"
_RELATIONS = {"relations": "relation2text.txt"}
_UMLS_SIDES = {"labels": "entity2text.txt", "descriptions": "entity2textlong.txt", **_RELATIONS}

GRAPHS: Mapping[str, PublishedSet] = {
    "codex-m": PublishedSet("codex", "codex-m", _CODEX_LICENCE, _CODEX_SIDES),
    "codex-s": PublishedSet("codex", "codex-s", _CODEX_LICENCE, _CODEX_SIDES),
    "fb15k237": PublishedSet(
        "fb15k237_entities",
        ".",
        f"{_COLLECTION}; Freebase triples CC BY 2.5, Wikidata names CC0",
        {"entities": "entity2wikidata.json"},
    ),
    "kinships": PublishedSet("small_kgs/kinships", ".", _COLLECTION),
    "nations": PublishedSet("small_kgs/nations", ".", _COLLECTION),
    "umls": PublishedSet("small_kgs/umls", ".", f"{_COLLECTION}; texts Apache-2.0", _UMLS_SIDES),
    "wn18rr": PublishedSet("wn18rr", ".", _WORDNET_LICENCE, _RELATIONS, names=_synset_label),
    "wn18rr-ids": PublishedSet("wn18rr", "synset_ids", _WORDNET_LICENCE, _RELATIONS, facts=_wordnet_facts),
}
"""Name -> the set, as its publishers lay out its files."""


def read_published_graph(name: str, folder: str | Path, *, on_error: str = "raise") -> KnowledgeGraph:
    """Read a graph of `GRAPHS` with all that its set says of entities and relations.

    `folder` is where the set's files lie. CoDEx comes without names of entities: only those that are types of others
    have labels. WN18RR in names takes its labels from the names.

    Raises:
        DataError: there is no such graph, a file is missing or is not what it should be.
    """
    if name not in GRAPHS:
        raise DataError(f"there is no published graph {name!r} here", f"choose {', '.join(GRAPHS)}")
    chosen, folder = GRAPHS[name], Path(folder)
    graph = read_graph(
        folder / chosen.triples,
        entities=chosen.facts(folder) if chosen.facts else _side(chosen, folder, "entities"),
        labels=_side(chosen, folder, "labels"),
        types=_side(chosen, folder, "types"),
        descriptions=_side(chosen, folder, "descriptions"),
        relations=_side(chosen, folder, "relations"),
        on_error=on_error,
        source=f"{name}: {folder}",
        licence=chosen.licence,
    )
    if chosen.names:
        for node, known in graph.network.nodes(data=True):
            known.setdefault("label", chosen.names(node))
    return graph


def _side(chosen: PublishedSet, folder: Path, name: str) -> Path | None:
    return folder / chosen.sides[name] if name in chosen.sides else None
