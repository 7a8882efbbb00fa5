"""The probes by name: how each is read, what it asks, and under which licence it stands."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from datasets import DatasetDict

from knowledge_data.errors import DataError
from knowledge_data.hashing import content_hash
from knowledge_data.probes.bear import read_bear
from knowledge_data.probes.blimp import read_blimp
from knowledge_data.probes.lama import read_lama
from knowledge_data.probes.lm_kbc import read_lm_kbc
from knowledge_data.probes.numersense import read_numersense
from knowledge_data.probes.pararel import read_pararel
from knowledge_data.provenance import provenance
from knowledge_data.reading import Reading


class Probe(NamedTuple):
    """A published probe.

    Attributes:
        read: its reader.
        about: what it asks.
        licence: of the published files.
        cite: whose it is.
    """

    read: Callable[[str | Path], Reading]
    about: str
    licence: str
    cite: str


PROBES: dict[str, Probe] = {
    "bear": Probe(read_bear, "facts, with a list of answers", "CC BY-SA 4.0", "Wiland et al., NAACL Findings 2024"),
    "blimp": Probe(read_blimp, "grammar, in pairs of sentences", "CC BY 4.0", "Warstadt et al., TACL 2020"),
    "lama": Probe(read_lama, "facts and common sense", "CC BY-NC 4.0", "Petroni et al., EMNLP 2019"),
    "lm-kbc": Probe(read_lm_kbc, "facts with none or many objects", "CC BY 4.0", "Singhania et al., ISWC 2022"),
    "numersense": Probe(read_numersense, "numbers in common sense", "MIT", "Lin et al., EMNLP 2020"),
    "pararel": Probe(
        read_pararel,
        "facts, in several phrasings",
        "MIT; facts from LAMA, CC BY-NC 4.0",
        "Elazar et al., TACL 2021; Petroni et al., EMNLP 2019",
    ),
}
"""Name -> probe."""


@dataclass(frozen=True)
class ProbeReading(Reading):
    """Rows of a probe, the report of how they were read, and where they come from."""

    provenance: dict[str, Any] = field(default_factory=dict)


def read_probe(name: str, path: str | Path) -> ProbeReading:
    """Read a published probe. Rows of `blimp` are `MinimalPair`, those of all others `ClozeProbe`.

    Args:
        name: one of `PROBES`.
        path: what its reader takes.

    Raises:
        DataError: there is no probe of that name, or it cannot be read.
    """
    if name not in PROBES:
        raise DataError(f"there is no probe {name!r}", f"choose one of: {', '.join(PROBES)}")
    probe = PROBES[name]
    reading = probe.read(path)
    rows, report = reading.rows, reading.report
    if not report.total:
        raise DataError("holds no record", f"give what {name} was published as", where=str(path))
    digits = content_hash(DatasetDict({"test": rows}))
    told = provenance(
        str(path), probe.licence, {"rows": report.kept}, report.skipped, digits, {"probe": name}, cite=probe.cite
    )
    return ProbeReading(rows, report, told)
