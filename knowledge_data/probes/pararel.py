"""ParaRel (Elazar et al. 2021): facts of LAMA's T-REx part, each asked in several phrasings."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from knowledge_data.errors import DataError
from knowledge_data.probes.gathering import BAD_RELATION, made, read_rows, relation_records
from knowledge_data.probes.lama import read_templates
from knowledge_data.probes.rows import ClozeProbe
from knowledge_data.reading import Reading
from knowledge_data.records import Record
from knowledge_data.streams import Complain, stream_records

_LAMA = "LAMA_relations.jsonl"


def read_pararel(path: str | Path, on_error: str = "raise") -> Reading:
    """Read a folder with `facts/P19.jsonl` … and `patterns/P19.jsonl` …; rows are `ClozeProbe`, without ids.

    A relation without patterns is asked by its template in `LAMA_relations.jsonl`, if there is one.

    Args:
        path: of the folder.
        on_error: `raise`, or `skip` what is malformed, relations without a phrasing too, and count it.

    Raises:
        DataError: a record is malformed, a folder is missing, or a relation has no phrasing.
    """
    folder = Path(path)
    facts = relation_files(folder / "facts")
    return read_rows(ClozeProbe, lambda complain: _all_rows(folder, facts, complain), on_error)


def relation_files(folder: Path) -> list[Path]:
    """The files of a folder that are named after relations, `P19.jsonl` or `P19.jsonl.gz`, in name order.

    Raises:
        DataError: there is none.
    """
    found = [path for path in folder.glob("P*.jsonl*") if relation_of(path)] if folder.is_dir() else []
    if not found:
        raise DataError("holds no P*.jsonl", "give the folder as it was published", where=str(folder))
    return sorted(found)


def relation_of(path: Path) -> str:
    """`P19` of `facts/P19.jsonl`; empty when the name is no such."""
    name = path.name.removesuffix(".gz")
    relation = name.removesuffix(".jsonl")
    return relation if name.endswith(".jsonl") and relation[1:].isdigit() else ""


def _all_rows(folder: Path, facts: list[Path], complain: Complain) -> Iterator[ClozeProbe]:
    templates = read_templates(folder / _LAMA, complain) if _is_there(folder / _LAMA) else {}
    for file in facts:
        patterns, relation = folder / "patterns" / f"{relation_of(file)}.jsonl", relation_of(file)
        phrasings = tuple(_phrasings(patterns, complain)) or tuple(filter(None, [templates.get(relation)]))
        if phrasings:
            yield from made(relation_records(file, complain), partial(_row, relation, phrasings), complain)
        else:
            fix = f"give {patterns}, or a template in {_LAMA}"
            complain(BAD_RELATION, DataError(f"holds facts of {relation}, which has no phrasing", fix, where=str(file)))


def _row(relation: str, phrasings: tuple[str, ...], record: Record) -> ClozeProbe:
    labels = record.get("sub_label", str), record.get("obj_label", str)
    return record.make(ClozeProbe.of_one, relation, *labels, phrasings)


def _phrasings(file: Path, complain: Complain) -> Iterator[str]:
    if _is_there(file):
        yield from made(stream_records(file, complain), lambda record: record.get("pattern", str), complain)


def _is_there(file: Path) -> bool:
    return file.exists() or file.with_name(f"{file.name}.gz").exists()
