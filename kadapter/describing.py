"""What a card says beyond what the run knew: the figures of a ledger, and what the author of an adapter adds."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kadapter.card import adapter_card
from kadapter.comparison import CONTROLS
from kadapter.errors import ConfigError, StorageError
from kadapter.files import read_json, write_json, write_text
from kadapter.recipe import Recipe
from kadapter.storage import describe_adapter

PLACES = ("ledger.json", "controls/ledger.json")
"""Where a ledger is looked for in the folder of an adapter: `evaluate --controls` writes the second."""


def complete_card(
    folder: Path | str, ledger: Path | str | None = None, row: str | None = None, **own: Any
) -> dict[str, Any]:
    """Put a ledger's figures and an author's words into a saved adapter's `adapter.json`, and write its card anew.

    Args:
        folder: of the adapter.
        ledger: a `ledger.json`; None takes the one in the folder or in its `controls`, if there is one.
        row: of the ledger that is the adapter; None takes the one that has its name, or is called `adapter`.
        own: `about`, `licence`, `language` and `datasets` of the card; what is None stays as it was.

    Returns:
        What `adapter.json` says now.

    Raises:
        StorageError: there is no adapter or no ledger, or the folder cannot be written to.
        ConfigError: the ledger has no such row, or its row was made by another recipe.
    """
    folder = Path(folder)
    said = describe_adapter(folder)
    path = _find(folder) if ledger is None else Path(ledger)
    given = {what: value for what, value in own.items() if value is not None}
    before = said["trained_on"].get("card")
    trained_on = {**said["trained_on"], "card": {**(before if isinstance(before, Mapping) else {}), **given}}
    if path is not None:
        trained_on["ledger"] = _figures(
            read_json(path, f"no ledger for {folder} (`kadapter ledger` makes one)"), said, row, path
        )
    said["trained_on"] = {what: value for what, value in trained_on.items() if value != {}}
    write_json(folder / "adapter.json", said)
    write_text(folder / "README.md", adapter_card(said))
    return said


def _find(folder: Path) -> Path | None:
    return next((folder / place for place in PLACES if (folder / place).is_file()), None)


def _figures(report: Mapping[str, Any], said: Mapping[str, Any], row: str | None, path: Path) -> dict[str, Any]:
    """Give what a card needs of a ledger; times and sizes depend on the machine and stay out."""
    if not report.keys() >= {"recipe", "rows", "metric", "seeds", "splits", "versions"}:
        raise StorageError(
            f"{path} is not a ledger; give the ledger.json of `kadapter ledger` or `evaluate --controls`"
        )
    own = row or _own_row(report, said)
    if own not in report["rows"]:
        raise ConfigError(f"{path} has no row '{own}'; there are {', '.join(report['rows'])}: give one as --row")
    if own == "adapter":
        _check_recipe(report, said, path)
    return {
        "task": report["recipe"]["task"]["name"],
        "source": report["recipe"]["source"]["name"],
        **{what: report[what] for what in ("metric", "splits", "seeds", "versions")},
        "row": own,
        "controls": [name for name in CONTROLS if name in report["rows"]],
        "rows": {name: {"scores": told["scores"]} for name, told in report["rows"].items()},
    }


def _own_row(report: Mapping[str, Any], said: Mapping[str, Any]) -> str:
    name = str(said["name"])
    return name if name in report["rows"] else "adapter"


def _check_recipe(report: Mapping[str, Any], said: Mapping[str, Any], path: Path) -> None:
    """Make sure that the row `adapter`, which the ledger trained itself, is this adapter's recipe, but for the seed."""
    trained_on = said["trained_on"]
    if "recipe" not in trained_on:
        raise ConfigError(
            f"{path} trained its own adapter, and '{said['name']}' was made by no recipe; give another one"
        )
    found = Recipe.from_dict(trained_on["recipe"]).differences(Recipe.from_dict(report["recipe"]))
    other = [text for text in found if not text.startswith(("source.path ", "training.seed "))]
    if other:
        raise ConfigError(f"{path} is of another recipe than '{said['name']}': {'; '.join(other)}; give its own ledger")
