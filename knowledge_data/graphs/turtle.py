"""Turtle, read by rdflib, which need not be installed."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from knowledge_data.errors import DataError
from knowledge_data.graphs.ntriples import Statement
from knowledge_data.graphs.scan import Scan, bad_text
from knowledge_data.streams import NO_TEXT

if TYPE_CHECKING:
    from rdflib import Graph

_SERIAL = re.compile(r"(\d+)$")


def scan_turtle(scan: Scan) -> Iterator[Statement]:
    """Every statement of a file, in the order of their texts, whatever order they stand in.

    Relative IRIs begin with `file:///`, wherever the file lies. Blank nodes are numbered in the order of the file.

    Raises:
        DataError: rdflib is not installed, or the file is no Turtle.
    """
    graph = _parsed(scan)
    names = _blank_names(graph, Path(scan.member.name).name.split(".")[0])
    for statement in sorted(_statement(parts, names) for parts in graph):
        if problem := bad_text(statement.subject, statement.relation, statement.object):
            scan.complain(NO_TEXT, DataError(problem, "correct the escapes", where=scan.member.name))
        else:
            yield statement


def _parsed(scan: Scan) -> Graph:
    try:
        from rdflib import Graph
    except ImportError as error:
        problem, fix = "is Turtle, which rdflib reads, and that is not installed", "pip install 'kadapter[rdf]'"
        raise DataError(problem, fix, where=scan.member.name) from error
    with scan.member.opened() as file:
        content = file.read()
    try:
        # Its parser stumbles in many ways over what is no Turtle; the file is at fault in all.
        return Graph().parse(data=content, format="turtle", publicID=f"file:///{Path(scan.member.name).name}")
    except Exception as error:
        raise _no_turtle(error, scan) from error


def _no_turtle(error: Exception, scan: Scan) -> DataError:
    line = getattr(error, "lines", None)
    where = scan.at(line + 1) if isinstance(line, int) else scan.member.name
    reason = " ".join(str(getattr(error, "_why", error)).split())[:200] or type(error).__name__
    fix = "correct it there, or convert it to N-Triples, where bad lines can be skipped one by one"
    return DataError(f"is not Turtle ({reason})", fix, where=where)


def _blank_names(graph: Graph, stem: str) -> Mapping[Any, str]:
    """A name for each blank node that is the same whenever the file is read; rdflib draws them at random."""
    from rdflib import BNode

    blank = {part for parts in graph for part in parts if isinstance(part, BNode)}
    in_order = sorted(blank, key=lambda node: (int(found[1]) if (found := _SERIAL.search(node)) else 0, node))
    return {node: f"_:{stem}-{number}" for number, node in enumerate(in_order, start=1)}


def _statement(parts: tuple[Any, Any, Any], names: Mapping[Any, str]) -> Statement:
    from rdflib import Literal

    subject, relation, object_ = (names.get(part, str(part)) for part in parts)
    literal = isinstance(parts[2], Literal)
    language = str(parts[2].language or "").lower() if literal else ""
    return Statement(0, subject, relation, object_, literal, language)
