"""What kadapter brings along, registered through the same hooks as everybody's."""

from __future__ import annotations

from kadapter import Adapter, BackboneAlias, Composition, Format, KnowledgeSource, Task, hookimpl
from kadapter.builtin.backbones import BACKBONES
from kadapter.builtin.compositions import Alone, Attention, Concat, Gate, Residual, Sum
from kadapter.builtin.k_adapter import KAdapter
from kadapter.builtin.k_adapter.microsoft import Microsoft
from kadapter.builtin.scalar_mix import ScalarMix
from kadapter.builtin.sources import SOURCES
from kadapter.builtin.tasks import TASKS


@hookimpl
def register_adapter_types() -> list[type[Adapter]]:
    """Give the k-adapter and its control, the scalar mix."""
    return [KAdapter, ScalarMix]


@hookimpl
def register_compositions() -> list[type[Composition]]:
    """Give concat, sum, residual, gate, attention and alone."""
    return [Concat, Sum, Residual, Gate, Attention, Alone]


@hookimpl
def register_tasks() -> list[type[Task]]:
    """Give the tasks: those that knowledge is pretrained with, and those that it is used for."""
    return TASKS


@hookimpl
def register_knowledge_sources() -> list[type[KnowledgeSource]]:
    """Give the readers of `knowledge_data`."""
    return SOURCES


@hookimpl
def register_backbones() -> list[BackboneAlias]:
    """Give the backbones that install from the package registry."""
    return BACKBONES


@hookimpl
def register_formats() -> list[type[Format]]:
    """Give the checkpoints of the published K-Adapter code."""
    return [Microsoft]
