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


@pytest.fixture(scope="session")
def tiny():
    """Gives the tiny backbone of a family, always the same one: not to be thawed."""
    from kadapter.testing import tiny_backbone

    return functools.cache(tiny_backbone)


@pytest.fixture(params=["folded", "as it stands"])
def give(request):
    """Gives the features of a pass without gradient, where all is folded that can be, and of one with it."""
    import torch

    from kadapter.testing.comparing import features_of

    def with_gradient(fusion, backbone, batch):
        editor = fusion if fusion.edits else None
        with torch.enable_grad():
            return fusion(backbone(batch, frozenset(fusion.reads), frozenset(fusion.borrows), editor=editor)).detach()

    return features_of if request.param == "folded" else with_gradient


@pytest.fixture(scope="session")
def members():
    """Options of three members that edit one place a layer, each of another size."""
    sizes = {"a": 2, "b": 4, "c": 8}
    return {name: {"type": "standard", "preset": "pfeiffer", "size": size} for name, size in sizes.items()}


@pytest.fixture(scope="session")
def readers():
    """Options of two members that read states of the clean pass."""
    small = {"type": "k-adapter", "init": "random", "transformer_layers": 1, "width": 8}
    return {"low": {**small, "reads": [1]}, "high": {**small, "reads": [2, 4]}}


@pytest.fixture(scope="session")
def built(tiny, members):
    """Gives a fusion in evaluation mode; all of it is filled at random, or only the members: the mixers are new."""
    import torch

    from kadapter import build_adapter
    from kadapter.testing import fill_randomly

    def build(family="roberta", seed=1, new_mixers=False, **options):
        backbone = tiny(family)
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            fusion = build_adapter({"type": "fusion", "members": members, **options}, backbone.info)
        fill_randomly(fusion.members if new_mixers else fusion, seed)
        return fusion.eval()

    return build
