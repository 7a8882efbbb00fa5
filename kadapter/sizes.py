"""Sizes on disk, as people write them."""

from __future__ import annotations

import re

from kadapter.errors import ConfigError

_UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}


def bytes_of(size: str) -> int:
    """Give the bytes of a size: "20GB", "1.5 TB", "300000".

    Raises:
        ConfigError: it is no size.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMGT]?B)?", size.strip(), re.IGNORECASE)
    if match is None:
        raise ConfigError(f"'{size}' is no size; write it as 20GB, 500MB or 1.5TB")
    return round(float(match[1]) * _UNITS[(match[2] or "").upper()])


def in_words(size: int) -> str:
    """Give bytes as people read them: "7.6 GB"."""
    unit = next(unit for unit in ("TB", "GB", "MB", "KB", "B") if size >= _UNITS[unit] or unit == "B")
    # Three digits, and never as 1e+03.
    return f"{float(f'{size / _UNITS[unit]:.3g}'):g} {unit}"
