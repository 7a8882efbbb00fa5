"""What commands that write data sets have in common: how they tell what became of the data."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kadapter.cli.options import print_facts, print_json


def print_provenance(output: Path, told: Mapping[str, Any], json: bool) -> None:
    """Print what stands in `provenance.json`: as it is, or a line for each figure and for each reason to drop."""
    if json:
        print_json(dict(told))
        return
    figures = {name: value for name, value in told.items() if isinstance(value, (str, int))}
    kept = {f"kept: {what}": number for what, number in told["kept"].items()}
    dropped = {f"dropped: {reason}": number for reason, number in told["dropped"].items()}
    print_facts(str(output), {**figures, **kept, **dropped})
