"""`kadapter new plugin`: a folder that installs, passes its tests at once, and has one place to fill in."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kadapter.errors import ConfigError

_app = typer.Typer(name="new", help="Write something new, to be filled in.", no_args_is_help=True)

Type = Annotated[str | None, typer.Option(help="It gives a type of adapter of this name. The default.")]
TaskName = Annotated[str | None, typer.Option("--task", help="It gives a task of this name.")]
SourceName = Annotated[str | None, typer.Option("--source", help="It gives a source of knowledge of this name.")]
KnowledgeName = Annotated[str | None, typer.Option("--knowledge", help="It gives a kind of knowledge of this name.")]


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.add_typer(_app)


@_app.callback()
def new() -> None:
    """Write something new, to be filled in."""


@_app.command()
def plugin(
    name: Annotated[str, typer.Argument(help="What pip will call it: kadapter-mine.")],
    type: Type = None,
    task: TaskName = None,
    source: SourceName = None,
    knowledge: KnowledgeName = None,
    output: Annotated[Path | None, typer.Option(help="A new or empty folder. Default: NAME, here.")] = None,
) -> None:
    """Write a plugin that works: install it, run its tests, then fill in the marked place.

    Without --type, --task, --source or --knowledge it gives a type of adapter that is called as the plugin is.
    """
    from kadapter.authoring import module_file, new_plugin

    kind, thing = _chosen({"type": type, "task": task, "source": source, "knowledge": knowledge})
    folder = new_plugin(name, kind, thing, output)
    typer.echo(f"{folder} is written. Fill in the marked place of {module_file(folder, name)}; then")
    typer.echo(f"  pip install -e {folder} && pytest {folder}")


def _chosen(said: dict[str, str | None]) -> tuple[str, str | None]:
    given = [(kind, name) for kind, name in said.items() if name is not None]
    if len(given) > 1:
        raise ConfigError(f"--{' and --'.join(kind for kind, _ in given)}: a new plugin gives one thing; choose one")
    return given[0] if given else ("type", None)
