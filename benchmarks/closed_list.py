"""Which of a closed list of answers is the likeliest after a prompt: exactly, without scoring all of them."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor

Tree = dict[int, Any]
END = -1

NextToken = Callable[[Sequence[list[int]]], Sequence[Tensor]]
"""Rows of tokens -> the log-probabilities of what comes after each."""


def likeliest(prompts: Sequence[list[int]], candidates: Sequence[list[int]], next_token: NextToken) -> list[int]:
    """Give for each prompt the number of the candidate whose tokens have the largest summed log-probability.

    A beginning is never less likely than what goes on from it, so only the beginnings that still lead are followed.
    """
    tree = _tree(candidates)
    searches = [_Search(prompt, tree) for prompt in prompts]
    while open_ones := [search for search in searches if search.found is None]:
        given = next_token([search.prompt + search.leading for search in open_ones])
        for search, after in zip(open_ones, given, strict=True):
            search.follow(after)
    return [int(search.found) for search in searches if search.found is not None]


def _tree(candidates: Sequence[list[int]]) -> Tree:
    """Lay candidates out by their beginnings; the number of a candidate stands where it ends."""
    tree: Tree = {}
    for number, tokens in enumerate(candidates):
        place = tree
        for token in tokens:
            place = place.setdefault(token, {})
        place[END] = number
    return tree


class _Search:
    """Of one prompt: the beginnings that were not followed yet, the likeliest first."""

    def __init__(self, prompt: list[int], tree: Tree) -> None:
        self.prompt, self._pushed = prompt, 0
        self._open: list[tuple[float, int, list[int], Tree]] = []
        self._cost = 0.0
        self.leading: list[int] = []
        self._place = tree
        self.found: int | None = None

    def follow(self, after: Tensor) -> None:
        """Go on from the leading beginning, whose next tokens have these log-probabilities, to the next that leads."""
        for token, place in self._place.items():
            if token != END:
                self._push(self._cost - after[token].item(), [*self.leading, token], place)
        self._cost, _, self.leading, self._place = heapq.heappop(self._open)
        # Where a candidate ends that leads, none that goes on from elsewhere can be likelier.
        self.found = self._place.get(END)

    def _push(self, cost: float, tokens: list[int], place: Tree) -> None:
        self._pushed += 1
        heapq.heappush(self._open, (cost, self._pushed, tokens, place))
