"""`kadapter store`: what the feature store keeps, whether it is whole, and how to be rid of it."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kadapter.cli.options import Json, print_json, print_table
from kadapter.errors import ConfigError

if TYPE_CHECKING:
    from kadapter.features import Entry

Place = Annotated[Path | None, typer.Option("--store", help="Folder of the store. Default: in the user's cache.")]


def add_to(app: typer.Typer) -> None:
    """Add the group of commands."""
    group = typer.Typer(name="store", help="The states of frozen backbones that are kept.", no_args_is_help=True)
    for command in (list_, remove, verify):
        group.command(name=command.__name__.strip("_"))(command)
    app.add_typer(group)


def list_(store: Place = None, json: Json = False) -> None:
    """Show which data sets are kept, of which backbone, which states, how large, and when they were used last."""
    from kadapter.features import FeatureStore

    there = FeatureStore(store)
    _print(f"Kept in {there.place}", there.entries(), json)


def remove(
    key: Annotated[list[str] | None, typer.Argument(help="As `kadapter store list` shows it.")] = None,
    all_: Annotated[bool, typer.Option("--all", help="Everything.")] = False,
    store: Place = None,
    json: Json = False,
) -> None:
    """Remove what is kept of some data sets; it is computed again when it is needed."""
    from kadapter.features import FeatureStore

    if bool(key) == all_:
        raise ConfigError("say which: keys that `kadapter store list` shows, or --all")
    there = FeatureStore(store)
    _print(f"Removed from {there.place}", there.remove(None if all_ else key), json)


def verify(store: Place = None, json: Json = False) -> None:
    """Compare every shard with its checksum; exit code 1 when one is damaged. The next run computes it again."""
    from kadapter.features import FeatureStore

    there = FeatureStore(store)
    found = there.damaged()
    if json:
        print_json(found)
    else:
        rows = ((key, ", ".join(shards) or "none") for key, shards in found.items())
        print_table(f"Kept in {there.place}", ("key", "damaged shards"), rows)
    if any(found.values()):
        raise typer.Exit(1)


def _print(title: str, entries: list[Entry], json: bool) -> None:
    if json:
        print_json([asdict(entry) for entry in entries])
        return
    heads = ("key", "backbone", "precision", "states", "rows", "tokens", "size", "last used")
    print_table(title, heads, map(_row, entries))


def _row(entry: Entry) -> tuple[str, ...]:
    from kadapter.sizes import in_words

    used = "now" if entry.busy else f"{datetime.fromtimestamp(entry.used):%Y-%m-%d %H:%M}"
    states, counts = ", ".join(map(str, entry.states)), (f"{entry.rows:,}", f"{entry.tokens:,}")
    return (entry.key, entry.backbone, entry.precision, states, *counts, in_words(entry.bytes), used)
