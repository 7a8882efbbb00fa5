"""`kadapter import` and `kadapter export`: adapters from the files of other software, and back."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kadapter.cli.options import Json, parse_assignments, print_facts, print_json, print_table
from kadapter.errors import ConfigError

if TYPE_CHECKING:
    from kadapter.model import KnowledgeModel

Options = Annotated[
    list[str] | None,
    typer.Option("--set", help="An option of the format: heads=12 … Those of each are in docs/importing.md."),
]


def add_to(app: typer.Typer) -> None:
    """Add both commands."""
    app.command(name="import")(import_)
    app.command(name="export")(export)


def import_(
    format: Annotated[str, typer.Argument(help="Whose files they are; see `kadapter plugins`.")],
    place: Annotated[Path, typer.Argument(help="File, folder or archive that holds the adapter.")],
    backbone: Annotated[str, typer.Option(help="Alias, folder or hub id of what it was trained on.")],
    output: Annotated[Path, typer.Option(help="Folder of the adapter; new or empty.")],
    name: Annotated[str | None, typer.Option(help="What to call it. Default: as the files or the place are.")] = None,
    reads: Annotated[str | None, typer.Option(help="States that it reads: 0,11,22. Short for --set reads=…")] = None,
    set_: Options = None,
    compare: Annotated[
        bool, typer.Option("--compare", help="Show what its `compat` changes, on a text with padding.")
    ] = False,
    text: Annotated[str | None, typer.Option(help="Which text, with --compare.")] = None,
    json: Json = False,
) -> None:
    """Turn an adapter that other software saved into one of ours; what was left out is listed."""
    from kadapter.importing import import_adapter

    if text is not None and not compare:
        raise ConfigError("--text goes with --compare: it is what the features are compared on")
    options = parse_assignments(set_ or ()) | ({} if reads is None else {"reads": _states(reads)})
    compared: dict[str, Any] = {}
    look = (lambda model: compared.update(_compare(model, text))) if compare else None
    facts = _facts(import_adapter(format, place, backbone, output, options, name, check=look), output)
    if json:
        print_json({**facts, **({"compared": compared} if compare else {})})
        return
    _print(facts)
    if compare:
        _print_compared(compared)


def _states(text: str) -> list[int]:
    try:
        return [int(state) for state in text.split(",")]
    except ValueError:
        raise ConfigError(f"--reads {text}: say numbers of states with commas between, for instance 0,11,22") from None


def _facts(model: KnowledgeModel, output: Path) -> dict[str, Any]:
    [(name, adapter)] = model.by_name().items()
    return {
        "output": str(output),
        "name": name,
        "backbone": model.backbone.info.name,
        "adapter": adapter.options,
        "parameters": sum(parameter.numel() for parameter in adapter.parameters()),
        "task": model.task.name if model.task else None,
        **adapter.trained_on["imported"],
    }


def _compare(model: KnowledgeModel, text: str | None) -> dict[str, Any]:
    from kadapter.compatibility import TEXT, compare_compat

    [adapter] = model.by_name().values()
    return compare_compat(adapter, model.backbone, TEXT if text is None else text)


def _print_compared(report: Mapping[str, Any]) -> None:
    columns = {"max_abs": "largest", "mean_abs": "mean", "cosine": "cosine", "mean_size": "mean size"}
    rows = [*report["each"], {"token": "all", **report["all"]}]
    print_table(
        f"Features with compat '{report['compat']}' against without, beside {report['padding']} tokens of padding",
        ("token", *columns.values()),
        [(row["token"], *(f"{row[column]:.6f}" for column in columns)) for row in rows],
    )


def _print(facts: Mapping[str, Any]) -> None:
    skipped: dict[str, list[str]] = {}
    for tensor, reason in facts["skipped"].items():
        skipped.setdefault(reason, []).append(tensor)
    apart = ("output", "read_by", "origin", "skipped")
    own = {what: value for what, value in facts.items() if what not in apart and value is not None}
    print_facts(f"Imported: {facts['output']}", {**facts["origin"], **own})
    if skipped:
        print_table("Left out", ("why", "tensors"), [(why, ", ".join(names)) for why, names in skipped.items()])


def export(
    format: Annotated[str, typer.Argument(help="For which software; see `kadapter plugins`.")],
    adapter: Annotated[str, typer.Argument(help="Folder of a saved adapter, or installed knowledge.")],
    output: Annotated[Path, typer.Option(help="Folder for its files; new or empty.")],
    backbone: Annotated[str | None, typer.Option(help="Default: what the saved adapter was trained on.")] = None,
    set_: Options = None,
    json: Json = False,
) -> None:
    """Write one of our adapters as other software saves its own."""
    from kadapter.importing import export_adapter

    export_adapter(format, adapter, output, backbone, parse_assignments(set_ or ()))
    facts = {"output": str(output), "format": format, "files": sorted(path.name for path in output.iterdir())}
    print_json(facts) if json else print_facts(f"Exported: {output}", {"files": ", ".join(facts["files"])})
