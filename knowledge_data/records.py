"""A record and typed access to its fields: every reader complains in the same words."""

from __future__ import annotations

import reprlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ParamSpec, TypeVar

from knowledge_data.errors import DataError
from knowledge_data.row import Span
from knowledge_data.rows import RelationRow

T = TypeVar("T")
P = ParamSpec("P")

_KIND_NAMES = {
    str: "a text",
    int: "a whole number",
    bool: "true or false",
    list: "a list",
    dict: "an object with named fields",
}


@dataclass(frozen=True)
class Record:
    """One record of a file.

    Attributes:
        values: its fields, as the file gives them.
        where: `file:line` or `file: record n`, for messages.
        prefix: what stands before a field's name in messages, for a record inside a record: `labels[0].`.
    """

    values: Mapping[str, Any]
    where: str
    prefix: str = ""

    @classmethod
    def of(cls, value: object, where: str) -> Record:
        """The record of a decoded JSON value.

        Raises:
            DataError: the value is not an object with named fields.
        """
        if isinstance(value, dict):
            return cls(value, where)
        raise DataError(f"holds {reprlib.repr(value)} but must hold {_KIND_NAMES[dict]}", where=where)

    def inside(self, values: Mapping[str, Any], field: str) -> Record:
        """The record that stands in `field` of this one."""
        return Record(values, self.where, f"{self.prefix}{field}.")

    def get(self, field: str, kind: type[T]) -> T:
        """The value of a field that must be there and of this kind.

        Raises:
            DataError: it is missing or of another kind.
        """
        if field not in self.values:
            there = ", ".join(map(str, self.values)) or "none"
            raise self.error(field, "is missing", f"the record's fields are: {there}")
        return self.check(field, self.values[field], kind)

    def optional(self, field: str, kind: type[T], default: T) -> T:
        """The value of a field, or `default` when it is missing or null.

        Raises:
            DataError: it is of another kind.
        """
        return default if self.values.get(field) is None else self.get(field, kind)

    def items(self, field: str, kind: type[T]) -> list[T]:
        """The values of a field that must be a list of this kind.

        Raises:
            DataError: it is missing, no list, or an item is of another kind.
        """
        return self.check_items(field, self.get(field, list), kind)

    def groups(self, field: str, kind: type[T]) -> list[list[T]]:
        """The values of a field that must be a list of lists of this kind.

        Raises:
            DataError: it is missing, no list of lists, or an item is of another kind.
        """
        groups = self.items(field, list)
        return [self.check_items(f"{field}[{i}]", group, kind) for i, group in enumerate(groups)]

    def records(self, field: str) -> list[Record]:
        """The records of a field that must be a list of them.

        Raises:
            DataError: it is missing, no list, or an item is no object.
        """
        return [self.inside(item, f"{field}[{i}]") for i, item in enumerate(self.items(field, dict))]

    def index(self, field: str, size: int, whole: str) -> int:
        """The value of a field that counts from 0 and must lie below `size`.

        Raises:
            DataError: it is missing, no whole number, or beyond; `whole` says what has that size.
        """
        return self.check_index(field, self.get(field, int), size, whole)

    def number(self, field: str, fix: str) -> int:
        """The value of a field whose text must be a whole number, 0 or more; `fix` says what it counts.

        Raises:
            DataError: it is missing, no text, or says something else.
        """
        cell = self.get(field, str)
        if cell.isascii() and cell.isdigit():
            return int(cell)
        raise self.error(field, f"is {reprlib.repr(cell)} but must be a whole number", fix)

    def check(self, field: str, value: object, kind: type[T]) -> T:
        """`value`, which must be of this kind. True and false are no numbers."""
        if isinstance(value, kind) and (kind is bool or not isinstance(value, bool)):
            return value
        raise self.error(field, f"is {reprlib.repr(value)} but must be {_KIND_NAMES[kind]}")

    def check_items(self, field: str, values: list[Any], kind: type[T]) -> list[T]:
        """`values`, all of which must be of this kind."""
        return [self.check(f"{field}[{i}]", value, kind) for i, value in enumerate(values)]

    def check_index(self, field: str, value: int, size: int, whole: str) -> int:
        """`value`, which must lie in `range(size)`; `whole` is like `"the sentence has 7 tokens"`."""
        if 0 <= value < size:
            return value
        raise self.error(field, f"is {value} but {whole}", "count from 0")

    def row(
        self, text: str, subject: Span, object_: Span, relation: str, ids: tuple[str, str] = ("", "")
    ) -> RelationRow:
        """The row made of this record.

        Raises:
            DataError: the row is not valid; names this record.
        """
        return self.make(RelationRow.of_spans, text, subject, object_, relation, ids)

    def make(self, kind: Callable[P, T], *values: P.args, **named: P.kwargs) -> T:
        """`kind(*values, **named)`, a row made of this record.

        Raises:
            DataError: the row is not valid; names this record.
        """
        try:
            return kind(*values, **named)
        except DataError as error:
            raise error.at(self.where, self.prefix) from None

    def error(self, field: str, problem: str, fix: str = "") -> DataError:
        """What to raise when a field of this record is wrong."""
        return DataError(problem, fix, where=self.where, field=self.prefix + field)
