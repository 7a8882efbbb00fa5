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
        read: its reader, which takes the path first, and `on_error`.
        about: what it asks.
        licence: of the published files.
        cite: whose it is.
        file: which file of the published folder is read; empty for all of it.
    """

    read: Callable[..., Reading]
    about: str
    licence: str
    cite: str
    file: str = ""


PROBES: dict[str, Probe] = {
    "bear": Probe(read_bear, "facts, with a list of answers", "CC BY-SA 4.0", "Wiland et al., NAACL Findings 2024"),
    "blimp": Probe(read_blimp, "grammar, in pairs of sentences", "CC BY 4.0", "Warstadt et al., TACL 2020"),
    "lama": Probe(read_lama, "facts and common sense", "CC BY-NC 4.0", "Petroni et al., EMNLP 2019"),
    "lm-kbc": Probe(
        read_lm_kbc, "facts with none or many objects", "CC BY 4.0", "Singhania et al., ISWC 2022", "dev.jsonl"
    ),
    "numersense": Probe(
        read_numersense,
        "numbers in common sense",
        "MIT",
        "Lin et al., EMNLP 2020",
        "validation.masked.tsv",
    ),
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


def read_probe(name: str, path: str | Path, on_error: str = "raise") -> ProbeReading:
    """Read a published probe. Rows of `blimp` are `MinimalPair`, those of all others `ClozeProbe`.

    Args:
        name: one of `PROBES`.
        path: what its reader takes.
        on_error: `raise`, or `skip` what is malformed and count it by reason.

    Raises:
        DataError: there is no probe of that name, or it cannot be read.
    """
    probe = _known(name)
    reading = probe.read(path, on_error=on_error)
    rows, report = reading.rows, reading.report
    if not report.total:
        raise DataError("holds no record", f"give what {name} was published as", where=str(path))
    digits = content_hash(DatasetDict({"test": rows}))
    told = provenance(
        str(path), probe.licence, {"rows": report.kept}, report.skipped, digits, {"probe": name}, cite=probe.cite
    )
    return ProbeReading(rows, report, told)


def find_probe(name: str, folder: str | Path) -> Path:
    """Where a published probe lies in a folder of data sets: what is called by its name, `lm_kbc_2022` for `lm-kbc`.

    Raises:
        DataError: there is no probe of that name, or nothing in the folder is called so.
    """
    probe, folder = _known(name), Path(folder)
    start = name.replace("-", "_")
    found = sorted(path for path in folder.glob("*") if path.name.lower().replace("-", "_").startswith(start))
    if not found:
        raise DataError(f"holds nothing called {start}", f"say where it lies: {name}=PATH", where=str(folder))
    return found[0] / probe.file if probe.file and found[0].is_dir() else found[0]


def _known(name: str) -> Probe:
    if name not in PROBES:
        raise DataError(f"there is no probe {name!r}", f"choose one of: {', '.join(PROBES)}")
    return PROBES[name]
