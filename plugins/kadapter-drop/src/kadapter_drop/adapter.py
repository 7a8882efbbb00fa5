"""The adapter that drops layers: another one, asked only for what it does in the layers that are left."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from kadapter import Adapter, BackboneInfo, ConfigError, HiddenStates, LowRank, Site, load_adapter, random_options
from kadapter_drop.config import DropConfig, dropped, resolve


class DropAdapter(Adapter):
    """The inner adapter without some layers: the same ones always, or in training another number for every batch.

    Dropped of all layers, it leaves the backbone as it is.
    """

    name: ClassVar[str] = "drop"
    Config: ClassVar[type] = DropConfig
    examples: ClassVar[Sequence[Mapping[str, Any]]] = (
        {"inner": {"type": "k-adapter", "transformer_layers": 1, "reads": [0, 2, 4]}, "layers": 1},
    )
    seed: Tensor
    batches: Tensor

    def __init__(self, config: DropConfig, backbone: BackboneInfo) -> None:
        config = resolve(config, backbone)
        inner = load_adapter(config.inner, backbone)
        super().__init__(replace(config, inner=inner.options), backbone)
        self.inner = inner
        self.continues = inner.continues
        # Drawn as fresh weights are, so that it follows from the seed of the run; saved, so that a resumed run goes on.
        self.register_buffer("seed", torch.randint(2**31, ()))
        self.register_buffer("batches", torch.zeros((), dtype=torch.long))
        if config.between is not None:
            # So that one which cannot drop is refused now, and not when a batch draws.
            inner.drop(dropped(config.between[1], backbone))
        self._settle()
        self._freeze_dropped()

    @classmethod
    def random_control(cls, options: Mapping[str, Any]) -> dict[str, Any]:
        """Give the same options over an inner adapter that was never trained."""
        inner = DropConfig(inner=options.get("inner")).inner
        return {**options, "inner": random_options(inner)}

    @property
    def replaces(self) -> bool:
        """Whether the inner adapter's features take the place of the backbone's last state, even if all is dropped."""
        return self.inner.replaces

    @property
    def watched(self) -> dict[str, dict[str, Tensor]] | None:
        """Where the inner adapter notes what it mixes."""
        return self.inner.watched

    @watched.setter
    def watched(self, notes: dict[str, dict[str, Tensor]] | None) -> None:
        """Let the inner adapter note what it mixes."""
        self.inner.watched = notes

    def set(self, **options: Any) -> None:
        """Drop other layers from here on: `layers`, how many of the lowest or which ones.

        If something of the inner adapter is trained, then from here on what is left is.

        Raises:
            ConfigError: the backbone has no such layers, or something else is to be set.
        """
        if options.keys() != {"layers"}:
            said = ", ".join(options) or "nothing"
            raise ConfigError(f"adapter type 'drop': {said} cannot be set once it is built; `layers` can")
        layers = options["layers"]
        chosen = tuple(layers) if isinstance(layers, (list, tuple, set, range)) else layers
        config = resolve(replace(self.config, layers=chosen), self.backbone)
        self.inner.drop(dropped(config.layers, self.backbone))
        self.config = config
        self._settle()
        if any(parameter.requires_grad for parameter in self.inner.parameters()):
            self.requires_grad_()

    def begin(self) -> None:
        """Draw the layers that are dropped in this pass, in robust training."""
        self.inner.begin()
        if self.config.robust and self.training:
            self.batches.add_(1)
            self._leave_out(self._drawn())
        else:
            self._settle()

    def _drawn(self) -> frozenset[int]:
        """Give the lowest n layers; n follows from the seed and the number of the batch."""
        generator = torch.Generator().manual_seed(1_000_003 * int(self.seed) + int(self.batches))
        least, most = self.config.between
        return dropped(int(torch.randint(least, most + 1, (), generator=generator)), self.backbone)

    def _settle(self) -> None:
        self._leave_out(dropped(self.config.layers, self.backbone))

    def _leave_out(self, layers: frozenset[int]) -> None:
        self._left_out = layers
        self.drop(())

    def drop(self, layers: Collection[int]) -> None:
        """Leave out these layers, too."""
        off = self._left_out.union(layers)
        self.inner.drop(off)
        self.edits = frozenset(site for site in self.inner.edits if site.layer not in off)
        self.reads, self.borrows = self.inner.reads, self.inner.borrows
        self.sequential_positions = self.inner.sequential_positions

    def parts_in(self, layer: int) -> Iterable[nn.Module]:
        """Give what the inner adapter has in one layer."""
        return self.inner.parts_in(layer)

    def edit(self, site: Site, hidden: Tensor, entering: Tensor, norm: Callable[[Tensor], Tensor]) -> Tensor:
        """Give what the inner adapter gives, (B, T, W)."""
        return self.inner.edit(site, hidden, entering, norm)

    def add(self, site: Site, hidden: Tensor, entering: Tensor, norm: Callable[[Tensor], Tensor]) -> Tensor:
        """Give what the inner adapter adds, (B, T, W)."""
        return self.inner.add(site, hidden, entering, norm)

    def adds(self, site: Site) -> bool:
        """Say whether the inner adapter does no more than add."""
        return self.inner.adds(site)

    def low_rank(self, site: Site) -> LowRank | None:
        """Give what the inner adapter adds as matrices."""
        return self.inner.low_rank(site)

    def forward(self, states: HiddenStates) -> Tensor:
        """Give what the inner adapter gives, (B, T, W)."""
        features: Tensor = self.inner(states)
        return features

    def penalty(self) -> Tensor | None:
        """Give the inner adapter's part of the loss."""
        return self.inner.penalty()

    def train(self, mode: bool = True) -> DropAdapter:
        """Switch mode; in evaluation mode the layers that are dropped are those that were said."""
        super().train(mode)
        if not mode:
            self._settle()
        return self

    def requires_grad_(self, requires_grad: bool = True) -> DropAdapter:
        """Let the inner adapter be trained, or no longer; what is dropped for good is not."""
        self.inner.requires_grad_(requires_grad)
        self._freeze_dropped()
        return self

    def _freeze_dropped(self) -> None:
        if self.config.robust:
            return
        for layer in self._left_out:
            for part in self.inner.parts_in(layer):
                part.requires_grad_(False)
