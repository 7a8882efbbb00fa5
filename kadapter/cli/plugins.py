"""`kadapter plugins`: what is installed, from which package; what failed and why."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from kadapter.cli.options import Json, print_json, print_table


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command(name="plugins")(plugins)


def plugins(
    refresh: Annotated[bool, typer.Option("--refresh", help="Load every plugin anew, whatever is remembered.")] = False,
    json: Json = False,
) -> None:
    """Show what is installed, from which package and version; what failed, and why."""
    from kadapter.listing import listing
    from kadapter.registry import Failure

    found = listing(refresh)
    if json:
        print_json(found)
        return
    _print_provided(found["provides"], found["licences"])
    for failure in found["failures"]:
        typer.secho(f"failed: {Failure(**failure)}", fg="red")


def _print_provided(rows: list[dict[str, Any]], licences: dict[str, str]) -> None:
    lines = [
        (r["kind"], r["name"], f"{r['distribution']} {r['version']}", _licence(r, licences))
        for r in sorted(rows, key=lambda r: (r["kind"], r["name"]))
    ]
    print_table("Installed", ("kind", "name", "from", "licence of the weights"), lines)


def _licence(row: dict[str, Any], licences: dict[str, str]) -> str:
    return licences.get(row["name"], "") if row["kind"] == "backbone" else ""
