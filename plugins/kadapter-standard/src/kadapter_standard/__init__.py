"""Standard adapters: small bottlenecks inside every layer of a frozen backbone.

Houlsby et al. 2019 (arXiv 1902.00751) and the placements that came after: Pfeiffer et al. 2021 (arXiv 2005.00247),
He et al. 2022 (arXiv 2110.04366).
"""

from __future__ import annotations

from kadapter import Adapter, hookimpl
from kadapter_standard.adapter import StandardAdapter
from kadapter_standard.config import StandardConfig

__all__ = ["StandardAdapter", "StandardConfig"]


@hookimpl
def register_adapter_types() -> list[type[Adapter]]:
    """Give the standard adapter."""
    return [StandardAdapter]
