"""What the contracts for adapters, tasks and knowledge share: their laws are tested on tiny backbones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import pytest

from kadapter import Backbone, Registry
from kadapter.testing.backbones import tiny_backbone


class OnBackbones:
    """Runs every test that asks for a `backbone` once for each family.

    Attributes:
        families: of `FAMILIES`; each gives a tiny backbone and tokenizer.
        registry: where names are looked up; None is what is installed.
        once: the tests that are the same for all families, and so are run for the first.
    """

    families: ClassVar[Sequence[str]] = ("roberta", "gpt2")
    registry: ClassVar[Registry | None] = None
    once: ClassVar[frozenset[str]] = frozenset()

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Give each test its backbones."""
        if "backbone" in metafunc.fixturenames:
            only_first = metafunc.function.__name__ in self.once
            metafunc.parametrize("backbone", self.families[:1] if only_first else self.families, indirect=True)

    @pytest.fixture
    def backbone(self, request: pytest.FixtureRequest) -> Backbone:
        """Give the backbone. A subclass may give another one."""
        return tiny_backbone(request.param)
