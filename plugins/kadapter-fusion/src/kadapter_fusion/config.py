"""The options of a fusion."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from kadapter import ConfigError


@dataclass(frozen=True)
class FusionConfig:
    """Options of a fusion. The defaults are the paper's.

    Attributes:
        members: name -> adapter: a folder, the name of installed knowledge, or options. All of them edit the backbone,
            or all of them only read it.
        kept: place ("3-feedforward-norm", "output") -> the members that are mixed there; a place that is not named has
            all of them.
        query, key, value: whether what asks, what is asked and what is mixed go through a matrix of W × W first.
        residual: when the stream joins: "after" the value matrix, or "before" it.
        dropout: on the scores.
        temperature: what the scores are divided by at the start of training.
        cooling: the steps in which the temperature falls to 1, linearly.
        regularization: times the squared distance of the value matrices from the identity, added to the loss.
    """

    members: Mapping[str, Any]
    kept: Mapping[str, Any] = field(default_factory=dict)
    query: bool = True
    key: bool = True
    value: bool = True
    residual: Literal["after", "before"] = "after"
    dropout: float = 0.0
    temperature: float = 1.0
    cooling: int = 1000
    regularization: float = 0.01

    def __post_init__(self) -> None:
        self._check("members", bool(self.members), "name -> folder, name of installed knowledge, or options")
        named = all(isinstance(k, (list, tuple)) and all(isinstance(n, str) for n in k) for k in self.kept.values())
        self._check("kept", named, "place -> list of members")
        self._check("dropout", 0 <= self.dropout < 1, "0 or more and under 1")
        self._check("temperature", 1 <= self.temperature < math.inf, "1 or more")
        self._check("cooling", self.cooling >= 1, "1 or more")
        self._check("regularization", 0 <= self.regularization < math.inf, "0 or more")

    def _check(self, name: str, holds: bool, must_be: str) -> None:
        if not holds:
            raise ConfigError(f"adapter type 'fusion': {name} is {getattr(self, name)!r}; it must be {must_be}")
