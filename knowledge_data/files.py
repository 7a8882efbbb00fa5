"""Opening files: plain or gzip, blocks of lines, JSON or JSON lines, tables; every failure is a `DataError`."""

from __future__ import annotations

import csv
import gzip
import io
import json
import zlib
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from knowledge_data.errors import DataError
from knowledge_data.records import Record

Line = tuple[str, str]
"""Where a line stands (`file:line`), and what it says, without white space at its end."""

_GZIP_FIX = "compress it again, or drop .gz from its name if it is plain text"


def read_text(path: str | Path) -> str:
    """The whole text of a UTF-8 file, gzipped or not; a missing file is looked for with `.gz` added.

    Raises:
        DataError: there is no such file, it is empty, not UTF-8, or not gzip although named `.gz`.
    """
    found = find(Path(path))
    try:
        content = gzip.decompress(found.read_bytes()) if found.suffix == ".gz" else found.read_bytes()
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        problem = f"is not UTF-8 text: byte {error.object[error.start]:#04x} at offset {error.start}"
        raise DataError(problem, "save it as UTF-8", where=str(found)) from error
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DataError(f"is not a whole gzip file ({error})", _GZIP_FIX, where=str(found)) from error
    except OSError as error:
        raise DataError(f"cannot be read ({error.strerror})", where=str(found)) from error
    if not text.strip():
        raise DataError("is empty", "give a file with records", where=str(found))
    return text


def read_lines(path: str | Path) -> list[Line]:
    """The lines of a text, the blank ones too.

    Raises:
        DataError: as `read_text`.
    """
    numbered = enumerate(read_text(path).split("\n"), start=1)
    return [(f"{path}:{number}", line.rstrip()) for number, line in numbered]


def read_blocks(path: str | Path) -> Iterator[list[Line]]:
    """The lines of each block; blocks are what blank lines separate.

    Raises:
        DataError: as `read_text`.
    """
    for filled, block in groupby(read_lines(path), key=lambda line: bool(line[1])):
        if filled:
            yield list(block)


def read_json(path: str | Path) -> Any:
    """The value of a JSON file.

    Raises:
        DataError: as `read_text`, or the text is not JSON; names the line.
    """
    return _parse(read_text(path), path)


def read_records(path: str | Path) -> list[Record]:
    """The records of a JSON array or of a JSON-lines file, whichever it is.

    Raises:
        DataError: as `read_json`, or something in it is not an object, or there is no record.
    """
    text = read_text(path)
    if text.lstrip().startswith("["):
        found = [(f"{path}: record {n}", value) for n, value in enumerate(_parse(text, path), start=1)]
    else:
        lines = ((n, line) for n, line in enumerate(text.split("\n"), start=1) if line.strip())
        found = [(f"{path}:{n}", _parse(line, path, n)) for n, line in lines]
    return _some([Record.of(value, where) for where, value in found], path)


def read_table(path: str | Path, header: Sequence[str] = ()) -> list[Record]:
    """The lines of a tab-separated file as records of strings, named by `header` or, without one, its first line.

    Raises:
        DataError: as `read_text`, a line has more or fewer cells than the header, or there is only a header.
    """
    return _table(path, header, "tab", delimiter="\t", quoting=csv.QUOTE_NONE)


def read_csv(path: str | Path) -> list[Record]:
    """The lines of a comma-separated file with quoted cells as records of strings, named by its header line.

    Raises:
        DataError: as `read_table`, or a quotation mark is not closed.
    """
    return _table(path, (), "comma", strict=True)


def _table(path: str | Path, header: Sequence[str], separator: str, **form: Any) -> list[Record]:
    lines = csv.reader(io.StringIO(read_text(path), newline="\n"), **form)
    records, line = [], 1
    try:
        header = header or next(lines)
        line = lines.line_num + 1
        for cells in lines:
            if cells:
                records.append(_table_record(header, cells, f"{path}:{line}", separator))
            line = lines.line_num + 1
    except csv.Error as error:
        raise DataError(f"is not {separator}-separated ({error})", where=f"{path}:{line}") from error
    return _some(records, path)


def find(path: Path) -> Path:
    """The file at this path, or the one with `.gz` added when there is none.

    Raises:
        DataError: there is neither, or it is a folder.
    """
    if path.is_dir():
        raise DataError("is a folder", "give the file inside it", where=str(path))
    zipped = path.with_name(path.name + ".gz")
    if path.exists() or zipped.exists():
        return path if path.exists() else zipped
    raise DataError(f"does not exist, nor does {zipped.name}", "check the path", where=str(path))


def _parse(text: str, path: str | Path, first_line: int = 1) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        where = f"{path}:{first_line + error.lineno - 1}"
        problem = f"is not JSON: {error.msg} at column {error.colno}"
        raise DataError(problem, "correct the line, or give one whole JSON value", where=where) from error
    except (ValueError, RecursionError) as error:
        # A number of thousands of digits, or brackets thousands deep.
        fix = "give numbers and values of a sensible size"
        raise DataError(f"cannot be read as JSON ({error})", fix, where=f"{path}:{first_line}") from error


def _table_record(header: Sequence[str], cells: list[str], where: str, separator: str) -> Record:
    if len(cells) == len(header):
        return Record(dict(zip(header, cells, strict=True)), where)
    problem = f"has {len(cells)} cells but must have {len(header)}: {', '.join(header)}"
    raise DataError(problem, f"separate the cells by {separator}s", where=where)


def _some(records: list[Record], path: str | Path) -> list[Record]:
    if not records:
        raise DataError("holds no record", "give a file with records", where=str(path))
    return records
