"""`kadapter demo`: the main job on an embedded backbone, start to end, in minutes, offline."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command(name="demo")(demo)


def demo(
    output: Annotated[Path, typer.Option(help="Folder for the adapter and its controls.")] = Path("kadapter-demo"),
    backbone: Annotated[str, typer.Option(help="Alias, folder or hub id.")] = "minilm",
    knowledge: Annotated[str, typer.Option(help="Which installed kind of knowledge.")] = "geo",
    epochs: Annotated[int | None, typer.Option(help="Passes over the training split.")] = None,
) -> None:
    """Pretrain an adapter on facts about countries, plug it in, measure it beside controls, unplug it."""
    from kadapter.demo import run_demo

    run_demo(output, backbone, knowledge, epochs)
