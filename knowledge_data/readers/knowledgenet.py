"""KnowledgeNet: web passages with facts marked by people."""

from __future__ import annotations

from itertools import chain
from pathlib import Path

from knowledge_data.files import read_table
from knowledge_data.reading import Reading, Skip, gather
from knowledge_data.records import Record
from knowledge_data.row import Span
from knowledge_data.rows import RelationRow

NO_FACT = "passage without a fact: nothing is marked"
NO_PASSAGE = "passage of the fact is missing"


def read_knowledgenet(folder: str | Path) -> Reading:
    """Read `passages.tsv`, `facts.tsv` and `no_fact.tsv` of a folder; each may be gzipped.

    A line of `no_fact.tsv` says that a passage holds no fact of a property. It marks no subject and no
    object, so it gives no row and is counted as skipped; so is a fact whose passage is missing.

    Raises:
        DataError: a file is missing or a line malformed; names file, line and field.
    """
    names = "passages.tsv", "facts.tsv", "no_fact.tsv"
    passages, facts, empty = (read_table(Path(folder, name)) for name in names)
    texts = {record.get("passage_id", str): record.get("text", str) for record in passages}
    return gather(RelationRow, chain((_outcome(fact, texts) for fact in facts), (Skip(NO_FACT) for _ in empty)))


def _outcome(fact: Record, texts: dict[str, str]) -> RelationRow | Skip:
    text = texts.get(fact.get("passage_id", str))
    if text is None:
        return Skip(NO_PASSAGE)
    ids = fact.get("subject_wikidata", str), fact.get("object_wikidata", str)
    return fact.row(text, _span(fact, "subject"), _span(fact, "object"), fact.get("property", str), ids)


def _span(fact: Record, role: str) -> Span:
    start, end = (fact.number(f"{role}_{side}", "count characters from 0") for side in ("start", "end"))
    return start, end
