"""A graph's rows in memory: said, split, and checked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TypeVar

from datasets import Dataset, DatasetDict, concatenate_datasets

from knowledge_data.errors import DataError
from knowledge_data.reading import ReadReport, dataset
from knowledge_data.row import Row
from knowledge_data.triples.inputs import Inputs, read_inputs
from knowledge_data.triples.objectives import Sayer, Statement
from knowledge_data.triples.options import GraphOptions
from knowledge_data.triples.phrasings import Phrasings, plain_phrasings, read_templates
from knowledge_data.triples.splits import SPLITS
from knowledge_data.triples.statements import Statements

T = TypeVar("T")

CHUNK = 50_000
"""Statements that are said together: what is held at a time, and written as one piece."""


@dataclass(frozen=True)
class SplitRows:
    """Rows in splits, and the report of how they were made."""

    splits: DatasetDict
    report: ReadReport


def graph_rows(path: str | Path, options: GraphOptions, seed: int = 0) -> SplitRows:
    """Give the rows of a graph in `train`, `validation` and `test`, all in memory.

    Args:
        path: of the graph: any file or folder that `read_graph` reads.
        options: what is asked, and how.
        seed: of the split, the false facts and the phrasings.

    Raises:
        DataError: the graph or a side file is not what it should be, a relation cannot be said, or a split is empty.
    """
    skipped = Counter[str]()
    sayer, statements = plan(path, options, seed, skipped)
    pieces: dict[str, list[Dataset]] = {name: [] for name in SPLITS}
    for chunk in chunks(statements, CHUNK):
        for name, rows in said(chunk, sayer, skipped).items():
            pieces[name].append(dataset(sayer.kind, rows))
    check_filled(Counter({name: sum(map(len, parts)) for name, parts in pieces.items()}), skipped)
    splits = DatasetDict({name: concatenate_datasets(parts) for name, parts in pieces.items()})
    return SplitRows(splits, ReadReport(sum(map(len, splits.values())), skipped))


def plan(path: str | Path, options: GraphOptions, seed: int, skipped: Counter[str]) -> tuple[Sayer, Statements]:
    """Give who says what: read all files but the triples, which are read when the statements are asked for.

    Raises:
        DataError: as `graph_rows`.
    """
    inputs = read_inputs(path, options, skipped)
    phrasings = _phrasings(inputs, options)
    sayer = Sayer(options.objective, phrasings, options.phrasings, seed)
    return sayer, Statements(inputs, options, seed, phrasings, skipped)


def said(statements: Iterable[Statement], sayer: Sayer, skipped: Counter[str]) -> dict[str, list[Row]]:
    """Give the usable rows of statements, by split; count the others."""
    rows: dict[str, list[Row]] = {name: [] for name in SPLITS}
    for statement in statements:
        for row in sayer.rows(statement):
            if row.flaw:
                skipped[row.flaw] += 1
            else:
                rows[statement.split].append(row)
    return rows


def chunks(things: Iterable[T], size: int) -> Iterator[list[T]]:
    """Give the things in lists of this length; the last one is perhaps shorter."""
    rest = iter(things)
    while chunk := list(islice(rest, size)):
        yield chunk


def check_filled(kept: Counter[str], skipped: Counter[str]) -> None:
    """Make sure that every split has rows.

    Raises:
        DataError: one has none.
    """
    empty = [name for name in SPLITS if not kept[name]]
    if empty:
        left_out = ", ".join(f"{count} {reason}" for reason, count in skipped.items()) or "nothing"
        problem = f"no row is in split {empty[0]!r} ({kept.total()} rows in all; left out: {left_out})"
        raise DataError(problem, "give more triples, larger shares, or another seed")


def _phrasings(inputs: Inputs, options: GraphOptions) -> Mapping[str, Phrasings]:
    if options.templates is not None:
        return read_templates(options.templates)
    if options.objective == "description":
        return {}
    said = plain_phrasings({name: known.label for name, known in inputs.relations.items()})
    if not said:
        fix = "give templates (a YAML file: relation -> phrasings), or relations with labels"
        raise DataError("nothing says how the relations are put into words", fix)
    return said
