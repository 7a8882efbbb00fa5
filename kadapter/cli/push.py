"""`kadapter push`: a saved adapter, run or model goes to the Hugging Face Hub."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kadapter.cli.options import Json, print_json


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command(name="push")(push)


def push(
    folder: Annotated[Path, typer.Argument(help="Folder of a saved adapter, a run or a model.")],
    repository: Annotated[str, typer.Argument(help="user/name; is made if it is not there.")],
    private: Annotated[bool, typer.Option("--private", help="A new repository is for its owner alone.")] = False,
    revision: Annotated[str | None, typer.Option(help="Branch; is made if it is not there. Default: main.")] = None,
    message: Annotated[str | None, typer.Option(help="Of the commit.")] = None,
    json: Json = False,
) -> None:
    """Put a saved adapter, run or model on the Hugging Face Hub: weights, description and card."""
    from kadapter.hub import push_to_hub

    commit = push_to_hub(folder, repository, private or None, revision, message)
    if json:
        print_json({"url": str(commit.commit_url), "revision": commit.oid})
        return
    typer.echo(f"{commit.commit_url}\nLoad this very commit as {repository}@{commit.oid}")
