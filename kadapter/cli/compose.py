"""`kadapter compose`: adapters side by side become one saved model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kadapter.cli.options import Json, named_adapters, print_facts, print_json

_HELP = "How features are mixed; see `kadapter plugins`. Default: concat; alone for one adapter that edits."


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command(name="compose")(compose)


def compose(
    adapters: Annotated[list[str], typer.Argument(help="FOLDER, NAME=FOLDER, or installed knowledge.")],
    output: Annotated[Path, typer.Option(help="Folder of the model; new or empty.")],
    backbone: Annotated[str | None, typer.Option(help="Default: what the adapters were trained on.")] = None,
    composition: Annotated[str | None, typer.Option(help=_HELP)] = None,
    json: Json = False,
) -> None:
    """Plug adapters side by side and save the model: fine-tune it, or load it in Python."""
    from kadapter.composing import compose

    model = compose(named_adapters(adapters), output, backbone, {"name": composition} if composition else None)
    mixed = model.composition.name
    facts = {"backbone": model.backbone.info.name, "adapters": list(model.plugged), "composition": mixed}
    if json:
        print_json({"model": str(output), **facts})
        return
    print_facts(f"Composed: {output}", facts)
