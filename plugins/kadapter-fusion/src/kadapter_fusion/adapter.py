"""The fusion: trained members, which stay as they are, and a mixer at every place where they give something."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from kadapter import Adapter, BackboneInfo, ConfigError, HiddenStates, Site, random_options
from kadapter_fusion.config import FusionConfig
from kadapter_fusion.folded import Folded, fold
from kadapter_fusion.members import build_members
from kadapter_fusion.mixer import Mixer


class FusionAdapter(Adapter):
    """Knowledge composition: of backbone, members and mixers, only the mixers are trained."""

    name: ClassVar[str] = "fusion"
    Config: ClassVar[type] = FusionConfig
    examples: ClassVar[Sequence[Mapping[str, Any]]] = (
        {
            "members": {
                "copies": {"type": "k-adapter", "transformer_layers": 1},
                "random": {"type": "k-adapter", "init": "random", "transformer_layers": 1, "reads": [1, 4], "width": 8},
            }
        },
    )
    steps: Tensor

    def __init__(self, config: FusionConfig, backbone: BackboneInfo) -> None:
        members = build_members(config.members, backbone)
        config = replace(
            config,
            members={name: member.options for name, member in members.items()},
            kept={place: tuple(names) for place, names in config.kept.items()},
        )
        super().__init__(config, backbone)
        self.members = nn.ModuleDict(members)
        if records := [dict(member.trained_on) for member in members.values() if member.trained_on]:
            self.trained_on = {"before": records}
        self.members.requires_grad_(False).eval()
        self.continues = all(member.continues for member in members.values())
        adapters: Sequence[Adapter] = list(members.values())
        self.edits = frozenset().union(*(adapter.edits for adapter in adapters))
        self._read()
        places = [_key(site) for site in sorted(self.edits)] or ["output"]
        self.mixers = nn.ModuleDict({place: Mixer(backbone.width, config) for place in places})
        self._mixed = self._kept({place: _working_at(place, members) for place in places})
        self.register_buffer("steps", torch.zeros((), dtype=torch.long))
        self._folded: dict[str, Folded | None] = {}
        self._folded_of: list[tuple[int, int]] = []

    @classmethod
    def random_control(cls, options: Mapping[str, Any]) -> dict[str, Any]:
        """Give the same options over members that were never trained."""
        return {**options, "members": {name: random_options(member) for name, member in options["members"].items()}}

    def _read(self) -> None:
        """Ask for the last state, and for what members ask for that only read."""
        adapters: Any = [] if self.edits else self.members.values()
        self.reads = tuple(sorted({self.backbone.layers}.union(*(adapter.reads for adapter in adapters))))
        self.borrows = tuple(sorted(set().union(*(adapter.borrows for adapter in adapters))))
        self.sequential_positions = any(adapter.sequential_positions for adapter in adapters)

    @property
    def temperature(self) -> Tensor:
        """What scores are divided by at this step of the training, a scalar."""
        start, share = float(self.config.temperature), (self.steps - 1).clamp(min=0) / self.config.cooling
        return (start - (start - 1) * share).clamp(min=1.0)

    def members_at(self, place: str) -> dict[str, Adapter]:
        """Give those that are mixed at a place, "LAYER-PLACE" or "output"."""
        return {name: self.members[name] for name in self._mixed[place]}  # type: ignore[misc]

    def _kept(self, there: Mapping[str, Sequence[str]]) -> dict[str, Sequence[str]]:
        """Of the members that work at each place, give those that are mixed there.

        Raises:
            ConfigError: a place, or a member at its place, is kept that is not there.
        """
        for place, names in self.config.kept.items():
            if place not in there:
                places = ", ".join(there)
                raise ConfigError(f"adapter type 'fusion': kept names place '{place}'; its places are {places}")
            for name in set(names) - set(there[place]):
                known = ", ".join(there[place])
                raise ConfigError(f"adapter type 'fusion': kept names '{name}' at {place}; there is {known}")
            if not names and not self.edits:
                raise ConfigError(
                    f"adapter type 'fusion': kept leaves nobody at {place}; name a member, or leave it out"
                )
        return {**there, **self.config.kept}

    def edit(self, site: Site, hidden: Tensor, entering: Tensor, norm: Callable[[Tensor], Tensor]) -> Tensor:
        """Mix what the members that edit this site give, (B, T, W)."""
        place, asking = _key(site), norm(hidden)
        members = self.members_at(place)
        if not members:
            return asking
        if folded := self._fold(place, site, members.values()):
            mixed, weights = folded(asking, entering, hidden, self.temperature)
            self._note(place, members, weights)
            return norm(mixed)
        inside = all(member.adds(site) for member in members.values())
        # A member with a norm of its own gives what leaves the norm: then the mix is made there.
        given = [
            member.add(site, hidden, entering, norm) if inside else member.edit(site, hidden, entering, norm) - asking
            for member in members.values()
        ]
        stream = hidden if inside else asking
        mixed, weights = self.mixers[place](asking, torch.stack(given), stream, self.temperature)
        self._note(place, members, weights)
        return norm(mixed) if inside else mixed

    def begin(self) -> None:
        """Count the steps of the training; forget what was folded of other weights than there are now."""
        adapters: Any = self.members.values()
        for adapter in adapters:
            adapter.begin()
        if self.training:
            self.steps.add_(1)
        elif not torch.is_grad_enabled() and self._folded_of != (now := [*map(_mark, self.parameters())]):
            self._folded.clear()
            self._folded_of = now

    def drop(self, layers: Collection[int]) -> None:
        """Leave out what members that only read work with beside these layers."""
        if self.edits:
            return
        adapters: Any = self.members.values()
        for adapter in adapters:
            adapter.drop(layers)
        self._read()

    def parts_in(self, layer: int) -> list[nn.Module]:
        """Give the mixers of one layer."""
        return [mixer for place, mixer in self.mixers.items() if place.startswith(f"{layer}-")]

    def forward(self, states: HiddenStates) -> Tensor:
        """Give the last state of the edited pass, or the mix of what the members make of a clean one: (B, T, W)."""
        last = states[self.backbone.layers]
        if self.edits:
            return last
        members = self.members_at("output")
        given = torch.stack([member(states.within(name)) for name, member in members.items()])
        mixed, weights = self.mixers["output"](last, given, last.new_zeros(()), self.temperature)
        self._note("output", members, weights)
        return mixed

    def _note(self, place: str, members: Mapping[str, Adapter], weights: Tensor) -> None:
        if self.watched is not None:
            self.watched[place] = dict(zip(members, weights.detach().unbind(-1), strict=True))

    def _fold(self, place: str, site: Site, members: Iterable[Adapter]) -> Folded | None:
        """Give the fast path of a place, if nothing is trained and all members there are of low rank."""
        if self.training or torch.is_grad_enabled() or self.config.residual == "before":
            return None
        if place not in self._folded:
            parts = [member.low_rank(site) if member.adds(site) else None for member in members]
            whole = [part for part in parts if part is not None]
            mixer: Any = self.mixers[place]
            # What is kept for later passes is as exact as the weights are.
            with torch.autocast(self.steps.device.type, enabled=False):
                self._folded[place] = fold(mixer, whole) if len(whole) == len(parts) else None
        return self._folded[place]

    def with_members(self, kept: Mapping[str, Sequence[str]]) -> FusionAdapter:
        """Give a fusion that mixes only the members that are named: place -> members; other places stay as they are."""
        mixed = {place: tuple(names) for place, names in {**self._mixed, **kept}.items()}
        used = {
            name: options for name, options in self.config.members.items() if any(name in k for k in mixed.values())
        }
        fusion = FusionAdapter(replace(self.config, members=used, kept=mixed), self.backbone)
        mine = self.state_dict()
        fusion.load_state_dict({key: mine[key].clone() for key in fusion.state_dict()}, assign=True)
        fusion.requires_grad_(any(weight.requires_grad for weight in self.mixers.parameters()))
        return fusion.train(self.training)

    def penalty(self) -> Tensor | None:
        """Keep the value matrices near the identity (section 3.2.2): in the loss, not after the step."""
        mixers: Any = self.mixers.values()
        parts = [part for mixer in mixers if (part := mixer.penalty()) is not None]
        return self.config.regularization * torch.stack(parts).sum() if parts else None

    def requires_grad_(self, requires_grad: bool = True) -> FusionAdapter:
        """Let the mixers be trained, or no longer; the members stay as they are."""
        super().requires_grad_(requires_grad)
        self.members.requires_grad_(False)
        return self

    def train(self, mode: bool = True) -> FusionAdapter:
        """Switch mode; the members stay in evaluation mode."""
        # Changes by way of `data` leave no mark.
        self._folded.clear()
        super().train(mode)
        self.members.eval()
        return self


def _working_at(place: str, members: Mapping[str, Adapter]) -> tuple[str, ...]:
    """Name the members that give something at a place."""
    return tuple(name for name, adapter in members.items() if not adapter.edits or place in map(_key, adapter.edits))


def _key(site: Site) -> str:
    """Name a place as parameters are named: no dots."""
    return f"{site.layer}-{site.place}"


def _mark(weight: Tensor) -> tuple[int, int]:
    """Give what becomes another when a weight is changed in place or replaced."""
    return weight.data_ptr(), 0 if weight.is_inference() else weight._version
