"""LAMA (Petroni et al. 2019): Google-RE, T-REx, ConceptNet and SQuAD, as JSON lines of the published archive."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from knowledge_data.members import Member, members
from knowledge_data.probes.gathering import made, read_rows
from knowledge_data.probes.rows import OBJECT, ClozeProbe
from knowledge_data.reading import Reading, Skip
from knowledge_data.records import Record
from knowledge_data.streams import Complain, fail, stream_records

MASK = "[MASK]"

NO_PHRASING = "no phrasing with one blank"

RELATIONS = "relations.jsonl"

_GOOGLE_RE = {
    "/people/person/date_of_birth": "[X] (born [Y]).",
    "/people/person/place_of_birth": "[X] was born in [Y] .",
    "/people/deceased_person/place_of_death": "[X] died in [Y] .",
}
"""The templates that LAMA's own script uses; they stand in no file."""

_SQUAD = "Squad"


def read_lama(path: str | Path, templates: str | Path | None = None, on_error: str = "raise") -> Reading:
    """Read a file or a folder of LAMA, or its zip; rows are `ClozeProbe`.

    A record is of T-REx when it has `predicate_id`, of Google-RE when its `pred` is a path of Freebase, else of
    ConceptNet when it has `pred`, else of SQuAD. Facts of T-REx and Google-RE are asked by the template of their
    relation; where there is none, and for ConceptNet and SQuAD, by the masked sentences with one blank.

    Args:
        path: of the records; `relations.jsonl` among them is not one.
        templates: the file of the templates of T-REx; null looks for `relations.jsonl` in the folder.
        on_error: `raise`, or `skip` what is malformed and count it.

    Raises:
        DataError: a record is malformed; names file, line and field.
    """
    found = members(path, (".jsonl",))
    lists = [Member.of(templates)] if templates else [member for member in found if _is_list(member)]
    facts = [member for member in found if not _is_list(member)]
    return read_rows(ClozeProbe, lambda complain: _rows(facts, lists, complain), on_error)


def read_templates(source: str | Path | Member, complain: Complain = fail) -> dict[str, str]:
    """The template of each relation of a file such as LAMA's `relations.jsonl`.

    Raises:
        DataError: there is no such file; or what `complain` raises of a record that is malformed.
    """
    return dict(made(stream_records(source, complain), _template, complain))


def _rows(facts: list[Member], lists: list[Member], complain: Complain) -> Iterator[ClozeProbe | Skip]:
    known = dict(_GOOGLE_RE)
    for member in lists:
        known |= read_templates(member, complain)
    for member in facts:
        yield from made(stream_records(member, complain), lambda record: _row(record, known), complain)


def _is_list(member: Member) -> bool:
    return member.name.removesuffix(".gz").endswith(RELATIONS)


def _template(record: Record) -> tuple[str, str]:
    return record.get("relation", str), record.get("template", str)


def _row(record: Record, templates: Mapping[str, str]) -> ClozeProbe | Skip:
    trex = "predicate_id" in record.values
    relation = record.get("predicate_id", str) if trex else record.optional("pred", str, _SQUAD)
    template = templates.get(relation)
    phrasings = (template,) if template else tuple(_blanked(record, trex))
    if not phrasings:
        return Skip(NO_PHRASING)
    ids = ("", "")
    if trex:
        ids = record.optional("sub_uri", str, ""), record.optional("obj_uri", str, "")
    elif relation.startswith("/"):
        # Google-RE gives a Freebase id for the subject, and names the object.
        ids = record.optional("sub", str, ""), ""
    object_ = record.get("obj_label", str)
    return record.make(ClozeProbe.of_one, relation, _subject(record, relation), object_, phrasings, ids)


def _subject(record: Record, relation: str) -> str:
    if relation == _SQUAD:
        return ""
    # ConceptNet has no label beside the word itself.
    return record.get("sub_label", str) if "sub_label" in record.values else record.optional("sub", str, "")


def _blanked(record: Record, trex: bool) -> Iterator[str]:
    """Masked sentences with one blank, as phrasings; each once."""
    if trex:
        sentences = [evidence.get("masked_sentence", str) for evidence in record.records("evidences")]
    else:
        sentences = record.items("masked_sentences", str)
    for sentence in dict.fromkeys(sentences):
        if sentence.count(MASK) == 1 and OBJECT not in sentence and "[X]" not in sentence:
            yield sentence.replace(MASK, OBJECT)
