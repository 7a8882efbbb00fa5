"""The fast path: a mixer and the low-rank members of its place, folded into two matrices, exactly.

With z = U a + b for each member (a: its m activations), query Q q + p and keys K z + r, the score is, up to what all
members share, (Kᵀ Q q + Kᵀ p) · z = a · (Uᵀ Kᵀ Q q + Uᵀ Kᵀ p) + b · (Kᵀ Q q + Kᵀ p): all that depends on q is linear
in it. The value matrix V goes into V U and V b. So N members cost three matrices of N m × W, and none of W × W.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from kadapter import LowRank
from kadapter_fusion.mixer import Mixer


@dataclass(frozen=True)
class Folded:
    """A mixer and its members as matrices; M is the sum of the members' m.

    Attributes:
        members: as they were.
        asked: (M + N, W) and (M + N,): what the activations, and the biases, are compared with.
        down: (M, W) and (M,).
        up: (W, M), V U.
        up_bias: (N, W), V b.
        owner: (M, N), 1 where an activation is a member's.
    """

    members: Sequence[LowRank]
    asked: tuple[Tensor, Tensor]
    down: tuple[Tensor, Tensor]
    up: Tensor
    up_bias: Tensor
    owner: Tensor

    def __call__(self, asking: Tensor, entering: Tensor, stream: Tensor, temperature: Tensor) -> tuple[Tensor, Tensor]:
        """Do what the mixer does: give the stream with the mix, (B, T, W), and the weights, (B, T, N)."""
        active = self._activations(asking, entering)
        compared, biases = functional.linear(asking, *self.asked).split(self.owner.shape, -1)
        weights = (((active * compared) @ self.owner + biases) / temperature).softmax(-1)
        mixed = functional.linear(active * (weights @ self.owner.T), self.up)
        return stream + mixed + weights @ self.up_bias, weights

    def _activations(self, asking: Tensor, entering: Tensor) -> Tensor:
        """Give what is between the members' projections, (B, T, M)."""
        first = self.members[0]
        if all((m.takes, m.activation) == (first.takes, first.activation) for m in self.members):
            taken = asking if first.takes == "hidden" else entering
            return _activate(first.activation, functional.linear(taken, *self.down))
        sources = {"hidden": asking, "entering": entering}
        return torch.cat(
            [_activate(m.activation, functional.linear(sources[m.takes], m.down, m.down_bias)) for m in self.members],
            -1,
        )


def _activate(name: str, hidden: Tensor) -> Tensor:
    # Here and not above: it takes seconds to import, which a list of plugins need not wait for.
    from transformers.activations import ACT2FN

    return ACT2FN[name](hidden)


@torch.no_grad()
def fold(mixer: Mixer, members: Sequence[LowRank]) -> Folded:
    """Fold a mixer, whose stream joins after the value matrix, and the members of its place."""
    some = members[0].down
    width = some.shape[1]
    identity = torch.eye(width, dtype=some.dtype, device=some.device)
    query, shift = (
        (identity, identity.new_zeros(width)) if mixer.query is None else (mixer.query.weight, mixer.query.bias)
    )
    key = identity if mixer.key is None else mixer.key.weight
    value = identity if mixer.value is None else mixer.value
    ups, biases = torch.cat([m.up for m in members], 1), torch.stack([m.up_bias for m in members])
    answers = torch.cat([ups.T, biases]) @ key.T
    sizes = torch.tensor([len(m.down) for m in members])
    return Folded(
        members=members,
        asked=(answers @ query, answers @ shift),
        down=(torch.cat([m.down for m in members]), torch.cat([m.down_bias for m in members])),
        up=value @ ups,
        up_bias=biases @ value.T,
        owner=functional.one_hot(torch.arange(len(members)).repeat_interleave(sizes), len(members)).to(ups),
    )
