"""What kadapter brings along, registered through the same hooks as everybody's."""

from __future__ import annotations

from kadapter import Adapter, BackboneAlias, Composition, KnowledgeSource, Task, hookimpl
from kadapter.builtin.backbones import BACKBONES
from kadapter.builtin.compositions import Concat, Sum
from kadapter.builtin.k_adapter import KAdapter
from kadapter.builtin.relation_classification import RelationClassification
from kadapter.builtin.scalar_mix import ScalarMix
from kadapter.builtin.sources import SOURCES


@hookimpl
def register_adapter_types() -> list[type[Adapter]]:
    """Give the k-adapter and its control, the scalar mix."""
    return [KAdapter, ScalarMix]


@hookimpl
def register_compositions() -> list[type[Composition]]:
    """Give concat and sum."""
    return [Concat, Sum]


@hookimpl
def register_tasks() -> list[type[Task]]:
    """Give relation classification."""
    return [RelationClassification]


@hookimpl
def register_knowledge_sources() -> list[type[KnowledgeSource]]:
    """Give the readers of `knowledge_data`."""
    return SOURCES


@hookimpl
def register_backbones() -> list[BackboneAlias]:
    """Give the backbones that install from the package registry."""
    return BACKBONES
