"""AdapterDrop: adapters without their lower layers, in training and inference.

Rücklé et al. 2021 (arXiv 2010.11918).
"""

from __future__ import annotations

from kadapter import Adapter, hookimpl
from kadapter_drop.adapter import DropAdapter
from kadapter_drop.config import DropConfig

__all__ = ["DropAdapter", "DropConfig"]


@hookimpl
def register_adapter_types() -> list[type[Adapter]]:
    """Give the adapter that drops layers of another one."""
    return [DropAdapter]
