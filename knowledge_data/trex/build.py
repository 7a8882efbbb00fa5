"""From the published T-REx dump to T-REx-rc: its sentences, the relations that are frequent enough, and a report."""

from __future__ import annotations

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Collection
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from knowledge_data.errors import DataError
from knowledge_data.provenance import PROVENANCE, provenance, write_json
from knowledge_data.reading import Skip
from knowledge_data.split import Pair
from knowledge_data.streams import complaints
from knowledge_data.trex.documents import Example, stream_examples
from knowledge_data.whole import written_whole

EXCLUDED = "relation that was excluded"
RARE = "relation below the threshold"

EXAMPLES, RELATIONS = "trex.jsonl", "relations.json"

LICENCE = "CC BY-SA 4.0 (T-REx, Elsahar et al. 2018; text from Wikipedia)"

_SPILL = "examples.spilled"


@dataclass(frozen=True)
class TrexOptions:
    """What of a dump is taken.

    Attributes:
        threshold: how many of `count` a relation must have.
        count: `examples`, as the published code of K-Adapter counts, or `pairs` of entities, as its paper says.
        exclude: relations that are left out; K-Adapter left out `P31`.
        aligners: the annotators whose triples are taken, such as `Simple-Aligner`; empty takes all.
        on_error: `raise`, or `skip` what is malformed and count it.

    Raises:
        DataError: a value is unknown or out of range.
    """

    threshold: int = 50
    count: str = "examples"
    exclude: tuple[str, ...] = ()
    aligners: tuple[str, ...] = ()
    on_error: str = "raise"

    def __post_init__(self) -> None:
        complaints(self.on_error, Counter())
        if self.threshold < 1:
            raise DataError(f"threshold={self.threshold} is below 1", "give how many a relation must have")
        if self.count not in ("examples", "pairs"):
            raise DataError(f"count={self.count!r} is unknown", "choose examples or pairs")


def build_trex(dump: str | Path, output: str | Path, options: TrexOptions | None = None) -> dict[str, Any]:
    """Make a folder of a dump, in constant memory: `trex.jsonl`, which `read_trex` reads, `relations.json` and more.

    Examples are written as they are met; when it is known which relations are frequent, those of the others are
    dropped. `relations.json` says of each relation how many examples it has; `provenance.json` says what was left out.
    The folder appears when it is whole.

    Args:
        dump: as for `stream_examples`.
        output: a folder that is not there yet.
        options: what is taken.

    Returns:
        What `provenance.json` says.

    Raises:
        DataError: as `stream_examples`; no example is left; or the folder is there already or cannot be written.
    """
    options = options or TrexOptions()
    with written_whole(output) as folder:
        folder.mkdir()
        skipped = Counter[str]()
        frequency = _spill(dump, folder / _SPILL, options, skipped)
        kept = {name: number for name, number in frequency.examples.most_common() if frequency.reaches(name)}
        skipped[RARE] = frequency.examples.total() - sum(kept.values())
        if not kept:
            fix = f"lower the threshold, or see why they were dropped: {dict(+skipped)}"
            raise DataError("no example is left", fix, where=str(dump))
        numbers = {number for number, name in enumerate(frequency.examples) if name in kept}
        content_hash = _keep(folder / _SPILL, folder / EXAMPLES, numbers)
        write_json(folder / RELATIONS, kept)
        more = {"relations": len(kept), "relations below the threshold": len(frequency.examples) - len(kept)}
        rows, inputs = {"rows": sum(kept.values())}, {"dump": dump}
        told = provenance(str(dump), LICENCE, rows, +skipped, content_hash, asdict(options), inputs, **more)
        write_json(folder / PROVENANCE, told)
    return told


class _Frequency:
    """How often each relation was met, and whether that is enough."""

    def __init__(self, options: TrexOptions) -> None:
        self._options = options
        self.examples = Counter[str]()
        self._pairs: defaultdict[str, set[Pair]] = defaultdict(set)

    def count(self, example: Example) -> None:
        """Count an example. More pairs than the threshold asks for are not remembered."""
        self.examples[example.relation] += 1
        pairs = self._pairs[example.relation]
        if self._options.count == "pairs" and len(pairs) < self._options.threshold:
            pairs.add((example.subj_label, example.obj_label))

    def reaches(self, relation: str) -> bool:
        """Whether a relation reaches the threshold."""
        by_pairs = self._options.count == "pairs"
        return (len(self._pairs[relation]) if by_pairs else self.examples[relation]) >= self._options.threshold


def _spill(dump: str | Path, path: Path, options: TrexOptions, skipped: Counter[str]) -> _Frequency:
    """Write every example behind the number of its relation and a tab, and count; numbers go by first occurrence."""
    frequency, numbers = _Frequency(options), dict[str, int]()
    with path.open("w", encoding="utf-8") as file:
        for outcome in stream_examples(dump, options.aligners, complaints(options.on_error, skipped)):
            if isinstance(outcome, Skip):
                skipped[outcome.reason] += 1
            elif outcome.relation in options.exclude:
                skipped[EXCLUDED] += 1
            else:
                frequency.count(outcome)
                number = numbers.setdefault(outcome.relation, len(numbers))
                file.write(f"{number}\t{json.dumps(outcome._asdict(), ensure_ascii=False)}\n")
    return frequency


def _keep(spilled: Path, path: Path, relations: Collection[int]) -> str:
    """Write the examples of the relations with these numbers, remove the spilled ones, and give a hash."""
    digest = hashlib.sha256()
    with spilled.open("rb") as source, path.open("wb") as file:
        for line in source:
            relation, _, example = line.partition(b"\t")
            if int(relation) in relations:
                digest.update(example)
                file.write(example)
    spilled.unlink()
    return digest.hexdigest()[:16]
