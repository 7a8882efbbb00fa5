"""Options that cannot be: one line that says what was asked for, what there is, and what to do."""

import re
from dataclasses import replace

import pytest

from kadapter import BackboneError, ConfigError, build_adapter


def message_of(kind, backbone, **options):
    with pytest.raises(kind) as caught:
        build_adapter({"type": "standard", **options}, backbone.info)
    message = str(caught.value)
    assert "\n" not in message
    return message


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"places": []}, "places is (); it must be one or both of attention, feedforward"),
        ({"places": ["attention"] * 2}, "places is ('attention', 'attention'); it must be one or both of"),
        ({"size": -1}, "size is -1; it must be 0 or more"),
        ({"size": []}, "size is (); it must be 0 or more"),
        ({"size": [1, -2, 3, 4]}, "size is (1, -2, 3, 4); it must be 0 or more"),
        ({"reduction": 0}, "reduction is 0; it must be more than 0"),
        ({"reduction": -16}, "reduction is -16; it must be more than 0"),
        ({"reduction": float("inf")}, "reduction is inf; it must be more than 0"),
        ({"reduction": float("nan")}, "reduction is nan; it must be more than 0"),
        ({"activation": "swishy"}, "activation is 'swishy'; it must be one of"),
        ({"scale": float("nan")}, "scale is nan; it must be a number or 'learned'"),
        ({"dropout": 1}, "dropout is 1; it must be 0 or more and under 1"),
        ({"dropout": -0.1}, "dropout is -0.1; it must be 0 or more and under 1"),
        ({"dropout": float("nan")}, "dropout is nan; it must be 0 or more and under 1"),
    ],
)
def test_a_value_that_cannot_be_says_what_it_must_be(tiny, options, expected):
    assert message_of(ConfigError, tiny("bert"), **options).startswith(f"adapter type 'standard': {expected}")


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"places": ["output"]}, "option 'places' is ['output']; it must be list of 'attention' or 'feedforward'"),
        ({"places": "attention"}, "option 'places' is 'attention'; it must be list of"),
        ({"form": "serial"}, "option 'form' is 'serial'; it must be 'sequential' or 'around-norm' or 'parallel'"),
        ({"size": 8.5}, "option 'size' is 8.5; it must be int or list of int or null"),
        ({"init": "lora"}, "option 'init' is 'lora'; it must be 'houlsby' or 'bert' or 'zero' or 'random'"),
        ({"scale": "learn"}, "option 'scale' is 'learn'; it must be float or 'learned'"),
        ({"train_norms": 1}, "option 'train_norms' is 1; it must be bool"),
    ],
)
def test_a_value_of_another_type_says_the_type(tiny, options, expected):
    assert message_of(ConfigError, tiny("bert"), **options).startswith(f"adapter type 'standard': {expected}")


def test_a_name_that_is_not_known_says_which_are(tiny):
    assert "has no option 'sizes'" in message_of(ConfigError, tiny("bert"), sizes=8)
    assert "did you mean 'size'" in message_of(ConfigError, tiny("bert"), sizes=8)
    message = message_of(ConfigError, tiny("bert"), preset="pfeifer")
    assert message == (
        "adapter type 'standard' has no preset 'pfeifer'; "
        "it has houlsby, pfeiffer, parallel, double_seq_bn, seq_bn, par_bn"
    )


@pytest.mark.parametrize("layers", [[0], [5], [-1], [1, 7], [1, 2, 3, 4]])
def test_layers_to_leave_out_are_those_of_the_backbone_and_not_all(tiny, layers):
    message = message_of(ConfigError, tiny("bert"), leave_out=layers)
    assert f"leave_out is {layers}; backbone 'tiny-bert' has layers 1 to 4, and one must be left" in message


@pytest.mark.parametrize("sizes", [[8], [8] * 3, [8] * 5])
def test_a_list_of_sizes_has_one_for_every_layer(tiny, sizes):
    message = message_of(ConfigError, tiny("bert"), size=sizes)
    assert f"size has {len(sizes)} entries, and backbone 'tiny-bert' has 4 layers; give one for each" in message


@pytest.mark.parametrize(
    ("family", "options"),
    [
        ("bert", {"size": 0, "train_norms": False}),
        ("bert", {"size": [0] * 4, "train_norms": False}),
        ("bert", {"size": [8, 0, 0, 0], "leave_out": [1], "train_norms": False}),
        ("bert", {"size": [0, 0, 8, 8], "leave_out": [3, 4], "train_norms": False}),
        # Its attention and feed-forward work side by side: no norm follows attention.
        ("phi", {"size": 0, "places": ["attention"]}),
    ],
)
def test_an_adapter_with_nothing_to_train_says_so(tiny, family, options):
    assert message_of(ConfigError, tiny(family), **options) == (
        f"adapter type 'standard' has nothing to train in backbone 'tiny-{family}': size is 0 in every layer that is "
        f"not left out, and there is no norm to train; give a size, or take train_norms"
    )


@pytest.mark.parametrize("family", ["gpt2", "llama", "t5", "phi", "olmo2"])
@pytest.mark.parametrize("places", [["attention"], ["attention", "feedforward"]])
def test_no_sum_is_normalised_behind_attention_where_norms_stand_before(tiny, family, places):
    message = message_of(BackboneError, tiny(family), preset="pfeiffer", places=places)
    assert re.search(f"'around-norm' at attention, but backbone 'tiny-{family}' has its norms before", message)
    assert "take form 'sequential', or feedforward alone" in message


@pytest.mark.parametrize("options", [{}, {"preset": "pfeiffer"}, {"preset": "parallel"}])
def test_a_backbone_whose_places_are_not_known_says_how_to_name_them(tiny, options):
    info = tiny("bert").info
    unknown = replace(info, sites=type(info.sites)())
    with pytest.raises(BackboneError, match=r"has no place .*`sites` of a BackboneAlias"):
        build_adapter({"type": "standard", **options}, unknown)
