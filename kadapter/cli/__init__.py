"""The command line: one file per command, each a few lines over a public function."""

from __future__ import annotations

import os
import sys
import warnings

import typer

from kadapter.cli import (
    card,
    compose,
    data,
    demo,
    evaluate,
    finetune,
    foreign,
    fuse,
    inspect,
    ledger,
    new,
    pack,
    plugins,
    pretrain,
    probe,
    push,
    store,
    sweep,
)
from kadapter.errors import KadapterError, printable
from knowledge_data import DataError

app = typer.Typer(
    name="kadapter",
    help="Plug knowledge into frozen language models.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command in (
    plugins,
    demo,
    pretrain,
    compose,
    finetune,
    fuse,
    ledger,
    sweep,
    evaluate,
    probe,
    inspect,
    card,
    pack,
    push,
    data,
    store,
    foreign,
    new,
):
    command.add_to(app)


def main() -> None:
    """Run a command. What is wrong with the input is one line on standard error and exit code 2."""
    _quiet()
    try:
        app()
    except Exception as error:
        if not _is_expected(error):
            raise
        typer.secho(f"error: {printable(error)}", fg="red", err=True)
        sys.exit(2)


def _is_expected(error: Exception) -> bool:
    return isinstance(error, (KadapterError, DataError))


def _quiet() -> None:
    """Leave standard error to our own progress bar and to warnings, a line each."""
    warnings.formatwarning = lambda message, *_: f"warning: {printable(message)}\n"
    for switch in ("HF_DATASETS_DISABLE_PROGRESS_BARS", "HF_HUB_DISABLE_PROGRESS_BARS"):
        os.environ.setdefault(switch, "1")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
