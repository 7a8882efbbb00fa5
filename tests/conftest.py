import functools
import os
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import settings

# Before torch and transformers are imported, which read them once. Tiny models have nothing to share out, and with
# heads of 8 dimensions the bits of a row depend on which thread it falls to.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ.setdefault("OMP_NUM_THREADS", "1")

# Machines are shared and noisy: an example may take long. CI's verdict must not depend on the draw of the day.
settings.register_profile("kadapter", deadline=None, derandomize="CI" in os.environ)
settings.load_profile("kadapter")


@pytest.fixture(scope="session")
def tiny():
    """Gives the tiny backbone of a family, always the same one: not to be thawed, and its tokenizer not changed."""
    from kadapter.testing import tiny_backbone

    return functools.cache(tiny_backbone)


@pytest.fixture(scope="session")
def editors():
    """The built-ins and "shift", a type of adapter that edits: it adds a vector to what one layer gives."""
    import torch

    from kadapter import Adapter, Registry, Site, hookimpl

    @dataclass(frozen=True)
    class Config:
        layer: int = 2

    class Shift(Adapter):
        name = "shift"

        def __init__(self, config, backbone):
            super().__init__(config, backbone)
            self.edits, self.reads = frozenset({Site(config.layer, "output")}), (backbone.layers,)
            self.vector = torch.nn.Parameter(torch.zeros(backbone.width))

        def edit(self, site, hidden, entering, norm):
            return hidden + self.vector

        def forward(self, states):
            return states[self.reads[0]]

    Shift.Config = Config

    class Plugin:
        @hookimpl
        def register_adapter_types(self):
            return [Shift]

    return Registry([], ["kadapter.builtin", Plugin()])


@pytest.fixture(scope="session")
def minilm():
    """A real pre-trained backbone: 6 layers, width 384."""
    from kadapter import BackboneError, load_backbone

    try:
        return load_backbone("minilm")
    except BackboneError as error:
        pytest.skip(str(error))


@pytest.fixture
def data_folder():
    """The published data sets, where they lie beside a development checkout."""
    folder = Path(__file__).parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"no data sets at {folder}")
    return folder
