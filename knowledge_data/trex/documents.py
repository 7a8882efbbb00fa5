"""The published T-REx dump (Elsahar et al. 2018): Wikipedia abstracts, and the Wikidata triples found in them."""

from __future__ import annotations

import reprlib
from bisect import bisect_left
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple, TypeGuard

from knowledge_data.errors import DataError
from knowledge_data.members import members
from knowledge_data.reading import DUPLICATE, Skip
from knowledge_data.records import Record
from knowledge_data.row import Span, check_unicode
from knowledge_data.rows import join_tokens
from knowledge_data.streams import Complain, fail, stream_records

OTHER_ALIGNER = "triple of an aligner that was not asked for"
NOT_PLACED = "triple whose subject or object has no place in the text"
OTHER_SENTENCE = "triple that leaves its sentence"
INSIDE_WORD = "entity that begins or ends inside a word"
SAME_ENTITY = "triple of an entity with itself"
BAD_TRIPLE = "malformed triple"
BAD_DOCUMENT = "malformed document"


class Example(NamedTuple):
    """One triple in its sentence. The fields are those of T-REx-rc; positions count tokens, ends are inclusive.

    Attributes:
        docid: the Wikidata id of the article.
        token: the words of the sentence.
        relation: a Wikidata property, such as `P17`.
        subj_start, subj_end, obj_start, obj_end: which words name subject and object.
        subj_label, obj_label: their Wikidata ids; the value of a date or a number.
    """

    docid: str
    token: tuple[str, ...]
    relation: str
    subj_start: int
    subj_end: int
    obj_start: int
    obj_end: int
    subj_label: str
    obj_label: str


def stream_examples(
    path: str | Path, aligners: Collection[str] = (), complain: Complain = fail
) -> Iterator[Example | Skip]:
    """Give each triple of a dump as an example, or why it is none; only one document is in memory at a time.

    Args:
        path: the dump: a folder of JSON files, a zip of them, or one file; each may be gzipped.
        aligners: the annotators whose triples are wanted, such as `Simple-Aligner`; empty for all.
        complain: takes documents and triples that are malformed, and files that break off.

    Raises:
        DataError: there is no dump; or what `complain` raises.
    """
    for member in members(path, (".json", ".jsonl")):
        for record in stream_records(member, complain):
            try:
                document = _Document.of(record)
            except DataError as error:
                complain(BAD_DOCUMENT, error)
            else:
                yield from _examples(document, aligners, complain)


class _Sentence(NamedTuple):
    """The words of a sentence; and which word begins, and which ends, at a character of the document."""

    span: Span
    tokens: tuple[str, ...]
    begins: dict[int, int]
    ends: dict[int, int]


@dataclass(frozen=True)
class _Document:
    id: str
    text: str
    sentences: list[Span]
    words: list[Span]
    triples: list[Record]

    @classmethod
    def of(cls, record: Record) -> _Document:
        text = record.get("text", str)
        sentences, words = (_spans(record, f"{field}_boundaries", len(text)) for field in ("sentences", "words"))
        identifier = _identifier(record.get("docid", str))
        record.make(check_unicode, "docid", identifier)
        return cls(identifier, text, sentences, sorted(words), record.records("triples"))

    @cached_property
    def found(self) -> dict[int, _Sentence]:
        """The sentences that were looked at."""
        return {}

    def sentence(self, number: int) -> _Sentence:
        if number not in self.found:
            self.found[number] = self._look_at(*self.sentences[number])
        return self.found[number]

    def _look_at(self, start: int, end: int) -> _Sentence:
        first, behind = (bisect_left(self.words, (place, 0)) for place in (start, end))
        words = [(a, b) for a, b in self.words[first:behind] if b <= end and self.text[a:b].strip()]
        begins, ends = ({word[side]: i for i, word in enumerate(words)} for side in (0, 1))
        return _Sentence((start, end), tuple(self.text[a:b] for a, b in words), begins, ends)


def _examples(document: _Document, aligners: Collection[str], complain: Complain) -> Iterator[Example | Skip]:
    seen = set[Example]()
    for triple in document.triples:
        try:
            outcome = _example(document, triple, aligners)
        except DataError as error:
            complain(BAD_TRIPLE, error)
            continue
        if isinstance(outcome, Example):
            # Two aligners often find the same triple.
            yield Skip(DUPLICATE) if outcome in seen else outcome
            seen.add(outcome)
        else:
            yield outcome


def _example(document: _Document, triple: Record, aligners: Collection[str]) -> Example | Skip:
    if aligners and triple.optional("annotator", str, "") not in aligners:
        return Skip(OTHER_ALIGNER)
    subject, predicate, object_ = (triple.inside(triple.get(x, dict), x) for x in ("subject", "predicate", "object"))
    if not (subject.values.get("boundaries") and object_.values.get("boundaries")):
        return Skip(NOT_PLACED)
    subject_id, object_id = (_identifier(entity.get("uri", str)) for entity in (subject, object_))
    if subject_id == object_id:
        return Skip(SAME_ENTITY)
    whole = f"the document has {len(document.sentences)} sentences"
    sentence = document.sentence(triple.index("sentence_id", len(document.sentences), whole))
    places = [_place(entity, sentence, len(document.text)) for entity in (subject, object_)]
    for place in places:
        if isinstance(place, Skip):
            return place
    spans = [place for place in places if not isinstance(place, Skip)]
    relation = _identifier(predicate.get("uri", str))
    row = triple.row(*_said(sentence, spans), relation, (subject_id, object_id))
    if row.flaw:
        return Skip(row.flaw)
    return Example(document.id, sentence.tokens, relation, *spans[0], *spans[1], subject_id, object_id)


def _said(sentence: _Sentence, spans: list[Span]) -> tuple[str, Span, Span]:
    text, (subject, object_) = join_tokens(sentence.tokens, *spans)
    return text, subject, object_


def _place(entity: Record, sentence: _Sentence, size: int) -> Span | Skip:
    """Which words of the sentence an entity takes, ends inclusive."""
    value = entity.values["boundaries"]
    if not _is_span(value, size):
        raise _no_span(entity, "boundaries", value, size)
    start, end = value
    if start < sentence.span[0] or end > sentence.span[1]:
        return Skip(OTHER_SENTENCE)
    if start not in sentence.begins or end not in sentence.ends:
        return Skip(INSIDE_WORD)
    return sentence.begins[start], sentence.ends[end]


def _spans(record: Record, field: str, size: int) -> list[Span]:
    values = record.get(field, list)
    for number, value in enumerate(values):
        if not _is_span(value, size):
            raise _no_span(record, f"{field}[{number}]", value, size)
    return [(start, end) for start, end in values]


def _is_span(value: object, size: int) -> TypeGuard[list[int]]:
    return (
        isinstance(value, list)
        and len(value) == 2
        and type(value[0]) is type(value[1]) is int
        and 0 <= value[0] <= value[1] <= size
    )


def _no_span(record: Record, field: str, value: object, size: int) -> DataError:
    problem = f"is {reprlib.repr(value)} but the text has {size} characters"
    return record.error(field, problem, "give [start, end], counted from 0")


def _identifier(uri: str) -> str:
    """`Q142` of `http://www.wikidata.org/entity/Q142`, and the value of a literal such as `1965-07-06^^…#date`."""
    value, literal, _ = uri.partition("^^")
    return value if literal else value.rstrip("/").rpartition("/")[2]
