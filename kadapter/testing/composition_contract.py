"""The laws that every composition keeps, as tests that a plugin's tests inherit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor

from kadapter import Composition, ConfigError, Registry
from kadapter.composition import build_composition
from kadapter.testing.backbones import fill_randomly
from kadapter.testing.comparing import assert_close, assert_same, assert_same_tensors

_SHAPE = (2, 5, 8)
"""B, T and W of what is mixed here."""


class CompositionContract:
    """Holds a composition to the laws, its parameters filled at random.

    It is tested with two adapters; one that takes no more than one says so with a ConfigError.

    Attributes:
        options: of the composition, with its `name`.
        registry: where it is looked up; None is what is installed.
    """

    options: ClassVar[Mapping[str, Any]]
    registry: ClassVar[Registry | None] = None

    @pytest.fixture
    def hidden(self) -> Tensor:
        """Give the backbone's last state, (B, T, W)."""
        return _random(seed=0)

    @pytest.fixture
    def features(self, hidden: Tensor) -> dict[str, Tensor]:
        """Give the features of as many adapters as it takes, two or one."""
        two = {"first": _random(seed=1), "second": _random(seed=2)}
        try:
            self.build(two)(hidden, two)
        except ConfigError:
            two.popitem()
        return two

    def build(self, names: Iterable[str] = ()) -> Composition:
        """Build one for these adapters, with random parameters, in evaluation mode."""
        composition = build_composition(self.options, _SHAPE[-1], self.registry)
        for name in names:
            composition.plug(name)
        fill_randomly(composition, seed=1)
        return composition.eval()

    def test_without_adapters_it_gives_the_backbone_back(self, hidden: Tensor) -> None:
        """Without adapters it gives the backbone's last state back, bit for bit."""
        assert_same(self.build()(hidden, {}), hidden, "without features")

    def test_it_gives_the_shape_of_a_state(self, hidden: Tensor, features: dict[str, Tensor]) -> None:
        """What it gives is (B, T, W), finite, and the same every time."""
        composition = self.build(features)
        given = composition(hidden, features)
        assert given.shape == hidden.shape
        assert given.isfinite().all(), "what it gives is not finite"
        assert_same(composition(hidden, features), given, "a second time")

    def test_nothing_that_it_is_given_is_changed(self, hidden: Tensor, features: dict[str, Tensor]) -> None:
        """States and features are read, never written."""
        given = {"hidden": hidden, **features}
        before = {name: tensor.clone() for name, tensor in given.items()}
        self.build(features)(hidden, features)
        assert_same_tensors(given, before, "it has changed")

    def test_the_order_of_plugging_does_not_matter(self, hidden: Tensor, features: dict[str, Tensor]) -> None:
        """The order in which adapters are plugged does not matter, up to float tolerance."""
        backwards = dict(reversed(features.items()))
        there, back = self.build(features), self.build(backwards)
        back.load_state_dict(there.state_dict())
        assert_close(back(hidden, backwards), there(hidden, features), "in another order")

    def test_what_was_learned_stays(self, features: dict[str, Tensor]) -> None:
        """What was learned for an adapter stays when it is plugged again, or another one is."""
        composition = self.build(features)
        before = {name: tensor.clone() for name, tensor in composition.state_dict().items()}
        for name in (*features, "another"):
            composition.plug(name)
        kept = {name: composition.state_dict()[name] for name in before}
        assert_same_tensors(kept, before, "plugging has changed")

    def test_each_token_is_mixed_by_itself(self, hidden: Tensor, features: dict[str, Tensor]) -> None:
        """Each token is mixed by itself: neighbours and padding do not matter, up to float tolerance."""
        composition = self.build(features)
        alone = composition(hidden[:1, 2:3], {name: tensor[:1, 2:3] for name, tensor in features.items()})
        assert_close(composition(hidden, features)[:1, 2:3], alone, "a token among others")

    def test_it_says_whether_it_reads_the_backbone(self, hidden: Tensor, features: dict[str, Tensor]) -> None:
        """If it says that it does not read the backbone's last state, it does not."""
        composition = self.build(features)
        if composition.reads_backbone:
            pytest.skip("it says that it does")
        assert_same(composition(hidden + 1, features), composition(hidden, features), "with another last state")

    def test_gradients_reach_the_features_and_every_parameter(
        self, hidden: Tensor, features: dict[str, Tensor]
    ) -> None:
        """Gradients reach every adapter's features and every parameter."""
        composition = self.build(features).train()
        asked = {name: tensor.requires_grad_() for name, tensor in features.items()}
        composition(hidden, asked).square().sum().backward()
        missed = [name for name, tensor in (*asked.items(), *composition.named_parameters()) if tensor.grad is None]
        assert not missed, f"no gradient reaches {missed}"


def _random(seed: int) -> Tensor:
    return torch.randn(_SHAPE, generator=torch.Generator().manual_seed(seed))
