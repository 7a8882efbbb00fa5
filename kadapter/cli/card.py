"""`kadapter card`: write the card of a saved adapter anew, with a ledger's figures and its author's words."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kadapter.cli.options import Json, print_json


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command(name="card")(card)


def card(
    folder: Annotated[Path, typer.Argument(help="Folder of a saved adapter or a run.")],
    ledger: Annotated[
        Path | None, typer.Option(help="Default: ledger.json or controls/ledger.json in the folder, if there is one.")
    ] = None,
    row: Annotated[
        str | None, typer.Option(help="Of the ledger that is this adapter. Default: that of its name.")
    ] = None,
    about: Annotated[str | None, typer.Option(help="What it knows, in a sentence or two.")] = None,
    licence: Annotated[
        str | None, typer.Option(help="Of the adapter, as the Hub writes it: cc-by-sa-4.0, mit …")
    ] = None,
    language: Annotated[list[str] | None, typer.Option(help="Code (en, de …); may be repeated.")] = None,
    dataset: Annotated[list[str] | None, typer.Option(help="Id of a data set on the Hub; may be repeated.")] = None,
    json: Json = False,
) -> None:
    """Write the card (README.md) of a saved adapter anew: with the figures of a ledger and what you add."""
    from kadapter.describing import complete_card

    own = {"about": about, "licence": licence, "language": language, "datasets": dataset}
    said = complete_card(folder, ledger, row, **own)
    print_json(said) if json else typer.echo(f"Wrote {folder / 'README.md'}")
