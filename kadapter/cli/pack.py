"""`kadapter pack`: saved adapters become a wheel; pip install it, and their knowledge is a name."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kadapter.cli.options import Json, print_facts, print_json


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command(name="pack")(pack)


def pack(
    folders: Annotated[list[Path], typer.Argument(help="Saved adapters or runs: one for each backbone.")],
    name: Annotated[str, typer.Option(help="Of the distribution: kadapter-geo.")],
    knowledge: Annotated[str | None, typer.Option(help="What it is plugged as. Default: as it was saved.")] = None,
    version: Annotated[str, typer.Option(help="Of the distribution.")] = "0.1.0",
    licence: Annotated[str | None, typer.Option(help="Of the weights. Default: the card's, or the data's.")] = None,
    description: Annotated[str | None, typer.Option(help="What it is, in one line.")] = None,
    source: Annotated[bool, typer.Option("--source", help="Write the source project beside the wheel.")] = False,
    output: Annotated[Path, typer.Option(help="Folder for the wheel.")] = Path("dist"),
    json: Json = False,
) -> None:
    """Make a wheel of saved adapters, for pip to install."""
    from kadapter.wheel import pack

    packed = pack(folders, name, knowledge, version, licence, description, source, output)
    facts = {
        "wheel": str(packed.wheel),
        "source": str(packed.source) if packed.source else None,
        "knowledge": packed.knowledge,
        "backbones": list(packed.backbones),
        "requires": list(packed.requires),
        "files": list(packed.files),
    }
    if json:
        print_json(facts)
        return
    shown = {what: ", ".join(value) if isinstance(value, list) else value for what, value in facts.items() if value}
    print_facts(f"Packed: {packed.wheel.name}", shown)
    typer.echo(f"Use it: pip install {packed.wheel}")
