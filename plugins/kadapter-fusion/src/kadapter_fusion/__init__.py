"""AdapterFusion: what several trained adapters give is mixed anew for every token.

Pfeiffer et al. 2021 (arXiv 2005.00247).
"""

from __future__ import annotations

from kadapter import Adapter, hookimpl
from kadapter_fusion.adapter import FusionAdapter
from kadapter_fusion.config import FusionConfig
from kadapter_fusion.pruning import prune, prune_run

__all__ = ["FusionAdapter", "FusionConfig", "prune", "prune_run"]


@hookimpl
def register_adapter_types() -> list[type[Adapter]]:
    """Give the fusion."""
    return [FusionAdapter]
