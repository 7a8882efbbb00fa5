"""The laws of an adapter, for every preset of the standard adapter and for one with every option on."""

from kadapter.testing import AdapterContract


class TestHoulsby(AdapterContract):
    options = {"type": "standard", "preset": "houlsby", "size": 8}
    families = ("roberta", "gpt2", "llama", "t5", "phi", "distilbert")


class TestPfeiffer(AdapterContract):
    options = {"type": "standard", "preset": "pfeiffer"}


class TestParallel(AdapterContract):
    options = {"type": "standard", "preset": "parallel"}


class TestDoubleSequential(AdapterContract):
    options = {"type": "standard", "preset": "double_seq_bn"}


class TestSequential(AdapterContract):
    options = {"type": "standard", "preset": "seq_bn"}


class TestParallelOfAdapterHub(AdapterContract):
    options = {"type": "standard", "preset": "par_bn"}


class TestEveryOption(AdapterContract):
    """The lowest layer that it edits is the second: below it, passes have a trunk in common."""

    options = {
        "type": "standard",
        "form": "parallel",
        "size": [4, 8, 0, 16],
        "leave_out": [1],
        "activation": "silu",
        "init": "random",
        "scale": "learned",
        "dropout": 0.5,
        "norm_before": True,
        "norm_after": True,
    }


class TestNormsAlone(AdapterContract):
    options = {"type": "standard", "size": 0}
