import functools
import os

import pytest

# Before torch and transformers are imported, which read them once.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(scope="session")
def tiny():
    """Gives the tiny backbone of a family, always the same one: not to be thawed."""
    from kadapter.testing import tiny_backbone

    return functools.cache(tiny_backbone)


@pytest.fixture(scope="session")
def minilm():
    """A real pre-trained backbone: 6 layers, width 384."""
    from kadapter import BackboneError, load_backbone

    try:
        return load_backbone("minilm")
    except BackboneError as error:
        pytest.skip(str(error))


@pytest.fixture
def built():
    """Gives an adapter filled at random, so that all of it matters, in evaluation mode."""
    from kadapter import build_adapter
    from kadapter.testing import fill_randomly

    def build(backbone, seed=1, **options):
        adapter = build_adapter({"type": "standard", **options}, backbone.info)
        fill_randomly(adapter, seed)
        return adapter.eval()

    return build
