"""`kadapter data inspect`: what a graph is like."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from kadapter.cli.data.reading import Graph, OnError, Published, Set, read
from kadapter.cli.options import Json, print_facts, print_json, print_table

_MOST = 20
"""Rows of a table; JSON has all."""


def add_to(group: typer.Typer) -> None:
    """Add the command."""
    group.command(name="inspect")(inspect)


def inspect(
    graph: Graph,
    published: Published = None,
    share: Annotated[float, typer.Option(help="Of its edges, from which on a relation counts as like another.")] = 0.8,
    output: Annotated[Path | None, typer.Option(help="Folder for graph.json and graph.png.")] = None,
    on_error: OnError = "raise",
    set_: Set = None,
    json: Json = False,
) -> None:
    """Say what a graph holds: degrees, components, relations and their inverses, what has no name, what was skipped."""
    from knowledge_data import describe_graph

    report = describe_graph(read(graph, published, on_error, set_), share)
    if output is not None:
        _write(report, output)
    if json:
        print_json(report)
        return
    print_facts(str(graph), _facts(report))
    _print_relations(report["relation_counts"])
    _print_pairs(report)


def _write(report: Mapping[str, Any], output: Path) -> None:
    from kadapter.files import write_json
    from kadapter.plots import plot_graph

    write_json(output / "graph.json", report)
    plot_graph(report, output / "graph.png")


def _facts(report: Mapping[str, Any]) -> dict[str, str]:
    degrees, components, missing, read = (report[name] for name in ("degrees", "components", "missing", "read"))
    lacking = (f"{what} {count:,}" for what, count in missing.items() if what != "relation_label")
    skipped = "; ".join(f"{count:,} {reason}" for reason, count in read["skipped"].items())
    largest = ", ".join(f"{size:,}" for size in components["largest"][:5])
    return {
        "entities": f"{report['entities']:,}",
        "triples": f"{report['triples']:,}",
        "relations": f"{report['relations']:,}",
        "degree": "{minimum} to {maximum:,}, mean {mean:.1f}, median {median:g}".format(**degrees),
        "components": f"{components['count']:,}; the largest: {largest}",
        "symmetric relations": ", ".join(entry["relation"] for entry in report["symmetric"]) or "none",
        "entities without": ", ".join(lacking),
        "relations without label": f"{missing['relation_label']:,}",
        "left out": skipped or "nothing",
        "licence": report["licence"] or "not said",
    }


def _print_relations(counts: Mapping[str, Mapping[str, Any]]) -> None:
    rows = [
        (name, said["label"], *(f"{said[key]:,}" for key in ("triples", "subjects", "objects")))
        for name, said in list(counts.items())[:_MOST]
    ]
    print_table(f"Relations{_of(len(counts))}", ("relation", "label", "triples", "subjects", "objects"), rows)


def _print_pairs(report: Mapping[str, Any]) -> None:
    for kind, title in (("inverse", "reversed by"), ("duplicate", "also there with")):
        pairs = report[kind]
        if pairs:
            rows = [
                (pair["relation"], pair["other"], f"{pair['edges']:,}", f"{100 * pair['share']:.1f}")
                for pair in pairs[:_MOST]
            ]
            print_table(f"Edges {title} another relation{_of(len(pairs))}", ("relation", title, "edges", "%"), rows)


def _of(count: int) -> str:
    return f", the first {_MOST} of {count:,}" if count > _MOST else ""
