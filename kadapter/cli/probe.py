"""`kadapter probe`: what a model knows, with its adapters plugged and unplugged."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from kadapter.cli.options import Json, named_adapters, parse_assignments, print_facts, print_json, print_table
from kadapter.config import make_config
from kadapter.errors import ConfigError

if TYPE_CHECKING:
    from kadapter.model import KnowledgeModel

_List = list[str] | None

_OF_PROBES = ("data", "scoring", "filter_", "taught", "facts", "relation", "limit", "seed", "on_error")
"""Parameters that a question has no use for."""


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command(name="probe")(probe)


def probe(
    context: typer.Context,
    what: Annotated[
        list[str], typer.Argument(help="A question with [MASK]; or probes: NAME, with --data, or NAME=PATH.")
    ],
    backbone: Annotated[str, typer.Option(help="Alias, folder or hub id of a backbone, a saved model or a run.")],
    adapters: Annotated[
        _List, typer.Option("--adapters", "--adapter", help="FOLDER, NAME=FOLDER or installed knowledge; repeatable.")
    ] = None,
    data: Annotated[Path | None, typer.Option(help="The folder in which the probes lie, each under its name.")] = None,
    output: Annotated[Path | None, typer.Option(help="Folder for a folder of results for each probe.")] = None,
    scoring: Annotated[str, typer.Option(help="auto, token, object or sentence.")] = "auto",
    filter_: Annotated[
        _List, typer.Option("--filter", help="string, name: what LAMA-UHN leaves out; repeatable.")
    ] = None,
    taught: Annotated[str, typer.Option(help="Facts that were taught: leave-out, keep, or only these.")] = "leave-out",
    facts: Annotated[_List, typer.Option(help="File or folder of facts that were taught; repeatable.")] = None,
    relation: Annotated[
        _List, typer.Option(help="Ask for this relation or phenomenon; repeatable. Default: all.")
    ] = None,
    limit: Annotated[int | None, typer.Option(help="How many facts of each relation at most.")] = None,
    seed: Annotated[int, typer.Option(help="Of --limit and of the bootstrap.")] = 0,
    on_error: Annotated[str, typer.Option("--on-error", help="raise, or skip malformed records, counted.")] = "raise",
    set_: Annotated[_List, typer.Option("--set", help="Other options: mean=true, ranks=[1,5], resamples=0.")] = None,
    choice: Annotated[_List, typer.Option(help="Of a question: something to choose from; repeatable.")] = None,
    top: Annotated[int, typer.Option(help="Of a question: how many answers.")] = 5,
    json: Json = False,
) -> None:
    """Ask a masked or a causal language model what it knows, with and without adapters."""
    from kadapter.probing.one_question import QuestionOptions, blanks_in

    if len(what) == 1 and (blanks_in(what[0]) or (" " in what[0] and "=" not in what[0])):
        _refuse(context, ["output"], "goes with probes; keep the answers to a question by --json > FILE")
        _refuse(context, _OF_PROBES, "goes with probes; a question takes --choice, --top and --set mean=true")
        asked = make_config(QuestionOptions, parse_assignments(set_ or ()), owner="a question")
        _question(_model(backbone, adapters), what[0], top, choice or (), asked.mean, json)
        return
    _refuse(context, ["choice"], "goes with a question; probes bring their own choices")
    _refuse(context, ["top"], "goes with a question; --set ranks=[1,3] says how many answers of a probe count")
    more = parse_assignments(set_ or ())
    options = {
        "scoring": scoring, "filters": filter_ or [], "taught": taught, "facts": facts or [],
        "relations": relation or [], "limit": limit,
        "seed": seed, "on_error": on_error,
    }  # fmt: skip
    for name in more.keys() & options.keys():
        option = {"filters": "filter", "relations": "relation"}.get(name, name).replace("_", "-")
        raise ConfigError(f"--set {name}: say it by --{option}")
    places = _places(what, data)
    _probes(_model(backbone, adapters), places, output, {**options, **more}, json)


def _model(backbone: str, adapters: Sequence[str] | None) -> KnowledgeModel:
    from kadapter.model import KnowledgeModel

    return KnowledgeModel.from_pretrained(backbone, named_adapters(adapters or ()))


def _refuse(context: typer.Context, parameters: Collection[str], why: str) -> None:
    """Raise ConfigError where one of these parameters was said on the command line."""
    for parameter in context.command.params:
        source = context.get_parameter_source(parameter.name or "")
        # By its name: where typer has this class from depends on the version.
        if parameter.name in parameters and source is not None and source.name == "COMMANDLINE":
            raise ConfigError(f"{parameter.opts[0]} {why}")


def _places(texts: Iterable[str], data: Path | None) -> dict[str, Path]:
    """Give where each probe lies, by name."""
    places: dict[str, Path] = {}
    for name, place in (_place(text, data) for text in texts):
        if name in places:
            raise ConfigError(f"two probes are called '{name}'; ask for them one after the other")
        places[name] = place
    return places


def _place(text: str, data: Path | None) -> tuple[str, Path]:
    """Give the name of a probe and where it lies."""
    from knowledge_data import find_probe

    name, _, path = text.partition("=")
    if path:
        return name, Path(path)
    if data is None:
        raise ConfigError(f"where does {name} lie? Say {name}=PATH, or --data FOLDER; a question needs a [MASK]")
    return name, find_probe(name, data)


def _probes(
    model: KnowledgeModel, places: Mapping[str, Path], output: Path | None, options: Mapping[str, Any], json: bool
) -> None:
    from kadapter.probing import probe

    reports = {}
    for name, path in places.items():
        reports[name] = probe(model, name, path, output / name if output else None, **options)
        if not json:
            _print(name, reports[name])
    if json:
        print_json(reports)


def _print(name: str, report: Mapping[str, Any]) -> None:
    from kadapter.probing.reporting import cells

    print_table(f"{name}, scored by {report['scoring']}, in percent", *cells(report))
    left = {f"left out: {reason}": f"{count:,}" for reason, count in report["left_out"].items()}
    lost = {f"phrasings left out: {why}": f"{count:,}" for why, count in report["phrasings_left_out"].items()}
    unknown = {f"what {own} was taught": f"unknown: {why}" for own, why in report["taught_unknown"].items()}
    print_facts(name, {"facts asked": f"{report['asked']:,}", **left, **lost, **unknown})


def _question(model: KnowledgeModel, text: str, top: int, choices: Sequence[str], mean: bool, json: bool) -> None:
    from kadapter.probing.one_question import ask_one

    found = ask_one(model, text, top, choices, mean)
    if json:
        print_json(found)
        return
    before = [answer["answer"] for answer in next(iter(found.values()))]
    columns = [[_said(answer, before) for answer in answers] for answers in found.values()]
    rows = ([str(number), *row] for number, row in enumerate(zip(*columns, strict=True), start=1))
    print_table(text, ("", *(found if len(found) > 1 else ["answer"])), rows)


def _said(answer: Mapping[str, Any], before: Sequence[str]) -> Text:
    """Give an answer with its probability: green where the backbone alone has it not among its own."""
    new = answer["answer"] not in before
    shown = Text(answer["answer"], style="bold green" if new else "")
    return shown.append(f"  {100 * answer['probability']:.1f} %", style="dim")
