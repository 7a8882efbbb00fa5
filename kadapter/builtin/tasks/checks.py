"""What the options of several tasks must be, and the labels of all of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from typing import Any

from kadapter import ConfigError


def check(config: Any, name: str, holds: bool, must_be: str) -> None:
    """Raise ConfigError, which says the value of this option and what it must be, unless that holds."""
    if not holds:
        raise ConfigError(f"task: {name} is {getattr(config, name)!r}; it must be {must_be}")


def check_marker(config: Any, name: str) -> None:
    """Raise ConfigError unless this option can mark a span."""
    check(config, name, bool(getattr(config, name).strip()), "a character or more")


def check_max_length(config: Any) -> None:
    """Raise ConfigError unless `max_length` leaves a token."""
    check(config, "max_length", config.max_length >= 1, "1 token or more")


def check_dropout(config: Any) -> None:
    """Raise ConfigError unless `dropout` is a probability that leaves something."""
    check(config, "dropout", 0 <= config.dropout < 1, "at least 0 and under 1")


def fitted_labels(given: tuple[str, ...], found: Collection[str], plural: str) -> tuple[str, ...]:
    """Give the labels that were given, or else those found, sorted.

    Raises:
        ConfigError: labels are given, one of them twice, or not all that were found are among them; `plural` says
            what they are.
    """
    if twice := sorted(label for label, count in Counter(given).items() if count > 1):
        raise ConfigError(f"{plural} {twice} are given twice among the labels; give each once")
    if given and not set(found) <= set(given):
        raise ConfigError(f"{plural} {sorted(set(found) - set(given))} are not among the labels given")
    return given or tuple(sorted(found))
