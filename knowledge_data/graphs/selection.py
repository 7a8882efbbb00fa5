"""What to keep of a graph, all wishes at once, as a command or a recipe says them."""

from __future__ import annotations

from dataclasses import dataclass

from knowledge_data.errors import DataError
from knowledge_data.graphs.graph import KnowledgeGraph
from knowledge_data.graphs.selecting import (
    select_around,
    select_component,
    select_degrees,
    select_relations,
    select_types,
)


@dataclass(frozen=True)
class Selection:
    """Wishes, each of which narrows what the one before it left; those that are not said narrow nothing.

    Attributes:
        relations: keep these.
        without: drop these relations.
        types: keep triples between entities of these types.
        ends: which ends must have such a type: `both`, `either`, `subject` or `object`.
        subclass_of: the relation between types; then subtypes count, too.
        around: keep what is near these entities.
        hops: how near.
        min_degree, max_degree: keep entities with a degree between them.
        component: keep the largest component (1), the second largest (2) …
        component_of: keep the component of this entity.
    """

    relations: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    types: tuple[str, ...] = ()
    ends: str = "both"
    subclass_of: str | None = None
    around: tuple[str, ...] = ()
    hops: int = 1
    min_degree: int | None = None
    max_degree: int | None = None
    component: int | None = None
    component_of: str | None = None

    def of(self, graph: KnowledgeGraph) -> KnowledgeGraph:
        """Give what is kept of a graph.

        Raises:
            DataError: nothing is asked, two wishes exclude each other, or nothing is left.
        """
        if self == Selection(ends=self.ends, hops=self.hops, subclass_of=self.subclass_of):
            raise DataError("nothing is asked", "say relations, types, entities, degrees or a component")
        if self.component is not None and self.component_of is not None:
            raise DataError("a component is said twice, by number and by entity", "say one of them")
        graph = self._by_kind(graph)
        if self.around:
            graph = select_around(graph, self.around, self.hops)
        if self.min_degree is not None or self.max_degree is not None:
            graph = select_degrees(graph, self.min_degree or 0, self.max_degree)
        if self.component is not None or self.component_of is not None:
            graph = select_component(graph, self.component or 1, of=self.component_of)
        if not graph.network.number_of_edges():
            raise DataError("no triple is left", "ask for more relations, types, hops or degrees")
        return graph

    def _by_kind(self, graph: KnowledgeGraph) -> KnowledgeGraph:
        if self.relations:
            graph = select_relations(graph, self.relations)
        if self.without:
            graph = select_relations(graph, self.without, drop=True)
        if self.types:
            graph = select_types(graph, self.types, ends=self.ends, subclass_of=self.subclass_of)
        return graph
