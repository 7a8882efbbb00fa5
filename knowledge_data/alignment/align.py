"""Distant supervision: a sentence that names two entities is taken to state what the graph says of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import combinations, product
from typing import Any

from knowledge_data.alignment.matcher import Matcher, Mention
from knowledge_data.alignment.names import Names
from knowledge_data.alignment.sentences import sentence_spans
from knowledge_data.draws import rank
from knowledge_data.errors import DataError
from knowledge_data.files import Line
from knowledge_data.graphs.graph import KnowledgeGraph
from knowledge_data.row import Span
from knowledge_data.rows import NO_RELATION, RelationRow
from knowledge_data.split import Pair, unordered
from knowledge_data.streams import Complain, fail

FEW_ENTITIES = "sentence that names fewer than two entities"
MANY_MENTIONS = "sentence that names too many entities"
NOT_RELATED = "sentence whose entities the graph does not relate"
NO_UNICODE = "text that is no valid Unicode"

_Mentions = tuple[Mention, Mention]


@dataclass(frozen=True)
class AlignOptions:
    """How sentences are taken.

    Attributes:
        whole: each text is one sentence; else it is split into its sentences.
        most: a sentence that names more entities is a list, and left out.
        negatives: how many `no_relation` rows to give for each related one: pairs of entities in one sentence that
            the graph relates in neither direction. As the text goes by, as many are drawn as the related rows so
            far allow.
        seed: of that draw.

    Raises:
        DataError: a value is out of range.
    """

    whole: bool = False
    most: int = 40
    negatives: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        if self.most < 2:
            raise DataError(f"most={self.most} leaves no pair", "give 2 or more")
        if self.negatives < 0:
            raise DataError(f"negatives={self.negatives} is below 0", "give how many to add for each related row")


@dataclass
class AlignReport:
    """What became of the texts.

    Attributes:
        texts, sentences: how many were read.
        mentions: how many names were found.
        related: sentences that gave a row with a relation.
        rows: how many rows there are of each relation.
        skipped: sentences and texts that gave no such row, by reason.
        ambiguous: names that meant several entities, and so nothing: how often each was met, as it was written.
    """

    texts: int = 0
    sentences: int = 0
    mentions: int = 0
    related: int = 0
    rows: Counter[str] = field(default_factory=Counter)
    skipped: Counter[str] = field(default_factory=Counter)
    ambiguous: Counter[str] = field(default_factory=Counter)

    def as_dict(self, most: int = 20) -> dict[str, Any]:
        """Plain values, ready for JSON, with the `most` frequent ambiguous names."""
        return {
            "texts": self.texts,
            "sentences": self.sentences,
            "sentences with a relation": self.related,
            "mentions": self.mentions,
            "rows": dict(self.rows.most_common()),
            "skipped": dict(self.skipped),
            "ambiguous mentions": self.ambiguous.total(),
            "ambiguous names met": len(self.ambiguous),
            "most frequent ambiguous names": dict(self.ambiguous.most_common(most)),
        }


class Aligner:
    """Makes rows of sentences and a graph; beside these two and the names met, nothing is kept in memory.

    Attributes:
        report: what became of the texts so far.
    """

    def __init__(self, graph: KnowledgeGraph, names: Names, options: AlignOptions | None = None) -> None:
        self._network, self._matcher, self._every_reading = graph.network, Matcher(names), names.every_reading
        self._options = options or AlignOptions()
        self._owed = 0.0
        self.report = AlignReport()

    def rows(self, texts: Iterable[Line], complain: Complain = fail) -> Iterator[RelationRow]:
        """Give the rows of texts, each with where it stands, such as `corpus.txt:7`.

        A pair of entities gives one row for each relation in a sentence, at the mentions that stand nearest.
        Complains of texts that are no valid Unicode.
        """
        for where, text in texts:
            self.report.texts += 1
            try:
                for start, end in self._sentences(text):
                    yield from self.sentence_rows(text[start:end])
            except DataError as error:
                complain(NO_UNICODE, error.at(where))

    def sentence_rows(self, sentence: str) -> list[RelationRow]:
        """The rows of one sentence."""
        self.report.sentences += 1
        mentions = self._clear(sentence, self._matcher.find(sentence))
        if len(mentions) < 2 or len(mentions) > self._options.most:
            self.report.skipped[FEW_ENTITIES if len(mentions) < 2 else MANY_MENTIONS] += 1
            return []
        pairs = _nearest(mentions)
        rows = [row for pair, found in pairs.items() for row in self._related(sentence, pair, found)]
        if rows:
            self.report.related += 1
        else:
            self.report.skipped[FEW_ENTITIES if not pairs else NOT_RELATED] += 1
        rows += self._unrelated(sentence, pairs, len(rows))
        self.report.rows.update(row.relation for row in rows)
        return rows

    def _sentences(self, text: str) -> list[Span]:
        if not self._options.whole:
            return sentence_spans(text)
        return [(0, len(text))] if text.strip() else []

    def _clear(self, sentence: str, mentions: list[Mention]) -> list[Mention]:
        """Count mentions, and leave those out of which nobody can tell what they mean."""
        self.report.mentions += len(mentions)
        if self._every_reading:
            return mentions
        unclear = (sentence[slice(*mention.span)] for mention in mentions if len(mention.entities) > 1)
        self.report.ambiguous.update(unclear)
        return [mention for mention in mentions if len(mention.entities) == 1]

    def _related(self, sentence: str, pair: Pair, found: _Mentions) -> Iterator[RelationRow]:
        for (subject, object_), (first, second) in ((pair, found), (pair[::-1], found[::-1])):
            for relation in self._network.get_edge_data(subject, object_) or ():
                yield RelationRow(sentence, *first.span, *second.span, relation, subject, object_)

    def _unrelated(self, sentence: str, pairs: dict[Pair, _Mentions], related: int) -> Iterator[RelationRow]:
        """Draw pairs without a relation from this sentence, as many as are owed."""
        self._owed += self._options.negatives * related
        if self._owed < 1:
            return
        free = [pair for pair in pairs if not self._known(pair)]
        ranks = {pair: rank(self._options.seed, sentence, *pair) for pair in free}
        for pair in sorted(free, key=ranks.__getitem__)[: int(self._owed)]:
            self._owed -= 1
            # Subject is one or the other, by the draw.
            way = -1 if ranks[pair][-1] % 2 else 1
            (subject, object_), (first, second) = pair[::way], pairs[pair][::way]
            yield RelationRow(sentence, *first.span, *second.span, NO_RELATION, subject, object_)

    def _known(self, pair: Pair) -> bool:
        return self._network.has_edge(*pair) or self._network.has_edge(*pair[::-1])


def _nearest(mentions: list[Mention]) -> dict[Pair, _Mentions]:
    """Pairs of different entities, and of the mentions of both the two that stand nearest, the first such."""
    nearest: dict[Pair, _Mentions] = {}
    for first, second in combinations(mentions, 2):
        for one, other in product(first.entities, second.entities):
            if one != other:
                pair = unordered(one, other)
                found = (first, second) if pair == (one, other) else (second, first)
                if pair not in nearest or _gap(found) < _gap(nearest[pair]):
                    nearest[pair] = found
    return nearest


def _gap(found: _Mentions) -> int:
    first, second = sorted(found)
    return second.start - first.end
