"""Chance that depends on a seed and on what is drawn, never on the order of drawing."""

from __future__ import annotations

import hashlib
import json


def rank(seed: int, *parts: str) -> bytes:
    """A key for sorting things at random: the same for the same seed and parts, whatever else there is."""
    return hashlib.sha256(json.dumps([seed, *parts]).encode()).digest()
