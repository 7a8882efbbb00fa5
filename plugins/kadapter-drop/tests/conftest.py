import functools
import os

import pytest
from hypothesis import settings

# Before torch and transformers are imported, which read them once.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ.setdefault("OMP_NUM_THREADS", "1")

# Machines are shared and noisy: an example may take long. CI's verdict must not depend on the draw of the day.
settings.register_profile("kadapter", deadline=None, derandomize="CI" in os.environ)
settings.load_profile("kadapter")

PFEIFFER = {"type": "standard", "preset": "pfeiffer", "size": 4}


@pytest.fixture(scope="session")
def tiny():
    """Gives the tiny backbone of a family, always the same one: not to be thawed."""
    from kadapter.testing import tiny_backbone

    return functools.cache(tiny_backbone)


@pytest.fixture(scope="session")
def dropped():
    """Gives an adapter without layers, filled at random, in evaluation mode; by default of a standard one."""
    from kadapter import build_adapter
    from kadapter.testing import fill_randomly

    def build(backbone, seed=1, inner=PFEIFFER, **options):
        adapter = build_adapter({"type": "drop", "inner": inner, **options}, backbone.info)
        fill_randomly(adapter, seed)
        return adapter.eval()

    return build


@pytest.fixture(scope="session")
def model_of():
    """Gives a model with one adapter plugged, composed as usual."""
    from kadapter import KnowledgeModel

    def build(backbone, adapter):
        model = KnowledgeModel(backbone)
        model.plug("it", adapter)
        model.recompose(model.usual_composition("sum"))
        return model.eval()

    return build
