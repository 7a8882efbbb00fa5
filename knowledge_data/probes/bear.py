"""BEAR (Wiland et al. 2024): facts with a closed list of answers for each relation."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from knowledge_data.files import read_json
from knowledge_data.probes.pararel import relation_files, relation_of
from knowledge_data.probes.rows import ClozeProbe
from knowledge_data.reading import Reading, gather
from knowledge_data.records import Record
from knowledge_data.streams import stream_records

METADATA = "metadata_relations.json"


def read_bear(path: str | Path) -> Reading:
    """Read a folder with `P19.jsonl` … and `metadata_relations.json`; rows are `ClozeProbe` with ids and candidates.

    Raises:
        DataError: a record is malformed, a relation is not in the metadata, or an answer is not the one that its
            index says.
    """
    folder = Path(path)
    files = relation_files(folder)
    metadata = Record.of(read_json(folder / METADATA), str(folder / METADATA))
    return gather(ClozeProbe, (row for file in files for row in _rows(file, metadata)))


def _rows(file: Path, metadata: Record) -> Iterator[ClozeProbe]:
    relation = relation_of(file)
    told = metadata.inside(metadata.get(relation, dict), relation)
    phrasings, candidates = (tuple(told.items(field, str)) for field in ("templates", "answer_space_labels"))
    for record in stream_records(file):
        index = record.index("answer_idx", len(candidates), f"the relation has {len(candidates)} answers")
        object_ = record.get("obj_label", str)
        if candidates[index] != object_:
            fix = "give facts and metadata of the same release"
            raise record.error("answer_idx", f"says {candidates[index]!r} but the object is {object_!r}", fix)
        ids = record.get("sub_id", str), record.get("obj_id", str)
        subject = record.get("sub_label", str)
        yield record.make(ClozeProbe.of_one, relation, subject, object_, phrasings, ids, candidates)
