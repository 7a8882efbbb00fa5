"""The report of a run over an installed plugin: for each thing, each law in words, kept, broken or left out."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest


@dataclass
class _Law:
    """The outcomes of one law for one thing, over backbones and sides.

    Attributes:
        kept: how often it was kept.
        broken: where it was broken -> how.
        left_out: why it could not be asked.
    """

    kept: int = 0
    broken: dict[str, str] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)


class Report:
    """Gathers outcomes and prints them."""

    def __init__(self) -> None:
        self._laws: dict[str, dict[str, dict[str, _Law]]] = defaultdict(lambda: defaultdict(lambda: defaultdict(_Law)))

    def add(self, report: pytest.TestReport) -> None:
        """Take the outcome of a test, or of what failed or was skipped before or after it."""
        said: Any = dict(report.user_properties).get("kadapter")
        if said is None or (report.passed and report.when != "call"):
            return
        distribution, thing, text = said
        law = self._laws[distribution][thing][text]
        if report.passed:
            law.kept += 1
        elif report.skipped:
            law.left_out.append(_reason(report))
        else:
            law.broken[_where(report.nodeid)] = _reason(report)

    def write(self, terminal: pytest.TerminalReporter) -> None:
        """Print a section for each distribution."""
        for distribution, things in self._laws.items():
            terminal.section(f"{distribution}: what it gives, and the laws")
            for thing, laws in things.items():
                terminal.line(thing)
                for text, law in laws.items():
                    for line, style in _lines(text, law):
                        terminal.line(f"  {line}", **style)
            terminal.line(_counted([law for laws in things.values() for law in laws.values()]))


def _lines(text: str, law: _Law) -> Iterator[tuple[str, dict[str, Any]]]:
    if law.broken:
        yield f"✗ {text}", {"red": True}
        for where, how in law.broken.items():
            yield f"    {where}: {how}" if where else f"    {how}", {"red": True}
    elif law.kept:
        yield f"✓ {text}", {"green": True}
    else:
        yield f"- {text} (skipped: {'; '.join(dict.fromkeys(law.left_out))})", {"yellow": True}


def _counted(laws: list[_Law]) -> str:
    broken = sum(bool(law.broken) for law in laws)
    kept = sum(bool(law.kept and not law.broken) for law in laws)
    return f"{kept} laws kept, {broken} broken, {len(laws) - kept - broken} skipped"


def _where(nodeid: str) -> str:
    """Take the backbone, and the side, from the id of a test."""
    return nodeid.partition("[")[2].removesuffix("]")


def _reason(report: pytest.TestReport) -> str:
    """Give the first line of what was said."""
    if isinstance(report.longrepr, tuple):
        return str(report.longrepr[2]).removeprefix("Skipped: ")
    crash = getattr(report.longrepr, "reprcrash", None)
    return str(crash.message if crash else report.longrepr).strip().splitlines()[0]
