"""The standard adapter: a bottleneck at one or two places of every layer, and copies of the norms that follow."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar, Literal

from torch import Tensor, nn

from kadapter import Adapter, BackboneError, BackboneInfo, ConfigError, HiddenStates, LowRank, Site
from kadapter_standard.bottleneck import Bottleneck
from kadapter_standard.config import PRESETS, StandardConfig, resolve


class StandardAdapter(Adapter):
    """Edits the backbone in a pass of its own; its features are the last state of that pass."""

    name: ClassVar[str] = "standard"
    Config: ClassVar[type] = StandardConfig
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = PRESETS
    continues: bool = True

    def __init__(self, config: StandardConfig, backbone: BackboneInfo) -> None:
        config = resolve(config, backbone)
        super().__init__(config, backbone)
        self.reads = (backbone.layers,)
        self.bottlenecks = nn.ModuleDict()
        self.norms = nn.ModuleDict()
        for site in _sublayers(config, backbone):
            if size := config.size_in(site.layer):
                place = _place_of(config, site, backbone)
                self.bottlenecks[_key(place)] = Bottleneck(backbone.width, size, config)
            # Where two sub-layers work side by side there is no norm between them.
            if config.train_norms and (norm := _norm_of(site)) in backbone.sites:
                self.norms[_key(norm)] = backbone.sites.copy_norm(norm)
        # Looked up at every place of every pass.
        keys = [*self.bottlenecks, *self.norms]
        self._at: dict[Site, tuple[Any, Any]] = {
            _site(key): (_get(self.bottlenecks, key), _get(self.norms, key)) for key in keys
        }
        self.edits = frozenset(self._at)
        if not self.edits:
            raise ConfigError(
                f"adapter type 'standard' has nothing to train in backbone '{backbone.name}': size is 0 in every layer "
                f"that is not left out, and there is no norm to train; give a size, or take train_norms"
            )

    @classmethod
    def random_control(cls, options: Mapping[str, Any]) -> dict[str, Any]:
        """Give the same options with random weights of ordinary size: at its start it does next to nothing."""
        return {**options, "init": "random"}

    def edit(self, site: Site, hidden: Tensor, entering: Tensor, norm: Callable[[Tensor], Tensor]) -> Tensor:
        """Add what the bottleneck makes, and take the norm from the adapter where it has one: (B, T, W)."""
        bottleneck, own_norm = self._at[site]
        norm = norm if own_norm is None else own_norm
        return norm(hidden) if bottleneck is None else super().edit(site, hidden, entering, norm)

    def add(self, site: Site, hidden: Tensor, entering: Tensor, norm: Callable[[Tensor], Tensor]) -> Tensor:
        """Give what the bottleneck makes, (B, T, W)."""
        # But at a norm, `norm` changes nothing.
        taken = entering if self.config.form == "parallel" else norm(hidden)
        return self._at[site][0](taken)

    def adds(self, site: Site) -> bool:
        """Say whether the backbone's own norm stays."""
        bottleneck, own_norm = self._at.get(site, (None, None))
        return bottleneck is not None and own_norm is None

    def low_rank(self, site: Site) -> LowRank | None:
        """Give the bottleneck as matrices, unless norms, its own or the adapter's, stand around it."""
        config = self.config
        if config.norm_before or config.norm_after or not self.adds(site):
            return None
        takes: Literal["hidden", "entering"] = "entering" if config.form == "parallel" else "hidden"
        return self._at[site][0].low_rank(takes, config.activation)

    def parts_in(self, layer: int) -> list[nn.Module]:
        """Give the bottlenecks and norms of one layer."""
        parts = [*self.bottlenecks.items(), *self.norms.items()]
        return [part for key, part in parts if _site(key).layer == layer]

    def forward(self, states: HiddenStates) -> Tensor:
        """Give the last state of the edited pass, (B, T, W)."""
        return states[self.reads[0]]


def _sublayers(config: StandardConfig, backbone: BackboneInfo) -> Iterator[Site]:
    for layer in range(1, backbone.layers + 1):
        if layer not in config.leave_out:
            yield from (Site(layer, place) for place in config.places)


def _place_of(config: StandardConfig, sublayer: Site, backbone: BackboneInfo) -> Site:
    """Say where the bottleneck of a sub-layer works.

    Raises:
        BackboneError: the sum of what attention gives and the residual stream is asked for, where no norm takes it.
    """
    if config.form != "around-norm":
        return sublayer
    if backbone.sites.post_norm:
        return _norm_of(sublayer)
    if sublayer.place == "feedforward":
        return Site(sublayer.layer, "output")
    raise BackboneError(
        f"adapter type 'standard': form is 'around-norm' at attention, but backbone '{backbone.name}' has its norms "
        f"before its sub-layers; take form 'sequential', or feedforward alone"
    )


def _norm_of(sublayer: Site) -> Site:
    return Site(sublayer.layer, "attention-norm" if sublayer.place == "attention" else "feedforward-norm")


def _get(modules: nn.ModuleDict, key: str) -> nn.Module | None:
    return modules[key] if key in modules else None  # noqa: SIM401 (a ModuleDict has no `get`)


def _key(site: Site) -> str:
    """Name a site as parameters are named: no dots."""
    return f"{site.layer}-{site.place}"


def _site(key: str) -> Site:
    layer, _, place = key.partition("-")
    return Site(int(layer), place)  # type: ignore[arg-type]
