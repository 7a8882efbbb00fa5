"""`kadapter plugins`: what is installed, from which package; what failed and why."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import typer

from kadapter.cli.options import Json, print_json, print_table


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command(name="plugins")(plugins)


def plugins(json: Json = False) -> None:
    """Show what is installed, from which package and version; what failed, and why."""
    from kadapter.registry import default_registry

    registry = default_registry()
    rows = [
        {"kind": kind, "name": name, "distribution": plugin.distribution, "version": plugin.version}
        for plugin in registry.plugins
        for kind, names in plugin.provides.items()
        for name in names
    ]
    licences = {name: alias.licence for name, alias in registry.backbones.items()}
    failures = [asdict(failure) for failure in registry.failures]
    if json:
        print_json({"provides": rows, "licences": licences, "failures": failures})
        return
    _print_provided(rows, licences)
    for failure in registry.failures:
        typer.secho(f"failed: {failure}", fg="red")


def _print_provided(rows: list[dict[str, Any]], licences: dict[str, str]) -> None:
    lines = [
        (r["kind"], r["name"], f"{r['distribution']} {r['version']}", _licence(r, licences))
        for r in sorted(rows, key=lambda r: (r["kind"], r["name"]))
    ]
    print_table("Installed", ("kind", "name", "from", "licence of the weights"), lines)


def _licence(row: dict[str, Any], licences: dict[str, str]) -> str:
    return licences.get(row["name"], "") if row["kind"] == "backbone" else ""
