"""Folders of AdapterHub's package `adapters`: bottleneck adapters and their fusions are read, bottlenecks written.

Poth et al. 2023 (arXiv 2311.11077).
"""

from __future__ import annotations

from kadapter import Format, hookimpl
from kadapter_adapterhub.format import AdapterHub, AdapterHubConfig

__all__ = ["AdapterHub", "AdapterHubConfig"]


@hookimpl
def register_formats() -> list[type[Format]]:
    """Give AdapterHub's format."""
    return [AdapterHub]
