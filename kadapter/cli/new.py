"""`kadapter new plugin`: a folder that installs, passes its tests at once, and has one place to fill in."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from kadapter.errors import ConfigError

_app = typer.Typer(name="new", help="Write something new, to be filled in.", no_args_is_help=True)

Type = Annotated[str | None, typer.Option(help="It gives a type of adapter: this one. The default.")]
TaskName = Annotated[str | None, typer.Option("--task", help="It gives a task: this one.")]
SourceName = Annotated[str | None, typer.Option("--source", help="It gives a source of knowledge: this one.")]
KnowledgeName = Annotated[str | None, typer.Option("--knowledge", help="It gives a kind of knowledge: this one.")]

_UNNAMED = "\0"
"""What an option holds that was said without a name. No word of a command line can hold it."""


class _NamesLeftOut(TyperCommand):
    """A command whose options of kinds need no name after them, which typer has no option for."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the words of the command."""
        return super().parse_args(ctx, [*_with_names(args)])


def _with_names(words: list[str]) -> Iterator[str]:
    for word, following in zip(words, [*words[1:], "-"], strict=True):
        yield word
        if word in ("--type", "--task", "--source", "--knowledge") and following.startswith("-"):
            yield _UNNAMED


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.add_typer(_app)


@_app.callback()
def new() -> None:
    """Write something new, to be filled in."""


@_app.command(cls=_NamesLeftOut)
def plugin(
    name: Annotated[str, typer.Argument(help="What pip will call it: kadapter-mine.")],
    type: Type = None,
    task: TaskName = None,
    source: SourceName = None,
    knowledge: KnowledgeName = None,
    output: Annotated[Path | None, typer.Option(help="A new or empty folder. Default: NAME, here.")] = None,
) -> None:
    """Write a plugin that works: install it, run its tests, then fill in the marked place.

    What it gives is called as the plugin is, without kadapter-, unless a name follows --type, --task, --source or
    --knowledge. Without any of them it is a type of adapter.
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
    kind, name = given[0] if given else ("type", _UNNAMED)
    return kind, None if name == _UNNAMED else name
