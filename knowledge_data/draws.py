"""Chance that depends on a seed and on what is drawn, never on the order of drawing."""

from __future__ import annotations

import hashlib
import json


def rank(seed: int, *parts: str) -> bytes:
    """A key for sorting things at random: the same for the same seed and parts, whatever else there is."""
    return hashlib.sha256(json.dumps([seed, *parts]).encode()).digest()


def point(seed: int, *parts: str) -> float:
    """A number from 0 up to 1, even over all things: as `rank`, for millions of them."""
    # 53 bits: what a float holds, so that rounding never gives 1.
    return (key(seed, *parts) >> 11) / (1 << 53)


def key(seed: int, *parts: str) -> int:
    """A whole number of 64 bits, even over all things: as `rank`, for millions of them."""
    text = f"{seed}\0" + "\0".join(parts)
    return int.from_bytes(hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big")
