"""What is asked for: rows of probes as items, each one fact or one pair of sentences, in all its phrasings."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from kadapter.errors import ConfigError
from knowledge_data import DataError

if TYPE_CHECKING:
    from datasets import Dataset

SUBJECT, BLANK = "[X]", "[Y]"

NO_PHRASING = "no phrasing"
NO_ANSWER = "no right answer"


@dataclass(frozen=True)
class Item:
    """One thing to ask, in one or several phrasings.

    Attributes:
        relation: or phenomenon: what scores are given by.
        right: what may be said; a name or more.
        choices: what is chosen from; none when any word may be said.
        sentences: each with one `[Y]` where the answer stands.
        subject: what the fact is about; empty when it is about nothing in particular.
        subject_id: where the probe gives one.
        right_ids: an id for each name of `right`, or none.
        whole: whether choices are compared by the likelihood of the whole sentence and by nothing else.
    """

    relation: str
    right: tuple[str, ...]
    choices: tuple[str, ...]
    sentences: tuple[str, ...]
    subject: str = ""
    subject_id: str = ""
    right_ids: tuple[str, ...] = ()
    whole: bool = False


def items_of(rows: Dataset) -> tuple[list[Item], Counter[str]]:
    """Give the items of `ClozeProbe` or `MinimalPair` rows, and how many rows give none, by reason.

    Raises:
        knowledge_data.DataError: the rows are of another kind.
    """
    columns = set(rows.column_names)
    if columns >= {"good", "bad", "phenomenon"}:
        return [_pair(row) for row in rows], Counter()
    if not columns >= {"relation", "objects", "candidates", "phrasings"}:
        raise DataError(f"the rows have columns {', '.join(rows.column_names)}", "give ClozeProbe or MinimalPair rows")
    return _sorted_out(map(_fact, rows))


def _pair(row: dict[str, str]) -> Item:
    pair = row["good"], row["bad"]
    return Item(row["phenomenon"], pair[:1], pair, (BLANK,), whole=True)


def _fact(row: dict[str, Any]) -> Item:
    sentences = tuple(phrasing.replace(SUBJECT, row["subject"]) for phrasing in row["phrasings"])
    right, choices, ids = (tuple(row[name]) for name in ("objects", "candidates", "object_ids"))
    return Item(row["relation"], right, choices, sentences, row["subject"], row["subject_id"], ids)


def _sorted_out(items: Iterable[Item]) -> tuple[list[Item], Counter[str]]:
    kept, skipped = list[Item](), Counter[str]()
    for item in items:
        reason = NO_PHRASING if not item.sentences else NO_ANSWER if not item.right else ""
        if reason:
            skipped[reason] += 1
        else:
            kept.append(item)
    return kept, skipped


def with_choices(items: Sequence[Item]) -> list[Item]:
    """Give items without choices those of their relation: all that is right for some item of it (as ParaRel does)."""
    answers = defaultdict[str, dict[str, None]](dict)
    for item in items:
        answers[item.relation] |= dict.fromkeys(item.right)
    lists = {relation: tuple(sorted(names)) for relation, names in answers.items()}
    return [item if item.choices else replace(item, choices=lists[item.relation]) for item in items]


def of_relations(items: Sequence[Item], relations: Sequence[str]) -> list[Item]:
    """Give the items of these relations; all when none are named.

    Raises:
        ConfigError: there is no item of one.
    """
    there = dict.fromkeys(item.relation for item in items)
    for name in relations:
        if name not in there:
            raise ConfigError(f"nothing is asked about '{name}'; there are {', '.join(list(there)[:100])}")
    return [item for item in items if not relations or item.relation in relations]


def drawn(items: Sequence[Item], limit: int | None, seed: int) -> list[Item]:
    """Give at most `limit` items of each relation, drawn by the seed, in their order."""
    if limit is None:
        return list(items)
    kept = {number for of_relation in _numbers(items) for number in _draw(of_relation, limit, seed)}
    return [item for number, item in enumerate(items) if number in kept]


def _numbers(items: Sequence[Item]) -> Iterator[list[int]]:
    found = defaultdict[str, list[int]](list)
    for number, item in enumerate(items):
        found[item.relation].append(number)
    yield from found.values()


def _draw(numbers: Sequence[int], limit: int, seed: int) -> Sequence[int]:
    return random.Random(seed).sample(numbers, limit) if len(numbers) > limit else numbers
