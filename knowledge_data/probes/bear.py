"""BEAR (Wiland et al. 2024): facts with a closed list of answers for each relation."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from knowledge_data.errors import DataError
from knowledge_data.files import read_json
from knowledge_data.probes.gathering import BAD_RELATION, made, read_rows, relation_records
from knowledge_data.probes.pararel import relation_files, relation_of
from knowledge_data.probes.rows import ClozeProbe
from knowledge_data.reading import Reading
from knowledge_data.records import Record
from knowledge_data.streams import Complain

METADATA = "metadata_relations.json"


def read_bear(path: str | Path, on_error: str = "raise") -> Reading:
    """Read a folder with `P19.jsonl` … and `metadata_relations.json`; rows are `ClozeProbe` with ids and candidates.

    Args:
        path: of the folder.
        on_error: `raise`, or `skip` what is malformed and count it.

    Raises:
        DataError: a record is malformed, a relation is not in the metadata, or an answer is not the one that its
            index says.
    """
    folder = Path(path)
    files = relation_files(folder)
    metadata = Record.of(read_json(folder / METADATA), str(folder / METADATA))
    return read_rows(ClozeProbe, lambda complain: _rows(files, metadata, complain), on_error)


def _rows(files: list[Path], metadata: Record, complain: Complain) -> Iterator[ClozeProbe]:
    for file in files:
        relation = relation_of(file)
        try:
            told = metadata.inside(metadata.get(relation, dict), relation)
            phrasings, candidates = (tuple(told.items(field, str)) for field in ("templates", "answer_space_labels"))
        except DataError as error:
            complain(BAD_RELATION, error)
        else:
            make = partial(_row, relation, phrasings, candidates)
            yield from made(relation_records(file, complain), make, complain)


def _row(relation: str, phrasings: tuple[str, ...], candidates: tuple[str, ...], record: Record) -> ClozeProbe:
    index = record.index("answer_idx", len(candidates), f"the relation has {len(candidates)} answers")
    object_ = record.get("obj_label", str)
    if candidates[index] != object_:
        fix = "give facts and metadata of the same release"
        raise record.error("answer_idx", f"says {candidates[index]!r} but the object is {object_!r}", fix)
    ids = record.get("sub_id", str), record.get("obj_id", str)
    subject = record.get("sub_label", str)
    return record.make(ClozeProbe.of_one, relation, subject, object_, phrasings, ids, candidates)
