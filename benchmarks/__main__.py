"""`python -m benchmarks NAME …`: measure, print, and write a table and its plot. Without a name: what there is.

    python -m benchmarks standard drop --output benchmarks/results

With `--quick` on tiny models, to see that it runs: its figures mean nothing.
"""

from __future__ import annotations

import ast
import json
from importlib import import_module
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.reporting import bars, whole, write


def main(
    names: Annotated[list[str] | None, typer.Argument(help="Benchmarks; none lists them.")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Tiny models, one round.")] = False,
    output: Annotated[Path | None, typer.Option(help="Folder for NAME.json and NAME.png.")] = None,
) -> None:
    """Measure one benchmark after another."""
    there = benchmarks()
    if unknown := set(names or ()) - there.keys():
        raise typer.BadParameter(f"there is no benchmark {', '.join(sorted(unknown))}; there is {', '.join(there)}")
    if not names:
        for name, about in there.items():
            typer.echo(f"{name:16} {about}")
    for name in names or ():
        run(name, quick, output)


def benchmarks() -> dict[str, str]:
    """Give the name of each benchmark and what it is about, without importing any."""
    found = {}
    for path in sorted(Path(__file__).parent.glob("*.py")):
        module = ast.parse(path.read_text(encoding="utf-8"))
        if any(ast.unparse(node).startswith("def measure(quick: ") for node in module.body):
            found[path.stem] = str(ast.get_docstring(module)).splitlines()[0]
    return found


def run(name: str, quick: bool, output: Path | None) -> None:
    """Measure, print, and write to a folder if there is one."""
    benchmark = import_module(f"benchmarks.{name}")
    report = whole(lambda: benchmark.measure(quick))
    typer.echo(json.dumps(report, indent=2))
    if output:
        write(report, output, name, getattr(benchmark, "draw", bars))


if __name__ == "__main__":
    typer.run(main)
