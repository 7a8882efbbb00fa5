"""Reading what is larger than memory, line by line or value by value; what is of no use is told, or counted."""

from __future__ import annotations

import codecs
import json
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, NoReturn

from knowledge_data._json_array import stream_array
from knowledge_data.errors import DataError
from knowledge_data.files import Line
from knowledge_data.members import Member
from knowledge_data.records import Record

Complain = Callable[[str, DataError], None]
"""Takes what makes something unusable, as a reason to count by and as an error, and raises it or counts it."""

LONGEST = 64 * 2**20
"""A line or a value that is longer, in bytes or characters, is none: somebody forgot the line ends."""

NO_LINE = "line that is too long"
NO_TEXT = "not UTF-8"
NO_JSON = "not JSON"
NO_RECORD = "not an object with named fields"
BROKEN_OFF = "file that breaks off or cannot be read"

_CHUNK = 2**20


def fail(reason: str, error: DataError) -> NoReturn:
    """Raise the error, whatever the reason."""
    raise error


def complaints(on_error: str, skipped: Counter[str]) -> Complain:
    """Give what to do about something unusable: `raise` the error, or `skip` it, counted by its reason in `skipped`.

    Raises:
        DataError: `on_error` is another word.
    """
    if on_error not in ("raise", "skip"):
        raise DataError(f"on_error={on_error!r} is unknown", "choose raise or skip")

    def count(reason: str, error: DataError) -> None:
        skipped[reason] += 1

    return count if on_error == "skip" else fail


def stream_lines(source: str | Path | Member, complain: Complain = fail, longest: int = LONGEST) -> Iterator[Line]:
    """The lines of a text file, gzipped or not, the blank ones too; only one is in memory at a time.

    Complains of lines that are no UTF-8 or longer than `longest` bytes, and of a file that breaks off.

    Raises:
        DataError: there is no such file; or what `complain` raises.
    """
    member = source if isinstance(source, Member) else Member.of(source)
    for number, line in stream_numbered(member, complain, longest):
        yield f"{member.name}:{number}", line.rstrip()


def stream_numbered(member: Member, complain: Complain = fail, longest: int = LONGEST) -> Iterator[tuple[int, str]]:
    """The lines as `stream_lines` gives them, with their numbers and all their white space but for the line end.

    Raises:
        DataError: what `complain` raises.
    """
    for number, (problem, line) in enumerate(_whole_lines(member, complain, longest), start=1):
        if problem:
            error = DataError(problem, "end each record with a line end", where=f"{member.name}:{number}")
            complain(NO_LINE, error)
            continue
        try:
            # Only the first line may carry a byte-order mark.
            yield number, line.decode("utf-8-sig" if number == 1 else "utf-8").rstrip("\r\n")
        except UnicodeDecodeError as error:
            complain(NO_TEXT, _no_text(error, f"{member.name}:{number}"))


def stream_records(source: str | Path | Member, complain: Complain = fail) -> Iterator[Record]:
    """The records of a JSON-lines file or of a JSON array, whichever it is; only one is in memory at a time.

    Complains of what is no JSON or no object. In an array nothing can be read behind what is no JSON.

    Raises:
        DataError: there is no such file; or what `complain` raises.
    """
    member = source if isinstance(source, Member) else Member.of(source)
    values = _array if _opens_array(member) else _values_of_lines
    for where, value in values(member, complain):
        try:
            yield Record.of(value, where)
        except DataError as error:
            complain(NO_RECORD, error)


def _whole_lines(member: Member, complain: Complain, longest: int) -> Iterator[tuple[str, bytes]]:
    """Each line, and what is wrong with its length."""
    try:
        with member.opened() as file:
            while line := file.readline(longest + 1):
                if len(line) <= longest or line.endswith(b"\n"):
                    yield "", line
                    continue
                while line and not line.endswith(b"\n"):
                    line = file.readline(longest)
                yield f"is longer than {longest:,} bytes", b""
    except DataError as error:
        complain(BROKEN_OFF, error)


def _opens_array(member: Member) -> bool:
    try:
        with member.opened() as file:
            return file.read(4096).removeprefix(codecs.BOM_UTF8).lstrip().startswith(b"[")
    except DataError:
        # Whoever reads it will meet the same error, and complain.
        return False


def _values_of_lines(member: Member, complain: Complain) -> Iterator[tuple[str, Any]]:
    for where, line in stream_lines(member, complain):
        if line:
            try:
                yield where, json.loads(line)
            except (ValueError, RecursionError) as error:
                complain(NO_JSON, no_json(error, where))


def _array(member: Member, complain: Complain) -> Iterator[tuple[str, Any]]:
    number = 0
    try:
        with member.opened() as file:
            for number, value in enumerate(stream_array(_texts(file), LONGEST), start=1):
                yield f"{member.name}: record {number}", value
    except DataError as error:
        complain(BROKEN_OFF, error)
    except UnicodeDecodeError as error:
        complain(NO_TEXT, _no_text(error, f"{member.name}: record {number + 1}"))
    except (ValueError, RecursionError) as error:
        complain(NO_JSON, no_json(error, f"{member.name}: record {number + 1}"))


def _texts(file: IO[bytes]) -> Iterator[str]:
    decoder = codecs.getincrementaldecoder("utf-8-sig")()
    while chunk := file.read(_CHUNK):
        yield decoder.decode(chunk)
    yield decoder.decode(b"", final=True)


def _no_text(error: UnicodeDecodeError, where: str) -> DataError:
    problem = f"is not UTF-8 text: byte {error.object[error.start]:#04x}"
    return DataError(problem, "save it as UTF-8", where=where)


def no_json(error: Exception, where: str) -> DataError:
    """The error that says why something at `where` is no JSON."""
    deep = isinstance(error, RecursionError)
    problem = "values are nested too deeply" if deep else getattr(error, "msg", str(error))
    return DataError(f"is not JSON: {problem}", "give one JSON value a line, or one array of them", where=where)
