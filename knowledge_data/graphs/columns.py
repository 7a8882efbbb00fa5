"""Which cells or fields of a record are the subject, the relation and the object: by their names or their places."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from knowledge_data.errors import DataError

ROLES = ("subject", "relation", "object")

NAMES: Mapping[str, frozenset[str]] = {
    "subject": frozenset({"subject", "subject_id", "subj", "s", "head", "head_id", "h", "source", "from"}),
    "relation": frozenset({"relation", "relation_id", "rel", "r", "predicate", "p", "property", "edge"}),
    "object": frozenset({"object", "object_id", "obj", "o", "tail", "tail_id", "t", "target", "to"}),
}
"""What each of the three is called, in small letters, by those who name their columns."""

WRONG_COLUMNS = "wrong number of columns"

_FIX = "name the columns of subject, relation and object: columns=['person', 'born in', 'town']"


@dataclass(frozen=True)
class Columns:
    """Where the three cells of a triple stand in a line.

    Attributes:
        places: of subject, relation and object, counted from 0.
        width: how many cells every line has.
        header: whether the first line names the columns.
    """

    places: tuple[int, int, int] = (0, 1, 2)
    width: int = 3
    header: bool = False


def check_columns(columns: Sequence[str] | None) -> None:
    """Make sure that three columns are named, or none.

    Raises:
        DataError: one or two are, or more.
    """
    if columns is not None and (isinstance(columns, str) or len(set(columns)) != len(columns) or len(columns) != 3):
        raise DataError(f"columns={columns!r} are not three different names", _FIX)


def find_columns(cells: Sequence[str], columns: Sequence[str] | None, where: str) -> Columns:
    """Tell from the first line where the triple stands.

    `columns` are three names that the first line must hold, or three places, counted from 1, in a table without names.
    Without them, the first line may hold names that are known for each role; else it is a triple.

    Raises:
        DataError: a column is not there; or there are no columns to choose from and not three cells.
    """
    if columns is not None:
        return _said(cells, columns, where)
    named = names_in(cells)
    if named:
        return Columns(_three(cells.index(name) for name in named), len(cells), header=True)
    if len(cells) == 3:
        return Columns()
    raise DataError(f"has {len(cells)} cells but a triple has 3", _FIX, where=where)


def names_in(names: Iterable[str]) -> tuple[str, str, str] | None:
    """Give those of the names that are known for subject, relation and object, if each role has just one."""
    named: dict[str, str] = {}
    for name in names:
        for role, known in NAMES.items():
            if name.strip().casefold() in known:
                if role in named:
                    return None
                named[role] = name
    return (named["subject"], named["relation"], named["object"]) if len(named) == 3 else None


def _said(cells: Sequence[str], columns: Sequence[str], where: str) -> Columns:
    names = [cell.strip() for cell in cells]
    missing = [column for column in columns if column not in names]
    if not missing:
        return Columns(_three(names.index(column) for column in columns), len(cells), header=True)
    if all(column.isascii() and column.isdigit() for column in columns):
        missing = [column for column in columns if not 1 <= int(column) <= len(cells)]
        if not missing:
            return Columns(_three(int(column) - 1 for column in columns), len(cells))
    there = ", ".join(names[:20]) + (" …" if len(names) > 20 else "")
    fix = "choose from them, or give places, counted from 1"
    raise DataError(f"has no column {missing[0]!r} but {there}", fix, where=where)


def _three(places: Iterable[int]) -> tuple[int, int, int]:
    subject, relation, object_ = places
    return subject, relation, object_
