"""Saying a fact in a sentence, with the spans of its two entities known while it is written."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from string import Formatter

from knowledge_data.errors import DataError
from knowledge_data.row import Span
from knowledge_data.rows import RelationRow


@dataclass(frozen=True)
class Entity:
    """Something a sentence can name.

    Attributes:
        id: tells it from all other entities.
        name: how it is called; the span covers this and nothing else.
        article: what stands before the name, such as `the`; empty for none.
    """

    id: str
    name: str
    article: str = ""


def say(template: str, subject: Entity, object_: Entity, relation: str) -> RelationRow:
    """The sentence that `template` makes of two entities; it has one `{subject}` and one `{object}`.

    An article that opens the sentence is capitalised. The row's `phrasing` is the template.

    Raises:
        DataError: a placeholder is missing, given twice or unknown.
    """
    text, spans = "", dict[str, Span]()
    for literal, role in _pieces(template):
        text += literal
        if role:
            entity = subject if role == "subject" else object_
            text += _article(entity, opens=not text)
            spans[role] = (len(text), len(text) + len(entity.name))
            text += entity.name
    ids = subject.id, object_.id
    return RelationRow.of_spans(text, spans["subject"], spans["object"], relation, ids, template)


def check_template(template: str) -> None:
    """Make sure that a sentence can be made of a template.

    Raises:
        DataError: a placeholder is missing, given twice or unknown.
    """
    _pieces(template)


# A file has a few hundred templates, each of which says millions of facts.
@lru_cache(maxsize=10_000)
def _pieces(template: str) -> tuple[tuple[str, str | None], ...]:
    """The template's literal texts, each with the placeholder that follows it; none follows the last."""
    try:
        pieces = [(literal, role) for literal, role, *_ in Formatter().parse(template)]
    except ValueError as error:
        raise DataError(f"template {template!r} cannot be read: {error}", "close every brace") from error
    if sorted(role for _, role in pieces if role is not None) != ["object", "subject"]:
        fix = "write {subject} once and {object} once"
        raise DataError(f"template {template!r} does not name both entities", fix)
    return tuple(pieces)


def _article(entity: Entity, opens: bool) -> str:
    article = f"{entity.article} " if entity.article else ""
    return article.capitalize() if opens else article
