"""Graphs in RDF: N-Triples, and Turtle through rdflib; ontologies that import one another, each read once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote, urlsplit

from knowledge_data.graphs.folders import format_of
from knowledge_data.graphs.graph import RelationFacts
from knowledge_data.graphs.growing import GrowingGraph
from knowledge_data.graphs.ntriples import Statement, scan_statements
from knowledge_data.graphs.rdf_facts import IMPORTS, RdfFacts
from knowledge_data.graphs.scan import Found, Scan
from knowledge_data.graphs.triples import usable
from knowledge_data.graphs.turtle import scan_turtle
from knowledge_data.members import Member

IMPORT = "import of another ontology, which is no edge"
NOT_IMPORTED = "import that is not followed: no file beside this one"

_FORMATS = {".ttl": "ttl", ".nt": "nt"}


def read_rdf(scan: Scan, form: str, growing: GrowingGraph, split: str = "") -> None:
    """Add the statements between entities, and what is said of them, of a file and of the local files that it imports.

    What `owl:imports` names is read when it is a file in the folder of the importing file or below it, each once,
    however they import one another; nothing is ever fetched. Statements about a relation say what that is called.

    Raises:
        DataError: rdflib is needed and missing, or the file is not in its format; or what the scan complains of.
    """
    facts, done = RdfFacts(scan.skipped), {Path(scan.member.name).resolve()}
    waiting = [(scan, form)]
    for scan_of, form_of in waiting:
        statements = _ontology(scan_of, form_of, lambda path: _take_in(path, scan, done, waiting))
        growing.add(usable(_told(statements, facts), scan_of), split)
    known = facts.facts()
    growing.relate({name: RelationFacts(said.label, said.description) for name, said in known.items()})
    growing.know(known)


def _told(statements: Iterator[Statement], facts: RdfFacts) -> Iterator[Found]:
    """The statements between two entities; `facts` hears them all."""
    for statement in statements:
        facts.take(statement)
        if not statement.literal:
            yield statement.line, statement.subject, statement.relation, statement.object


def _ontology(scan: Scan, form: str, follow: Callable[[Path], bool]) -> Iterator[Statement]:
    """The statements of a file, but for its imports, which are followed."""
    for statement in scan_statements(scan) if form == "nt" else scan_turtle(scan):
        if statement.relation != IMPORTS:
            yield statement
        else:
            target = _local(statement.object, Path(scan.member.name))
            scan.skipped[IMPORT if target and follow(target) else NOT_IMPORTED] += 1


def _take_in(path: Path, scan: Scan, done: set[Path], waiting: list[tuple[Scan, str]]) -> bool:
    """Put a file among those that wait to be read, unless it was there before."""
    if path not in done:
        done.add(path)
        waiting.append((replace(scan, member=Member.of(path)), format_of(path, _FORMATS)))
    return True


def _local(target: str, importer: Path) -> Path | None:
    """The file that an import names, if it is one that may be followed."""
    parts = urlsplit(target)
    if parts.scheme not in ("", "file"):
        return None
    folder, named = importer.resolve().parent, unquote(parts.path)
    for path in (Path(named).resolve(), (folder / named.lstrip("/")).resolve()):
        known = Path(path.name.removesuffix(".gz")).suffix in _FORMATS
        if known and path.is_relative_to(folder) and path.is_file():
            return path
    return None
