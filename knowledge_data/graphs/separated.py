"""Triples in tables: cells separated by tabs, commas or spaces, with or without a line of names."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from operator import itemgetter

from knowledge_data.errors import DataError
from knowledge_data.graphs.columns import WRONG_COLUMNS, Columns, find_columns
from knowledge_data.graphs.scan import Found, Scan

BAD_QUOTES = "quotation marks that do not match"

Cut = Callable[[str], list[str]]
"""Cuts a line into cells."""


def cut_tabs(line: str) -> list[str]:
    """Cells between tabs; quotation marks are letters like any other."""
    return line.split("\t")


def cut_commas(line: str) -> list[str]:
    """Cells between commas, quoted or not. A cell ends on its line.

    Raises:
        csv.Error: a quotation mark is not closed on the line, or letters follow one.
    """
    return next(csv.reader([line], strict=True)) if '"' in line else line.split(",")


def cut_for(form: str, line: str) -> Cut:
    """How lines of this format are cut: `csv` at commas, `tsv` at tabs, `txt` as the first line shows."""
    if form == "csv":
        return cut_commas
    return str.split if form == "txt" and "\t" not in line and len(line.split()) == 3 else cut_tabs


def scan_cells(scan: Scan, form: str) -> Iterator[tuple[int, list[str]]]:
    """Each line's number and its cells."""
    cut: Cut | None = None
    for number, line in scan.lines():
        cut = cut or cut_for(form, line)
        try:
            yield number, cut(line)
        except csv.Error as error:
            fix = "close every quotation mark on its line, and write one in a cell twice"
            scan.complain(BAD_QUOTES, DataError(f"is not comma-separated ({error})", fix, where=scan.at(number)))


def scan_separated(scan: Scan, form: str) -> Iterator[Found]:
    """What stands in the three columns of each line."""
    columns: Columns | None = None
    for number, cells in scan_cells(scan, form):
        if columns is None:
            columns = _columns(scan, number, cells)
            pick, width = itemgetter(*columns.places), columns.width
            if columns.header:
                continue
        if len(cells) == width:
            yield number, *pick(cells)
        else:
            scan.complain(WRONG_COLUMNS, _wrong(len(cells), columns, scan.at(number), form))


def _columns(scan: Scan, number: int, cells: list[str]) -> Columns:
    try:
        return find_columns(cells, scan.columns, scan.at(number))
    except DataError as error:
        if scan.columns is not None:
            # The question is wrong, not the data: nothing can be read without an answer.
            raise
        scan.complain(WRONG_COLUMNS, error)
        # The line is done with, as a line of names is.
        return Columns(header=True)


def _wrong(cells: int, columns: Columns, where: str, form: str) -> DataError:
    separator = {"csv": "commas", "tsv": "tabs"}.get(form, "tabs or spaces")
    problem = f"has {cells} cells but must have {columns.width}"
    return DataError(problem, f"separate the cells by {separator}", where=where)
