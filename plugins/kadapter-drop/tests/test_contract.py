"""The laws of an adapter, for every way to drop layers, around every type of adapter, and for every n."""

from kadapter.testing import AdapterContract

HOUSLBY = {"type": "standard", "preset": "houlsby", "size": 4}
PFEIFFER = {"type": "standard", "preset": "pfeiffer", "size": 4}
READER = {"type": "k-adapter", "transformer_layers": 1, "reads": [0, 2, 4]}
FUSED = {"type": "fusion", "members": {"a": PFEIFFER, "b": {**PFEIFFER, "size": 8}}}


class TestSomeDropped(AdapterContract):
    options = {"type": "drop", "inner": HOUSLBY, "layers": 2}
    families = ("roberta", "gpt2", "t5")


class TestNoneDropped(AdapterContract):
    options = {"type": "drop", "inner": PFEIFFER, "layers": 0}
    families = ("roberta",)


class TestAllButOne(AdapterContract):
    options = {"type": "drop", "inner": PFEIFFER, "layers": 3}
    families = ("gpt2",)


class TestAllDropped(AdapterContract):
    options = {"type": "drop", "inner": PFEIFFER, "layers": 4}


class TestRobust(AdapterContract):
    options = {"type": "drop", "inner": HOUSLBY, "layers": 1, "robust": True}


class TestChosenLayers(AdapterContract):
    options = {"type": "drop", "inner": PFEIFFER, "layers": [2, 4]}
    families = ("gpt2",)


class TestFusion(AdapterContract):
    options = {"type": "drop", "inner": FUSED, "layers": 2}


class TestReader(AdapterContract):
    options = {"type": "drop", "inner": READER, "layers": 1}


class TestReaderWithoutLayers(AdapterContract):
    options = {"type": "drop", "inner": READER, "layers": 4}
    families = ("roberta",)


class TestRobustReader(AdapterContract):
    options = {"type": "drop", "inner": {**READER, "accumulation": "gated"}, "robust": True}
    families = ("gpt2",)


class TestMember(AdapterContract):
    """A fusion may have members without their lower layers."""

    options = {
        "type": "fusion",
        "members": {"high": {"type": "drop", "inner": PFEIFFER, "layers": 2}, "all": {**PFEIFFER, "size": 8}},
    }


class TestTwice(AdapterContract):
    options = {"type": "drop", "layers": 1, "inner": {"type": "drop", "layers": [3], "inner": PFEIFFER}}
    families = ("roberta",)
