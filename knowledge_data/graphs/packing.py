"""Groups of nodes put into parts of about the same weight, groups that are linked together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

import networkx as nx


def pack(
    groups: Iterable[Sequence[int]], links: nx.Graph, weights: Sequence[int], parts: int, slack: float
) -> list[int]:
    """Give the part of each node.

    The heaviest group comes first; each goes to the part to which it has most links and where it has room. A group that
    has room nowhere is cut along its links. No part weighs more than `(1 + slack) * mean`, or than the mean and the
    heaviest node; none is left without a node that weighs something, if there are enough such nodes.

    Args:
        groups: the nodes, each in one group.
        links: nodes are counted from 0; edges have a `weight`.
        weights: of each node.
        parts: how many.
        slack: by how much a part may be heavier than the mean.
    """
    packing = _Packing(links, weights, parts, slack)
    for group in sorted(groups, key=lambda group: (-packing.weight(group), group)):
        packing.place(group)
    packing.fill_empty()
    return packing.homes


class _Packing:
    """Which node is where by now, and how much each part weighs."""

    def __init__(self, links: nx.Graph, weights: Sequence[int], parts: int, slack: float) -> None:
        self.links, self.weights = links, weights
        self.loads = [0] * parts
        self.homes = [-1] * len(weights)
        self.limit = (1 + slack) * sum(weights) / parts

    def weight(self, group: Sequence[int]) -> int:
        return sum(self.weights[node] for node in group)

    def place(self, group: Sequence[int]) -> None:
        """Put a group into one part, or its nodes one by one where there is room."""
        home = self._home(group)
        if home is not None:
            self._settle(group, home)
            return
        for node in self._along_links(group):
            part = self._home([node])
            self._settle([node], self._lightest() if part is None else part)

    def fill_empty(self) -> None:
        """Give every part that has nothing the lightest node of the part with the most nodes that weigh something."""
        for empty in (part for part, load in enumerate(self.loads) if not load):
            weighty = [node for node, weight in enumerate(self.weights) if weight]
            richest = Counter(self.homes[node] for node in weighty).most_common(1)[0][0]
            moved = min((node for node in weighty if self.homes[node] == richest), key=lambda node: self.weights[node])
            self.loads[richest] -= self.weights[moved]
            self._settle([moved], empty)

    def _home(self, group: Sequence[int]) -> int | None:
        """The part with room that the group has most links to; among equals the lightest."""
        weight, pull = self.weight(group), Counter[int]()
        for node in group:
            for other, data in self.links.adj[node].items():
                pull[self.homes[other]] += data["weight"]
        roomy = [part for part, load in enumerate(self.loads) if load + weight <= self.limit]
        return max(roomy, key=lambda part: (pull[part], -self.loads[part], -part), default=None)

    def _settle(self, group: Iterable[int], home: int) -> None:
        for node in group:
            self.homes[node] = home
            self.loads[home] += self.weights[node]

    def _lightest(self) -> int:
        return min(range(len(self.loads)), key=lambda part: (self.loads[part], part))

    def _along_links(self, group: Sequence[int]) -> list[int]:
        """The nodes so that linked ones follow one another."""
        inside = self.links.subgraph(group)
        ordered: list[int] = []
        seen: set[int] = set()
        for start in sorted(group, key=lambda node: (-self.weights[node], node)):
            if start not in seen:
                reached = [start, *(node for _, node in nx.bfs_edges(inside, start))]
                seen.update(reached)
                ordered += reached
        return ordered
