"""The facts that a probe asks for, so that they can be compared with those that were taught."""

from __future__ import annotations

from collections.abc import Iterator

from datasets import Dataset

from knowledge_data.building.overlap import Fact
from knowledge_data.rows import columns


def probe_facts(rows: Dataset) -> Iterator[Fact]:
    """Give a fact for each name of each object of `ClozeProbe` rows that have a subject.

    Raises:
        DataError: the rows are of another kind.
    """
    names = "relation", "subject", "subject_id", "objects", "object_ids"
    for relation, subject, subject_id, objects, object_ids in columns(rows, *names):
        ids = object_ids or [""] * len(objects)
        if subject:
            for object_, object_id in zip(objects, ids, strict=True):
                yield Fact(subject_id, relation, object_id, subject, object_)
