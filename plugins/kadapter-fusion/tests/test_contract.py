"""The laws of an adapter, for fusions of members that edit, of members that only read, and of pruned ones."""

from kadapter.testing import AdapterContract


def standard(preset, **options):
    return {"type": "standard", "preset": preset, **options}


class TestSizes(AdapterContract):
    """At every place all members are folded."""

    options = {"type": "fusion", "members": {f"of-{m}": standard("pfeiffer", size=m) for m in (2, 4, 8)}}
    families = ("roberta", "gpt2", "t5")


class TestPlacesAndForms(AdapterContract):
    """No two members edit the same places; some places are folded, and some cannot be."""

    options = {
        "type": "fusion",
        "members": {
            "norms": standard("houlsby", size=4),
            "twice": standard("double_seq_bn", leave_out=[1]),
            "parallel": standard("parallel", size=[0, 2, 0, 8]),
        },
        "temperature": 5.0,
        "dropout": 0.1,
    }


class TestNothingProjected(AdapterContract):
    """Only the value matrices are left, and the stream goes through them."""

    options = {
        "type": "fusion",
        "members": {"a": standard("pfeiffer", size=2), "b": standard("pfeiffer", size=4)},
        "query": False,
        "key": False,
        "residual": "before",
    }


class TestReaders(AdapterContract):
    options = {
        "type": "fusion",
        "members": {
            "copies": {"type": "k-adapter", "transformer_layers": 1},
            "random": {"type": "k-adapter", "init": "random", "reads": [1, 4], "width": 8},
        },
    }


class TestPruned(AdapterContract):
    """In the second layer nobody is left."""

    options = {
        "type": "fusion",
        "members": {name: standard("double_seq_bn", size=4) for name in "abc"},
        "kept": {"1-attention": ["a", "c"], "2-attention": [], "2-feedforward": [], "3-feedforward": ["b"]},
    }


class TestPrunedReaders(AdapterContract):
    options = {**TestReaders.options, "kept": {"output": ["random"]}}


class TestOfFusions(AdapterContract):
    """A member may be a fusion itself."""

    options = {"type": "fusion", "members": {"inner": TestSizes.options, "beside": standard("pfeiffer", size=3)}}
