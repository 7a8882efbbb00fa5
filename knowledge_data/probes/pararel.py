"""ParaRel (Elazar et al. 2021): facts of LAMA's T-REx part, each asked in several phrasings."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from knowledge_data.errors import DataError
from knowledge_data.probes.lama import read_templates
from knowledge_data.probes.rows import ClozeProbe
from knowledge_data.reading import Reading, gather
from knowledge_data.streams import stream_records

_LAMA = "LAMA_relations.jsonl"


def read_pararel(path: str | Path) -> Reading:
    """Read a folder with `facts/P19.jsonl` … and `patterns/P19.jsonl` …; rows are `ClozeProbe`, without ids.

    A relation without patterns is asked by its template in `LAMA_relations.jsonl`, if there is one.

    Raises:
        DataError: a record is malformed, a folder is missing, or a relation has no phrasing.
    """
    folder = Path(path)
    facts = relation_files(folder / "facts")
    templates = read_templates(folder / _LAMA) if _is_there(folder / _LAMA) else {}
    return gather(ClozeProbe, (row for file in facts for row in _rows(file, folder / "patterns", templates)))


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


def _rows(file: Path, patterns: Path, templates: dict[str, str]) -> Iterator[ClozeProbe]:
    relation = relation_of(file)
    phrasings = tuple(_phrasings(patterns / f"{relation}.jsonl")) or tuple(filter(None, [templates.get(relation)]))
    if not phrasings:
        fix = f"give {patterns / f'{relation}.jsonl'}, or a template in {_LAMA}"
        raise DataError(f"holds facts of {relation}, which has no phrasing", fix, where=str(file))
    for record in stream_records(file):
        labels = record.get("sub_label", str), record.get("obj_label", str)
        yield record.make(ClozeProbe.of_one, relation, *labels, phrasings)


def _phrasings(file: Path) -> Iterator[str]:
    if _is_there(file):
        yield from (record.get("pattern", str) for record in stream_records(file))


def _is_there(file: Path) -> bool:
    return file.exists() or file.with_name(f"{file.name}.gz").exists()
