"""Re-DocRED: Wikipedia paragraphs with entities and relations, read as pairs within one sentence."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from itertools import chain, permutations, product
from pathlib import Path
from random import Random
from typing import NamedTuple

from knowledge_data.errors import DataError
from knowledge_data.files import read_records
from knowledge_data.reading import Reading, Skip, gather
from knowledge_data.records import Record
from knowledge_data.rows import NO_RELATION, RelationRow, join_tokens

NO_COMMON_SENTENCE = "no sentence holds both entities"


def read_redocred(path: str | Path, negatives: float = 0.0, seed: int = 0) -> Reading:
    """Read each relation whose entities are named in one sentence, an evidence sentence where there is one.

    The relation is a Wikidata property such as `P17`; a pair with several relations gives a row for each.
    The file has no entity ids: the id is the case-folded name that the document first gives the entity.

    Args:
        path: the JSON file.
        negatives: how many `no_relation` rows to add for each related one, drawn from the pairs of entities
            in one sentence that have no relation in either direction; fewer when there are not so many.
        seed: of that draw.

    Raises:
        DataError: a document is malformed; names file, record and field. Or `negatives` is below 0.
    """
    if negatives < 0:
        raise DataError(f"negatives={negatives} is below 0", "give how many to add for each related row")
    documents = [_document(record) for record in read_records(path)]
    related = [_row(document, fact) for document in documents for fact in document.facts]
    usable = sum(isinstance(outcome, RelationRow) and not outcome.overlaps for outcome in related)
    return gather(RelationRow, chain(related, _draw_unrelated(documents, round(negatives * usable), seed)))


class _Mention(NamedTuple):
    """Where an entity is named: the sentence, its first and last token there, and how it is called."""

    sentence: int
    first: int
    last: int
    name: str

    def overlaps(self, other: _Mention) -> bool:
        return self.first <= other.last and other.first <= self.last


class _Fact(NamedTuple):
    """Two entities of a document, by number, their relation, and the sentences that show it."""

    head: int
    tail: int
    relation: str
    evidence: Collection[int] = ()


@dataclass(frozen=True)
class _Document:
    record: Record
    sentences: list[list[str]]
    entities: list[list[_Mention]]
    facts: list[_Fact]


def _document(record: Record) -> _Document:
    sentences = record.groups("sents", str)
    entities = [
        [_mention(record.inside(item, f"vertexSet[{i}][{j}]"), sentences) for j, item in enumerate(group)]
        for i, group in enumerate(record.groups("vertexSet", dict))
    ]
    if [] in entities:
        raise record.error(f"vertexSet[{entities.index([])}]", "is empty", "give each entity a mention")
    facts = [_fact(label, len(entities)) for label in record.records("labels")]
    return _Document(record, sentences, entities, facts)


def _mention(record: Record, sentences: list[list[str]]) -> _Mention:
    sentence = record.index("sent_id", len(sentences), f"the document has {len(sentences)} sentences")
    position = record.items("pos", int)
    size = len(sentences[sentence])
    if len(position) != 2 or not 0 <= position[0] < position[1] <= size:
        problem = f"is {position} but the sentence has {size} tokens"
        raise record.error("pos", problem, "give the first token and the one after the last")
    return _Mention(sentence, position[0], position[1] - 1, record.get("name", str))


def _fact(label: Record, entities: int) -> _Fact:
    head, tail = (label.index(end, entities, f"the document has {entities} entities") for end in ("h", "t"))
    evidence = label.items("evidence", int) if "evidence" in label.values else []
    return _Fact(head, tail, label.get("r", str), evidence)


def _row(document: _Document, fact: _Fact) -> RelationRow | Skip:
    head, tail = document.entities[fact.head], document.entities[fact.tail]
    pair = _nearest(head, tail, fact.evidence)
    if pair is None:
        return Skip(NO_COMMON_SENTENCE)
    tokens = document.sentences[pair[0].sentence]
    text, (subject, object_) = join_tokens(tokens, *((mention.first, mention.last) for mention in pair))
    ids = head[0].name.casefold(), tail[0].name.casefold()
    return document.record.row(text, subject, object_, fact.relation, ids)


def _nearest(
    head: list[_Mention], tail: list[_Mention], evidence: Collection[int] = ()
) -> tuple[_Mention, _Mention] | None:
    """Mentions of both in one sentence: apart rather than overlapping, then in evidence, then the first."""

    def cost(pair: tuple[_Mention, _Mention]) -> tuple[bool, bool, tuple[_Mention, _Mention]]:
        return pair[0].overlaps(pair[1]), pair[0].sentence not in evidence, pair

    pairs = ((one, other) for one, other in product(head, tail) if one.sentence == other.sentence)
    return min(pairs, key=cost, default=None)


def _draw_unrelated(documents: list[_Document], wanted: int, seed: int) -> Iterator[RelationRow | Skip]:
    if not wanted:
        return
    spare = [(document, fact) for document in documents for fact in _unrelated(document)]
    for document, fact in Random(seed).sample(spare, min(wanted, len(spare))):
        yield _row(document, fact)


def _unrelated(document: _Document) -> Iterator[_Fact]:
    """Pairs of entities that stand apart in one sentence and have no relation in either direction."""
    related = {frozenset((fact.head, fact.tail)) for fact in document.facts}
    for head, tail in permutations(range(len(document.entities)), 2):
        pair = _nearest(document.entities[head], document.entities[tail])
        if frozenset((head, tail)) not in related and pair and not pair[0].overlaps(pair[1]):
            yield _Fact(head, tail, NO_RELATION)
