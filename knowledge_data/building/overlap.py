"""What a training set and a probe set share: a probe is no test of what was not taught when its facts were."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

from datasets import Dataset

from knowledge_data.building.built import read_built
from knowledge_data.errors import DataError
from knowledge_data.provenance import read_provenance
from knowledge_data.readers import READERS
from knowledge_data.rows import columns
from knowledge_data.split import unordered
from knowledge_data.triples.inputs import read_inputs
from knowledge_data.triples.options import GraphOptions

By = Literal["ids", "labels"]


class Fact(NamedTuple):
    """A fact as some data set says it; what it does not say is empty."""

    subject: str
    relation: str
    object: str
    subject_label: str = ""
    object_label: str = ""


@dataclass(frozen=True)
class Overlap:
    """What is shared.

    Attributes:
        by: whether ids were compared, or labels without regard to case.
        training: how many facts the training set has.
        probe: how many the probe set has; those that lack what is compared are in `unknown`.
        unknown: facts of both sets that have no id or no label.
        probe_pairs: how many unordered pairs the probe set is about.
        pairs: those that the training set is about too, sorted.
        triples: facts of the probe set that the training set has in the same words, with relation and direction.
    """

    by: By
    training: int
    probe: int
    unknown: int
    probe_pairs: int
    pairs: list[tuple[str, str]]
    triples: list[tuple[str, str, str]]

    def as_dict(self) -> dict[str, Any]:
        """Give plain values, ready for JSON."""
        share = len(self.pairs) / self.probe_pairs if self.probe_pairs else 0.0
        return {**vars(self), "pairs_share": round(share, 4)}


def overlap(training: Iterable[Fact], probe: Iterable[Fact], by: By = "ids") -> Overlap:
    """Report the pairs and triples of `probe` that `training` has too; of both, only the probe is held in memory."""
    asked, unknown = list(probe), 0
    known = [triple for fact in asked if (triple := _triple(fact, by))]
    unknown += len(asked) - len(known)
    pairs, triples = {unordered(one, other) for one, _, other in known}, set(known)
    shared_pairs, shared_triples, count = set[tuple[str, str]](), set[tuple[str, str, str]](), 0
    for fact in training:
        count += 1
        triple = _triple(fact, by)
        if triple is None:
            unknown += 1
        elif (pair := unordered(triple[0], triple[2])) in pairs:
            shared_pairs.add(pair)
            if triple in triples:
                shared_triples.add(triple)
    return Overlap(by, count, len(asked), unknown, len(pairs), sorted(shared_pairs), sorted(shared_triples))


def read_facts(path: str | Path, labels: str | None = None) -> Iterator[Fact]:
    """Give the facts of a data set that was built, of aligned rows, or of a graph. For probes there is `probe_facts`.

    Args:
        path: folder of `kadapter data build` or `kadapter data align`; or file or folder of triples.
        labels: side file with the labels of a graph's entities; without one, ids are labels.

    Raises:
        DataError: it cannot be read, or its rows say no pairs.
    """
    path = Path(path)
    if "files" in (told := read_provenance(path) if path.is_dir() else {}):
        for name, rows in read_built(path).splits.items():
            yield from row_facts(rows, f"{path}/{name}")
    elif told:
        yield from row_facts(READERS["relation-rows"](path).rows, str(path))
    else:
        options = GraphOptions(labels=labels, negatives=0)
        inputs = read_inputs(path, options, Counter())
        for subject, relation, object_ in inputs.triples():
            yield Fact(subject, relation, object_, inputs.name(subject), inputs.name(object_))


def row_facts(rows: Dataset, where: str = "") -> Iterator[Fact]:
    """Give the facts of rows with ids; labels where both spans are marked.

    Raises:
        DataError: the rows have no ids.
    """
    if not {"subject_id", "object_id"} <= set(rows.column_names):
        problem = f"has rows without subject_id and object_id, but with {', '.join(rows.column_names)}"
        raise DataError(problem, "give relation sentences or cloze rows", where=where)
    if "subject_start" not in rows.column_names:
        yield from (Fact(*ids) for ids in columns(rows, "subject_id", "relation", "object_id"))
        return
    names = "subject_id", "relation", "object_id", "text", "subject_start", "subject_end", "object_start", "object_end"
    for subject, relation, object_, text, start, end, object_start, object_end in columns(rows, *names):
        yield Fact(subject, relation, object_, text[start:end], text[object_start:object_end])


def _triple(fact: Fact, by: By) -> tuple[str, str, str] | None:
    one, other = (fact.subject, fact.object) if by == "ids" else (fact.subject_label, fact.object_label)
    if by == "labels":
        one, other = " ".join(one.casefold().split()), " ".join(other.casefold().split())
    return (one, fact.relation, other) if one and other else None
