"""`kadapter pretrain`: a recipe, or the name of a kind of knowledge, becomes a trained adapter."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from kadapter.cli.options import Json, Set, parse_assignments
from kadapter.cli.runs import BackboneName, Data, Epochs, Output, Resume, Seed, Source, given, report
from kadapter.errors import ConfigError

if TYPE_CHECKING:
    from kadapter.recipe import Recipe


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command(name="pretrain")(pretrain)


def pretrain(
    what: Annotated[str, typer.Argument(help="An installed kind of knowledge, or a recipe file (YAML).")],
    output: Output,
    backbone: BackboneName = None,
    source: Source = None,
    data: Data = None,
    epochs: Epochs = None,
    seed: Seed = None,
    set_: Set = None,
    resume: Resume = False,
    json: Json = False,
) -> None:
    """Pretrain a knowledge adapter on a frozen backbone."""
    options = {**given(backbone, source, data, epochs, seed), **parse_assignments(set_ or ())}
    recipe = _recipe(what, backbone).with_options(options)
    from kadapter.training import pretrain

    report(pretrain(recipe, output, resume), json)


def _recipe(what: str, backbone: str | None) -> Recipe:
    from kadapter.recipe import Recipe

    if what.endswith((".yaml", ".yml")):
        return Recipe.load(what)
    if backbone is None:
        raise ConfigError("which backbone? Say --backbone minilm, or another alias, folder or hub id")
    return Recipe.of(what, backbone)
