"""`kadapter pretrain`: a recipe, the name of a kind of knowledge, or a graph of one's own becomes a trained adapter."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kadapter.cli.options import Json, Set, parse_assignments
from kadapter.cli.runs import BackboneName, Data, Epochs, Output, Resume, Seed, Source, Store, StoreLimit, given, report
from kadapter.errors import ConfigError

if TYPE_CHECKING:
    from kadapter.recipe import Recipe


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command(name="pretrain")(pretrain)


def pretrain(
    what: Annotated[
        str, typer.Argument(help="An installed kind of knowledge, a recipe file (YAML), or a new name with --graph.")
    ],
    output: Output,
    backbone: BackboneName = None,
    graph: Annotated[Path | None, typer.Option(help="File or folder of triples: knowledge of your own.")] = None,
    templates: Annotated[Path | None, typer.Option(help="How its relations are said: YAML, with --graph.")] = None,
    source: Source = None,
    data: Data = None,
    epochs: Epochs = None,
    seed: Seed = None,
    store: Store = None,
    store_limit: StoreLimit = None,
    set_: Set = None,
    resume: Resume = False,
    json: Json = False,
) -> None:
    """Pretrain a knowledge adapter on a frozen backbone."""
    _check(graph, templates, source, data)
    options = {**given(backbone, source, data, epochs, seed, store, store_limit), **parse_assignments(set_ or ())}
    recipe = _recipe(what, backbone, graph, templates).with_options(options)
    from kadapter.training import pretrain

    report(pretrain(recipe, output, resume), json)


def _check(graph: Path | None, templates: Path | None, source: str | None, data: Path | None) -> None:
    if graph is None and templates is not None:
        raise ConfigError("--templates goes with --graph: they say the relations of a graph")
    if graph is not None and (source is not None or data is not None):
        raise ConfigError("--graph says where the data lies and how it is read; leave --source and --data out")


def _recipe(what: str, backbone: str | None, graph: Path | None, templates: Path | None) -> Recipe:
    from kadapter.recipe import Recipe, graph_source
    from kadapter.registry import default_registry

    from_file = what.endswith((".yaml", ".yml"))
    if not from_file and backbone is None:
        raise ConfigError("which backbone? Say --backbone minilm, or another alias, folder or hub id")
    if from_file:
        recipe = Recipe.load(what)
    elif graph is not None and what not in default_registry().knowledge:
        return Recipe.of_graph(what, str(backbone), graph, templates)
    else:
        recipe = Recipe.of(what, str(backbone))
    return recipe if graph is None else recipe.with_options({"source": graph_source(graph, templates)})
