"""Where a backbone can be edited: the places of its layers, found by one rule in the models of every family.

A short pass is watched. In each layer, the last projection of width W below a module that is called "att…" is what
attention gives, the last other one is what the feed-forward gives; the norm that is called next belongs to it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from typing import Any, Literal, NamedTuple, cast, get_args

import torch
from torch import Tensor, nn

from kadapter.errors import BackboneError

Place = Literal["attention", "attention-norm", "feedforward", "feedforward-norm", "output"]
"""What a sub-layer gives before it joins the residual stream, the norm that is called next, what the layer gives."""

Sublayer = Literal["attention", "feedforward"]


class Site(NamedTuple):
    """A place in a layer, which an adapter may edit.

    Attributes:
        layer: 1 to L.
        place: "attention" or "feedforward", what a sub-layer gives before it joins the residual stream;
            "attention-norm" or "feedforward-norm", the norm that is called next; "output", what the layer gives.
    """

    layer: int
    place: Place


@dataclass(frozen=True)
class Sites:
    """The sites of a backbone.

    Attributes:
        modules: site -> the backbone's own module.
        paths: site -> its dotted path in the model.
        entrances: site of a sub-layer -> the module that is given first what the sub-layer is given.
        post_norm: whether a norm takes the sum of what the feed-forward gives and what went around it, and gives
            what the layer gives, as in BERT.
    """

    modules: Mapping[Site, nn.Module] = field(default_factory=dict)
    paths: Mapping[Site, str] = field(default_factory=dict)
    entrances: Mapping[Site, nn.Module] = field(default_factory=dict)
    post_norm: bool = False

    def __contains__(self, site: object) -> bool:
        return site in self.modules

    def check(self, site: Site) -> None:
        """Raise BackboneError unless the backbone has that site."""
        if site in self:
            return
        found = [f"{there.place} ({self.paths[there]})" for there in self.modules if there.layer == site.layer]
        raise BackboneError(
            f"layer {site.layer} of the backbone has no place '{site.place}'; found there: "
            f"{', '.join(found) or 'nothing'}; name the modules of a layer that give what attention and feed-forward "
            f"give as `sites` of a BackboneAlias (hook register_backbones)"
        )

    def copy_norm(self, site: Site) -> nn.Module:
        """Give a fresh, trainable copy of the norm at a site.

        Raises:
            BackboneError: there is no such site.
        """
        self.check(site)
        norm = deepcopy(self.modules[site])
        # That of the backbone tells about the backbone's passes.
        norm.__dict__.pop("forward", None)
        return norm.requires_grad_(True)


@dataclass(frozen=True, eq=False)
class _Call:
    """One call of a module in the watched pass: its path, in the model and in its layer (0: in none), what it gave."""

    module: nn.Module
    path: str
    layer: int
    inside: str
    gave: Any

    @property
    def tensor(self) -> Any:
        return self.gave[0] if isinstance(self.gave, tuple) and self.gave else self.gave

    def is_wide(self, width: int, tokens: int) -> bool:
        """Whether it gave a vector of W values for every token."""
        shape = self.tensor.shape if isinstance(self.tensor, Tensor) else ()
        return shape in ((1, tokens, width), (tokens, width))

    @property
    def is_projection(self) -> bool:
        # GPT-2 and its kin have a Conv1D of their own, which is a Linear with its weight transposed.
        return isinstance(self.module, nn.Linear) or type(self.module).__name__ == "Conv1D"

    @property
    def is_norm(self) -> bool:
        return "norm" in type(self.module).__name__.lower() and not any(self.module.children())

    @property
    def of_attention(self) -> bool:
        return "att" in self.inside.lower()


def find_sites(model: nn.Module, layers: nn.ModuleList, width: int, named: Mapping[str, str] | None = None) -> Sites:
    """Find the sites of all layers; those of a layer that is unlike all that is known are left out.

    Args:
        model: in evaluation mode.
        layers: its layers.
        width: W.
        named: "attention" or "feedforward" -> path of a module inside each layer, where the rule errs.
    """
    tokens = torch.arange(1, 6)[None] % int(model.config.vocab_size)  # type: ignore[union-attr, arg-type]
    with _watched(model, layers) as calls, torch.no_grad():
        model(input_ids=tokens, attention_mask=torch.ones_like(tokens))
    # What runs for some of the tokens only, or several times, is no place.
    times = Counter(call.path for call in calls)
    wide = [call for call in calls if call.is_wide(width, tokens.shape[1]) and times[call.path] == 1]
    sublayers = _sublayers(calls, wide, len(layers), named or {})
    found = {**sublayers, **_norms(sublayers, wide)}
    outputs = {Site(call.layer, "output"): call for call in wide if call.layer and not call.inside}
    norm, output = found.get(Site(1, "feedforward-norm")), outputs.get(Site(1, "output"))
    return Sites(
        modules={site: call.module for site, call in {**found, **outputs}.items()},
        paths={site: call.path for site, call in {**found, **outputs}.items()},
        entrances={site: _entrance(calls, call, sublayers) for site, call in sublayers.items()},
        post_norm=norm is not None and output is not None and norm.tensor is output.tensor,
    )


@contextmanager
def _watched(model: nn.Module, layers: nn.ModuleList) -> Iterator[list[_Call]]:
    """Write down the calls of all modules in the order in which they end."""
    calls: list[_Call] = []
    prefix = next(name for name, module in model.named_modules() if module is layers)

    def note(path: str, module: nn.Module, given: Any, gave: Any) -> None:
        number, _, inside = path.removeprefix(f"{prefix}.").partition(".") if path.startswith(prefix) else ("", "", "")
        calls.append(_Call(module, path, int(number) + 1 if number.isdigit() else 0, inside, gave))

    hooks = [module.register_forward_hook(partial(note, path)) for path, module in model.named_modules() if path]
    try:
        yield calls
    finally:
        for hook in hooks:
            hook.remove()


def _sublayers(
    calls: Sequence[_Call], wide: Sequence[_Call], layers: int, named: Mapping[str, str]
) -> dict[Site, _Call]:
    """Give the calls that give what the sub-layers give, in the order of the pass."""
    found = {}
    for number in range(1, layers + 1):
        here = [call for call in wide if call.layer == number and call.inside]
        for place in get_args(Sublayer):
            if call := _named(here, named[place]) if place in named else _last(here, place == "attention"):
                found[Site(number, place)] = call
    return dict(sorted(found.items(), key=lambda item: calls.index(item[1])))


def _named(here: Sequence[_Call], path: str) -> _Call | None:
    return next((call for call in here if call.inside == path), None)


def _last(here: Sequence[_Call], attention: bool) -> _Call | None:
    """Give the last projection of a sub-layer; of a mixture of experts, which has none, the whole mixture."""
    own = [call for call in here if call.of_attention == attention and "expert" not in call.inside]
    projections = [call for call in own if call.is_projection]
    whole = [call for call in own if "." not in call.inside and not call.is_norm and any(call.module.children())]
    return next(reversed(projections or whole), None)


def _norms(sublayers: Mapping[Site, _Call], wide: Sequence[_Call]) -> dict[Site, _Call]:
    """Give the norm that is called next after each sub-layer, if no other sub-layer gives something before."""
    order = [wide.index(call) for call in sublayers.values()]
    norms = {}
    for site, (start, end) in zip(sublayers, pairwise([*order, len(wide)]), strict=True):
        norm = next((call for call in wide[start + 1 : end] if call.is_norm), None)
        if norm is not None:
            norms[Site(site.layer, cast(Place, f"{site.place}-norm"))] = norm
    return norms


def _entrance(calls: Sequence[_Call], gives: _Call, sublayers: Mapping[Site, _Call]) -> nn.Module:
    """Give the first projection of a sub-layer, or the sub-layer itself when it is one module."""
    if not gives.is_projection:
        return gives.module
    others = [calls.index(call) for call in sublayers.values() if call.layer == gives.layer and call is not gives]
    start = max((end for end in others if end < calls.index(gives)), default=-1)
    own = (call for call in calls[start + 1 :] if call.layer == gives.layer and call.of_attention == gives.of_attention)
    return next(call.module for call in own if call.is_projection)
