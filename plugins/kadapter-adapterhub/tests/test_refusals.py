"""What cannot be done exactly is refused by its name, in one line."""

import json
import re

import pytest

from kadapter import ConfigError

CONFIGS = {
    "prefix tuning": {"architecture": "prefix_tuning", "prefix_length": 30},
    "LoRA": {"architecture": "lora", "composition_mode": "add", "r": 8},
    r"\(IA\)³": {"architecture": "lora", "composition_mode": "scale", "r": 1},
    "prompt tuning": {"architecture": "prompt_tuning"},
    "ReFT": {"architecture": "reft"},
    "the method 'mixture'": {"architecture": "mixture"},
    r"a union of methods \(prefix tuning, a bottleneck\)": {
        "architecture": "union",
        "configs": [{"architecture": "prefix_tuning"}, {"mh_adapter": True}],
    },
    r"PHM layers, as in Compacter, \(phm_layer": {"phm_layer": True},
    r"an invertible adapter \(inv_adapter: 'nice'\)": {"inv_adapter": "nice"},
    r"an invertible adapter \(inv_adapter: \{'block_type'": {"invertible_adapter": {"block_type": "nice"}},
    r"a gate, as in UniPELT, \(use_gating": {"use_gating": True},
    "stochastic depth": {"stochastic_depth": 0.1},
    r"a scale for each channel": {"scaling": "channel"},
    r"\(original_ln_after: False\)": {"original_ln_after": False},
    r"\(original_ln_before: True, residual_before_ln: False\)": {"residual_before_ln": False},
    r"\(original_ln_before: True, residual_before_ln: 'post_add'\)": {"residual_before_ln": "post_add"},
    r"\(ln_after: True, adapter_residual_before_ln: True\)": {"ln_after": True, "adapter_residual_before_ln": True},
    "an adapter that works nowhere": {"output_adapter": False},
    r"the option rotation: 90, which is not known here,": {"rotation": 90},
}


@pytest.mark.parametrize("what", CONFIGS)
def test_it_is_refused_by_name(what, exported, imported, described, tmp_path):
    folder = exported()
    described(folder / "adapter_config.json", CONFIGS[what])
    with pytest.raises(ConfigError, match=rf"^{folder}: .*{what}.*cannot be imported; .* the bottlenecks can") as error:
        imported(folder)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "ours").exists()


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"reduction_factor": {"0": 8}}, "says nothing for layer 1"),
        ({"reduction_factor": 0}, "says nothing for layer 0"),
        ({"reduction_factor": "16"}, "says nothing for layer 0"),
        ({"leave_out": ["2"]}, "no list of layers"),
        ({"non_linearity": "magic"}, "activation is 'magic'"),
        ({"dropout": "much"}, "option 'dropout' is 'much'"),
        ({"scaling": "twice"}, "option 'scale' is 'twice'"),
        ({"scaling": [4.0]}, r"option 'scale' is \[4.0\]"),
        ({"reduction_factor": float("nan")}, "reduction_factor is nan"),
        ({"reduction_factor": float("inf")}, "reduction_factor is inf"),
        ({"reduction_factor": 1e-12}, "reduction_factor is 1e-12"),
        ({"reduction_factor": {"default": [8]}}, r"reduction_factor is \{'default': \[8\]\}"),
        ({"leave_out": [True]}, r"leave_out is \[True\]"),
        ({"non_linearity": ["relu"]}, r"non_linearity is \['relu'\], which is no name"),
        ({"non_linearity": 3}, "non_linearity is 3, which is no name"),
        ({"init_weights": {"a": 1}}, r"init_weights is \{'a': 1\}, which is no name"),
        ({"architecture": "union", "configs": 5}, "configs is 5, which is no list"),
        ({"architecture": ["lora"]}, r"the method .*lora.* cannot be imported"),
    ],
)
def test_options_that_say_nothing_are_refused(config, message, exported, imported, described):
    folder = exported()
    described(folder / "adapter_config.json", config)
    with pytest.raises(ConfigError, match=message) as error:
        imported(folder)
    assert "\n" not in str(error.value)


def test_an_activation_of_a_folder_without_a_version_is_a_name_too(exported, imported):
    path = exported() / "adapter_config.json"
    said = json.loads(path.read_text())
    del said["version"]
    path.write_text(json.dumps({**said, "config": {**said["config"], "non_linearity": ["relu"]}}))
    with pytest.raises(ConfigError, match=r"non_linearity is \['relu'\], which is no name"):
        imported(path.parent)


@pytest.mark.parametrize("config", [None, 3, ["pfeiffer"], "pfeifer", True])
def test_a_config_that_says_no_options_is_refused(config, exported, imported, described):
    folder = exported()
    described(folder / "adapter_config.json", config=config)
    with pytest.raises(ConfigError, match=re.escape(f"{folder}: the method {config!r} cannot be imported")):
        imported(folder)


@pytest.mark.parametrize(
    "config",
    [
        {"residual_before_ln": False, "original_ln_before": False},
        {"adapter_residual_before_ln": True},
        {"rotation": None, "phm_dim": 8, "init_weights_seed": 42, "cross_adapter": True},
    ],
)
def test_options_without_effect_are_not(config, exported, imported, described):
    folder = exported(form="sequential")
    described(folder / "adapter_config.json", config)
    assert imported(folder).plugged
