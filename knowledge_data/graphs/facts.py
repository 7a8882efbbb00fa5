"""What is known of entities and relations, from side files: labels, aliases, types, descriptions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from knowledge_data.errors import DataError
from knowledge_data.graphs.columns import WRONG_COLUMNS
from knowledge_data.graphs.folders import format_of
from knowledge_data.graphs.graph import EntityFacts, RelationFacts
from knowledge_data.graphs.ntriples import scan_statements
from knowledge_data.graphs.rdf_facts import RdfFacts
from knowledge_data.graphs.scan import Scan
from knowledge_data.graphs.side_files import FIELDS, SIDE_FORMATS, Entry, scan_entries
from knowledge_data.members import Member
from knowledge_data.records import Record
from knowledge_data.streams import complaints

Paths = str | Path | Sequence[str | Path] | None
"""A side file, several, or none."""

SAYS_NOTHING = "entry of a side file that says nothing"
BAD_VALUE = "entry of a side file with a wrong value"

_LISTS = ("aliases", "types")

_NOTHING = EntityFacts()


def read_entities(
    *,
    entities: Paths = None,
    labels: Paths = None,
    aliases: Paths = None,
    types: Paths = None,
    descriptions: Paths = None,
    id_field: str | None = None,
    on_error: str = "raise",
    report: Counter[str] | None = None,
) -> dict[str, EntityFacts]:
    """Give what side files say of entities, by id.

    A file is one of these, plain or gzipped: a table (an id and a text a line, tabs in `.tsv` and `.txt`, commas in
    `.csv`; or with a line of names, such as `id`, `label`, `aliases`); JSON (id -> a text, a list of texts, or an
    object with named fields; or a list of objects); JSON lines; N-Triples. In a table `|` separates several aliases or
    types in a cell. What is said first of an entity's label and description stays; aliases and types add up.

    Args:
        entities: files from which all that they say is taken.
        labels: files of which only labels are taken, and so on.
        aliases: the same.
        types: the same.
        descriptions: the same.
        id_field: the field or column that holds the id; by default the key, the first cell, or `id`, `entity` …
        on_error: `raise` at an entry that cannot be read, or `skip` it and count it in `report`.
        report: counts what is left out, by reason.

    Raises:
        DataError: a file does not exist or an entry is not what it should be.
    """
    skipped: Counter[str] = Counter() if report is None else report
    given = {"label": labels, "aliases": aliases, "types": types, "description": descriptions}
    facts: dict[str, EntityFacts] = {}
    for wanted, paths in (("", entities), *given.items()):
        for path in each(paths):
            scan = Scan(Member.of(path), complaints(on_error, skipped), skipped)
            for identifier, known in _scan_facts(scan, wanted, id_field):
                if known == _NOTHING:
                    skipped[SAYS_NOTHING] += 1
                else:
                    facts[identifier] = merged(facts[identifier], known) if identifier in facts else known
    return facts


def read_relations(
    paths: Paths, *, on_error: str = "raise", report: Counter[str] | None = None
) -> dict[str, RelationFacts]:
    """Give what side files say of relations, by id: their labels and descriptions.

    The files are as those of `read_entities`; a table may have a third cell, a list a second text: the description.

    Raises:
        DataError: as `read_entities`.
    """
    known = read_entities(entities=paths, on_error=on_error, report=report)
    facts = {name: RelationFacts(said.label, said.description) for name, said in known.items()}
    return {name: said for name, said in facts.items() if said != RelationFacts()}


def merged(first: EntityFacts, second: EntityFacts) -> EntityFacts:
    """Give what both say; what the first says stays."""
    return EntityFacts(
        first.label or second.label,
        _united(first.aliases, second.aliases),
        _united(first.types, second.types),
        first.description or second.description,
    )


def each(paths: Paths) -> list[str | Path]:
    """Give the paths as a list."""
    if paths is None:
        return []
    return [paths] if isinstance(paths, (str, Path)) else list(paths)


def _united(first: tuple[str, ...], second: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(first + second)) if first and second else first or second


def _scan_facts(scan: Scan, wanted: str, id_field: str | None) -> Iterator[tuple[str, EntityFacts]]:
    if format_of(Path(scan.member.name), SIDE_FORMATS) == "nt":
        found = RdfFacts(scan.skipped)
        for statement in scan_statements(scan):
            found.take(statement)
        yield from ((name, _only(known, wanted)) for name, known in found.facts().items())
        return
    for entry in scan_entries(scan, id_field):
        try:
            yield entry.identifier, _facts(entry, wanted)
        except DataError as error:
            scan.complain(WRONG_COLUMNS if isinstance(entry.value, list) else BAD_VALUE, error)


def _only(known: EntityFacts, wanted: str) -> EntityFacts:
    return known if not wanted else _known({wanted: getattr(known, wanted)})


def _facts(entry: Entry, wanted: str) -> EntityFacts:
    """What an entry says: all, or the wanted field."""
    if isinstance(entry.value, dict):
        return facts_of_fields(entry.record(), (wanted,) if wanted else tuple(FIELDS), entry.table)
    record = Record({"value": entry.value}, entry.where)
    texts = record.items("value", str) if isinstance(entry.value, list) else [record.get("value", str)]
    if wanted in _LISTS:
        return _known({wanted: _several(texts, entry.table)})
    if not texts or len(texts) > (1 if wanted and (entry.table or wanted == "description") else 2):
        problem = f"has {len(texts)} texts but must have one"
        raise DataError(problem, "give an id and a text, and perhaps a description", where=entry.where)
    if wanted:
        return _known({wanted: texts[0].strip()})
    return EntityFacts(label=texts[0].strip(), description="".join(texts[1:]).strip())


def facts_of_fields(record: Record, wanted: Iterable[str] = tuple(FIELDS), table: bool = False) -> EntityFacts:
    """Give what the named fields of a record say; a field that is missing or null says nothing.

    In a table a text may hold several aliases or types.

    Raises:
        DataError: a field holds no text, or no list of texts.
    """
    values = {name: _value(record, name, table) for name in wanted}
    return _known({name: value for name, value in values.items() if value})


def _known(fields: Mapping[str, Any]) -> EntityFacts:
    return EntityFacts(**fields)


def _value(record: Record, name: str, table: bool) -> str | tuple[str, ...]:
    field = next((field for field in FIELDS[name] if record.values.get(field) is not None), None)
    if field is None:
        return ""
    if name not in _LISTS:
        return record.get(field, str).strip()
    value = record.values[field]
    return _several(record.items(field, str) if isinstance(value, list) else [record.get(field, str)], table)


def _several(texts: Iterable[str], table: bool) -> tuple[str, ...]:
    parts = (part.strip() for text in texts for part in (text.split("|") if table else [text]))
    return tuple(dict.fromkeys(filter(None, parts)))
