"""`kadapter finetune`: a downstream task over composed adapters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from kadapter.cli.options import Json, Set, named_adapters, parse_assignments
from kadapter.cli.runs import BackboneName, Data, Epochs, Output, Resume, Seed, Source, Store, StoreLimit, given, report
from kadapter.errors import ConfigError

if TYPE_CHECKING:
    from kadapter.recipe import Recipe

Adapters = Annotated[
    list[str] | None, typer.Option("--adapter", help="FOLDER, NAME=FOLDER or installed knowledge; may be repeated.")
]
Trains = Annotated[
    list[str] | None,
    typer.Option("--train", help="head, composition, adapters or backbone; may be repeated. Default: the first two."),
]


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command(name="finetune")(finetune)


def finetune(
    what: Annotated[str, typer.Argument(help="A recipe file (YAML), or a task; see `kadapter plugins`.")],
    output: Output,
    backbone: BackboneName = None,
    adapter: Adapters = None,
    source: Source = None,
    data: Data = None,
    train: Trains = None,
    epochs: Epochs = None,
    seed: Seed = None,
    store: Store = None,
    store_limit: StoreLimit = None,
    set_: Set = None,
    resume: Resume = False,
    json: Json = False,
) -> None:
    """Train a task over composed adapters; what is not named by --train stays frozen."""
    options = given(backbone, source, data, epochs, seed, store, store_limit)
    options |= {"adapters": named_adapters(adapter)} if adapter else {}
    options |= {"training.trains": train} if train else {}
    recipe = _recipe(what, options).with_options({**options, **parse_assignments(set_ or ())})
    from kadapter.training import finetune

    report(finetune(recipe, output, resume), json)


def _recipe(what: str, options: dict[str, Any]) -> Recipe:
    from kadapter.comparison import COMPOSED_LEARNING_RATE
    from kadapter.recipe import Recipe

    if what.endswith((".yaml", ".yml")):
        return Recipe.load(what)
    for option, example in (("backbone", "--backbone minilm"), ("source.name", "--source crossner")):
        if option not in options:
            raise ConfigError(f"task '{what}' needs {example} or another; or give a recipe file (YAML)")
    source, training = {"name": options["source.name"]}, {"learning_rate": COMPOSED_LEARNING_RATE}
    said = {"name": what, "backbone": options["backbone"], "source": source, "task": {"name": what}}
    return Recipe.from_dict({**said, "training": training})
