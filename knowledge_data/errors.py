"""The one error of this package: data that is not what it should be."""

from __future__ import annotations


class DataError(ValueError):
    """Data cannot be used as it is. The one-line message says where, which field, what, and how to mend it.

    For example `train.jsonl:3: field 'subj_end' is 9 but the sentence has 7 tokens; count tokens from 0`.

    Attributes:
        problem: what is wrong, in words that can follow the field's name.
        fix: what to do about it; may be empty.
        where: `file:line`, `file: record n`, or empty when the data came from no file.
        field: the field at fault; may be empty.
    """

    def __init__(self, problem: str, fix: str = "", *, where: str = "", field: str = "") -> None:
        self.problem, self.fix, self.where, self.field = problem, fix, where, field
        place = f"{where}: " if where else ""
        subject = f"field {field!r} " if field else ""
        super().__init__(place + subject + problem + (f"; {fix}" if fix else ""))

    def at(self, where: str, prefix: str = "") -> DataError:
        """The same error, placed at `where` in a file, its field inside the one that `prefix` names."""
        return DataError(self.problem, self.fix, where=where, field=prefix + self.field)
