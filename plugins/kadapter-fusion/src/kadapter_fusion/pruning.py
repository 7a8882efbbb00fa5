"""Which members of a fusion are worth their time (Rücklé et al. 2021, arXiv 2010.11918, section 4.2)."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import mean

from kadapter import ConfigError
from kadapter_fusion.adapter import FusionAdapter

Attention = Mapping[str, Mapping[str, float]]


def prune(fusion: FusionAdapter, attention: Attention, keep: int = 2, everywhere: bool = False) -> FusionAdapter:
    """Give a fusion of the members that are attended to most; the one that is given stays as it is.

    Args:
        fusion: a trained one.
        attention: place -> member -> mean weight, as `KnowledgeModel.attention` measures it.
        keep: how many members to keep at each place.
        everywhere: whether to keep the same ones at all places, by the mean over them.

    Raises:
        ConfigError: nobody is to be kept, or what was measured is not of this fusion.
    """
    if keep < 1:
        raise ConfigError(f"keep is {keep}; it must be 1 or more")
    if everywhere:
        attention = _evened(attention)
    most = {place: sorted(there, key=lambda name: -there[name])[:keep] for place, there in attention.items()}
    return fusion.with_members(
        {place: tuple(name for name in fusion.members if name in names) for place, names in most.items()}
    )


def _evened(attention: Attention) -> Attention:
    names = {name for there in attention.values() for name in there}
    means = {name: mean(there[name] for there in attention.values() if name in there) for name in names}
    return {place: {name: means[name] for name in there} for place, there in attention.items()}
