"""`kadapter fuse`: adapters are trained, each on its task; then one that fuses them, on the target task."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kadapter.cli.options import Json, Set, parse_assignments, print_json
from kadapter.cli.runs import Output, Resume, report, summarise

if TYPE_CHECKING:
    from kadapter.training import Run


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command(name="fuse")(fuse)


def fuse(
    stages: Annotated[Path, typer.Argument(help="File (YAML) with members and target.")],
    output: Output,
    set_: Set = None,
    resume: Resume = False,
    json: Json = False,
) -> None:
    """Train the members that have recipes, then fuse all of them on the target task."""
    from kadapter.stages import Stages, fuse

    said = Stages.load(stages).with_options(parse_assignments(set_ or ()))
    results: dict[str, Any] = {name: str(member) for name, member in said.members.items()}

    def told(name: str, run: Run) -> None:
        results[name] = run.result
        if name in said.recipes and not json:
            summarise(run, f"Member {name}: {run.folder}")

    run = fuse(said, output, resume, told=told)
    if json:
        print_json({"members": {name: results[name] for name in said.members}, "fused": run.result})
        return
    for name, member in said.members.items():
        if name not in said.recipes:
            typer.echo(f"Member {name}: {member}, trained before")
    report(run, json)
