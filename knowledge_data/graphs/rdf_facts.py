"""What RDF says of things beside their relations: labels, other names, types, descriptions."""

from __future__ import annotations

from collections import Counter

from knowledge_data.graphs.graph import EntityFacts
from knowledge_data.graphs.ntriples import LITERAL, Statement

_RDFS = "http://www.w3.org/2000/01/rdf-schema#"
_SKOS = "http://www.w3.org/2004/02/skos/core#"
_TERMS = "http://purl.org/dc/terms/"
_SCHEMA = ("http://schema.org/", "https://schema.org/")

TYPE = "http://www.w3.org/1999/02/22-rdf-syntax-ns#type"
SUBCLASS = f"{_RDFS}subClassOf"
IMPORTS = "http://www.w3.org/2002/07/owl#imports"

_FIELDS = {
    f"{_RDFS}label": "label",
    f"{_SKOS}prefLabel": "label",
    "http://xmlns.com/foaf/0.1/name": "label",
    f"{_TERMS}title": "label",
    f"{_SKOS}altLabel": "aliases",
    f"{_RDFS}comment": "description",
    f"{_SKOS}definition": "description",
    f"{_TERMS}description": "description",
    **{f"{schema}name": "label" for schema in _SCHEMA},
    **{f"{schema}alternateName": "aliases" for schema in _SCHEMA},
    **{f"{schema}description": "description" for schema in _SCHEMA},
}
"""Property -> field of `EntityFacts`."""

TAKEN = "literal: kept as a label, alias or description"
OTHER_LANGUAGE = "literal: in another language, kept only where there is no English label or description"

LANGUAGE = "en"


class RdfFacts:
    """Gathers what statements say of entities: in English or in no language; where there is none, in another.

    Args:
        skipped: counts the statements that become no edge, by reason.
    """

    def __init__(self, skipped: Counter[str]) -> None:
        self._skipped = skipped
        self._texts: dict[tuple[str, str], str] = {}
        self._others: dict[tuple[str, str], str] = {}
        self._lists: dict[tuple[str, str], dict[str, None]] = {}

    def take(self, statement: Statement) -> None:
        """Take what a statement says of its subject; count a literal."""
        field = _FIELDS.get(statement.relation) if statement.literal else None
        if statement.relation == TYPE and not statement.literal:
            self._add("types", statement)
        elif field is not None and statement.object.strip():
            self._take_text(field, statement)
        elif statement.literal:
            self._skipped[LITERAL] += 1

    def facts(self) -> dict[str, EntityFacts]:
        """Give what is known of each entity."""
        known: dict[str, dict[str, str | tuple[str, ...]]] = {}
        for (name, field), text in {**self._others, **self._texts}.items():
            known.setdefault(name, {})[field] = text
        for (name, field), texts in self._lists.items():
            known.setdefault(name, {})[field] = tuple(texts)
        return {name: EntityFacts(**fields) for name, fields in known.items()}  # type: ignore[arg-type]

    def _take_text(self, field: str, statement: Statement) -> None:
        here = not statement.language or statement.language.split("-")[0] == LANGUAGE
        if field == "aliases":
            if here:
                self._add(field, statement)
        else:
            (self._texts if here else self._others).setdefault((statement.subject, field), statement.object.strip())
        self._skipped[TAKEN if here else OTHER_LANGUAGE] += 1

    def _add(self, field: str, statement: Statement) -> None:
        self._lists.setdefault((statement.subject, field), {})[statement.object.strip()] = None
