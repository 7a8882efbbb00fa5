"""What an adapter was taught: a probe of what it was told is a test of memory, not of what it made of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kadapter.data import load_knowledge
from kadapter.errors import KadapterError
from kadapter.probing.items import Item
from kadapter.probing.plugged import has_fresh_head
from kadapter.probing.scoring import filled
from kadapter.registry import Registry
from knowledge_data import DataError, EntityFacts, Fact, Matcher, Names, content_hash, read_facts, row_facts

if TYPE_CHECKING:
    from datasets import Dataset

    from kadapter.knowledge import Knowledge
    from kadapter.model import KnowledgeModel

LEARNED = ("train", "validation")
"""The splits that an adapter was made by: the weights by one, which of them are kept by the other."""

ITSELF = "the model itself"
"""What is said to have been taught where it was no adapter: composition, backbone, a fresh head."""

BY_IDS, BY_NAMES, BY_TEXT = "by ids", "by names", "in a text"

Pair = tuple[str, str]


@dataclass
class Taught:
    """What was taught, by what it can be compared by.

    Attributes:
        ids: pairs of entities, sorted, that a fact relates.
        names: pairs of their names, in lower case.
        texts: sentences that were read in training.
        unknown: what an adapter was taught that cannot be known: name -> why.
    """

    ids: set[Pair] = field(default_factory=set)
    names: set[Pair] = field(default_factory=set)
    texts: list[str] = field(default_factory=list)
    unknown: dict[str, str] = field(default_factory=dict)

    def add_facts(self, facts: Iterable[Fact]) -> None:
        """Add facts with ids, names or both."""
        for fact in facts:
            if fact.subject and fact.object:
                self.ids.add(_pair(fact.subject, fact.object))
            if fact.subject_label and fact.object_label:
                self.names.add(_pair(_plain(fact.subject_label), _plain(fact.object_label)))

    def add_rows(self, rows: Dataset, holds: bool = True) -> None:
        """Add what a split says: its facts, if its rows have ids, and its texts, if they have a text.

        Rows that `hold` are text on which a model was kept as it is: they taught nothing, if the task `holds` any.
        """
        if holds and "hold" in rows.column_names:
            rows = rows.filter(lambda hold: not hold, input_columns="hold", load_from_cache_file=False)
        if {"subject_id", "object_id", "relation"} <= set(rows.column_names):
            self.add_facts(row_facts(rows))
        if "text" in rows.column_names:
            self.texts.extend(dict.fromkeys(rows["text"]))

    def among(self, items: Sequence[Item]) -> dict[int, str]:
        """Give the number of each item that was taught, and what shows it."""
        found = self._in_texts(items)
        for number, item in enumerate(items):
            if shown := self._as_fact(item):
                found[number] = shown
        return found

    def _as_fact(self, item: Item) -> str:
        if any(_pair(item.subject_id, right) in self.ids for right in item.right_ids if item.subject_id):
            return BY_IDS
        subject = _plain(item.subject)
        return BY_NAMES if any(_pair(subject, _plain(right)) in self.names for right in item.right) else ""

    def _in_texts(self, items: Sequence[Item]) -> dict[int, str]:
        """Find items whose subject and answer stand in one text, or whose whole sentence does when they have none."""
        said = {_plain(text) for text in self.texts}
        whole = (n for n, item in enumerate(items) if not item.subject and said and said & set(_sentences(item)))
        together = self._named_together(items)
        pairs = (
            n for n, item in enumerate(items) if together & {_pair(_plain(item.subject), r) for r in _rights(item)}
        )
        return dict.fromkeys([*whole, *pairs], BY_TEXT)

    def _named_together(self, items: Sequence[Item]) -> set[Pair]:
        asked = {_pair(_plain(item.subject), right) for item in items if item.subject for right in _rights(item)}
        names = sorted({name for pair in asked for name in pair})
        matcher, found = _matcher(names), set[Pair]()
        for text in self.texts:
            there = sorted({name for mention in matcher.find(text) for name in mention.entities})
            found |= {(one, other) for number, one in enumerate(there) for other in there[number + 1 :]} & asked
        return found


def records_of(model: KnowledgeModel) -> dict[str, Mapping[str, Any]]:
    """Give what each adapter says that it was trained on, and what is known of what else a model says things by."""
    records: dict[str, Mapping[str, Any]] = {own: adapter.trained_on for own, adapter in model.by_name().items()}
    itself = model.trained_on
    if itself is not None and _says_more(model):
        told = [one.get("recipe") for record in records.values() for one in _all_of(record)]
        if not itself or itself.get("recipe") not in told:
            records[ITSELF] = itself
    return records


def _says_more(model: KnowledgeModel) -> bool:
    """Say whether anything but adapters and the backbone as it was published has a say in what is asked."""
    learned = next(model.composition.parameters(), None) is not None
    return learned or model.backbone.info.tuned or has_fresh_head(model)


def taught_to(records: Mapping[str, Mapping[str, Any]], facts: Sequence[Path], registry: Registry) -> Taught:
    """Gather what adapters were taught.

    Args:
        records: name of an adapter -> what it says it was trained on.
        facts: files of more facts that were taught: triples, or folders of `kadapter data build` or `align`.
        registry: where sources are looked up.

    Raises:
        knowledge_data.DataError: a file of facts cannot be read.
    """
    taught = Taught()
    for path in facts:
        taught.add_facts(read_facts(path))
    for name, record in records.items():
        reasons = [_add_recorded(taught, one, registry) for one in _all_of(record)]
        if unknown := "; ".join(dict.fromkeys(filter(None, reasons))):
            taught.unknown[name] = unknown
    return taught


def _all_of(record: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Give the records of all trainings of an adapter, and of the members of a fusion: the latest last."""
    before = [one for one in record.get("before", ()) if isinstance(one, Mapping)]
    for one in before:
        yield from _all_of(one)
    if "recipe" in record or not before:
        yield record


def _add_recorded(taught: Taught, record: Mapping[str, Any], registry: Registry) -> str:
    """Add what an adapter's recipe says that it was taught; say why that cannot be known, else nothing."""
    said = record.get("recipe")
    recipe: Mapping[str, Any] = said if isinstance(said, Mapping) else {}
    source = recipe.get("source")
    if not isinstance(source, Mapping):
        return "nothing says what it was trained on"
    try:
        knowledge = load_knowledge(source, registry)
    except (KadapterError, DataError) as error:
        return f"its data is not there: {error}"
    task = recipe.get("task")
    holds = isinstance(task, Mapping) and bool(task.get("hold"))
    for split in LEARNED:
        taught.add_rows(knowledge.splits[split], holds)
    return _changed(knowledge, record.get("data"))


def _changed(knowledge: Knowledge, said: Any) -> str:
    then = said.get("content_hash") if isinstance(said, Mapping) else None
    now = knowledge.content_hash or content_hash(knowledge.splits)
    return "" if then in (None, now) else "its data has changed since"


def _matcher(names: Sequence[str]) -> Matcher:
    known = ((name, EntityFacts(label=name)) for name in names if name)
    return Matcher(Names.of(known, case="any", ambiguous="all", shortest=1, common=()))


def _sentences(item: Item) -> Iterator[str]:
    for sentence in item.sentences:
        yield from map(_plain, filled(sentence, item.right)[0])


def _rights(item: Item) -> Iterator[str]:
    return map(_plain, item.right)


def _pair(one: str, other: str) -> Pair:
    return (one, other) if one <= other else (other, one)


def _plain(text: str) -> str:
    return " ".join(text.casefold().split())
