"""Triples as a stream: from files of any size, one triple in memory at a time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import chain
from pathlib import Path

from knowledge_data.errors import DataError
from knowledge_data.files import find
from knowledge_data.graphs.columns import ROLES, check_columns
from knowledge_data.graphs.folders import STREAMED, format_of, split_files
from knowledge_data.graphs.graph import Triple
from knowledge_data.graphs.jsonlines import scan_json_lines
from knowledge_data.graphs.ntriples import scan_ntriples
from knowledge_data.graphs.scan import Found, Scan
from knowledge_data.graphs.separated import scan_separated
from knowledge_data.members import Member
from knowledge_data.streams import complaints

EMPTY = "empty subject, relation or object"
SELF_LOOP = "self-loop: subject and object are the same"

SCANS: Mapping[str, Callable[[Scan], Iterator[Found]]] = {
    "csv": partial(scan_separated, form="csv"),
    "tsv": partial(scan_separated, form="tsv"),
    "txt": partial(scan_separated, form="txt"),
    "jsonl": scan_json_lines,
    "nt": scan_ntriples,
}
"""Format -> what finds triples in a file of it."""


def iter_triples(
    path: str | Path,
    *,
    format: str | None = None,
    on_error: str = "raise",
    columns: Sequence[str] | None = None,
    report: Counter[str] | None = None,
) -> Iterator[Triple]:
    """Every triple of a file, or of the train, valid and test files of a folder, one by one.

    Memory stays the same however large the file is; so a triple that stands there twice is given twice. A self-loop is
    never given, but counted; as is a literal of N-Triples.

    Args:
        path: a file, plain or gzipped; or a folder.
        format: `csv`, `tsv`, `txt` (tabs or spaces), `jsonl` or `nt`; by default, what the file's name says.
        on_error: what to do about a record that is none: `raise` the error, or `skip` it and count it in `report`. The
            error is always raised when not one triple is left.
        columns: the names of the columns of subject, relation and object, or their places, counted from 1. By
            default, names that are known (head, relation, tail and their like) in the first line, or three columns
            without names.
        report: counts what is left out, by reason.

    Raises:
        DataError: there is no such file or format, at once; while triples are taken, a record that is none, or a file
            that breaks off, is not UTF-8 or holds no triple.
    """
    skipped: Counter[str] = Counter() if report is None else report
    complain = complaints(on_error, skipped)
    check_columns(columns)
    files = streamed_files(path, format)
    scans = [(SCANS[form], Scan(Member.of(file), complain, skipped, columns)) for file, form in files]
    return chain.from_iterable(_some(usable(read(scan), scan), scan) for read, scan in scans)


def is_streamed(path: str | Path, format: str | None = None) -> bool:
    """Tell whether `iter_triples` reads this; what it does not, `read_graph` reads as a whole.

    Raises:
        DataError: there is no such file or folder, or nothing says its format.
    """
    files = [*split_files(Path(path)).values()] if Path(path).is_dir() else [find(Path(path))]
    return all((format or format_of(file)) in STREAMED.values() for file in files)


def streamed_files(path: str | Path, format: str | None) -> list[tuple[Path, str]]:
    """Give the files to stream, and the format of each.

    Raises:
        DataError: there is none, or one is of another format.
    """
    if format is not None and format not in SCANS:
        raise DataError(f"format={format!r} cannot be read line by line", f"choose {', '.join(SCANS)}")
    files = [*split_files(Path(path)).values()] if Path(path).is_dir() else [find(Path(path))]
    return [(file, format or format_of(file, STREAMED)) for file in files]


def usable(found: Iterable[Found], scan: Scan) -> Iterator[Triple]:
    """What is found as triples, without white space around; complains of what is empty, counts self-loops."""
    for number, subject, relation, object_ in found:
        subject, relation, object_ = subject.strip(), relation.strip(), object_.strip()
        if not (subject and relation and object_):
            role = ROLES[(subject, relation, object_).index("")]
            fix = "give every triple a subject, a relation and an object"
            scan.complain(EMPTY, DataError("is empty", fix, where=scan.at(number), field=role))
        elif subject == object_:
            scan.skipped[SELF_LOOP] += 1
        else:
            yield Triple(subject, relation, object_)


def _some(triples: Iterator[Triple], scan: Scan) -> Iterator[Triple]:
    before = scan.skipped.copy()
    first = next(triples, None)
    if first is None:
        raise nothing_left(scan.skipped - before, scan.member.name)
    yield first
    yield from triples


def nothing_left(skipped: Counter[str], name: str) -> DataError:
    """Give the error that says that a file holds no triple, and why not."""
    if not skipped:
        return DataError("holds no triple", "give a file with triples", where=name)
    reasons = ", ".join(f"{reason} ({count})" for reason, count in skipped.most_common())
    return DataError(f"gives no triple, only what is left out: {reasons}", "give a file with triples", where=name)
