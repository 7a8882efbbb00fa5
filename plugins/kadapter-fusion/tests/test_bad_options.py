"""Options that cannot be: one line that says what was asked for, what there is, and what to do."""

import math

import pytest

from kadapter import BackboneError, ConfigError, StorageError, build_adapter, save_adapter

SEQUENTIAL = {"type": "standard", "preset": "pfeiffer", "size": 2}
READER = {"type": "scalar-mix"}


def message_of(kind, backbone, **options):
    with pytest.raises(kind) as caught:
        build_adapter({"type": "fusion", "members": {"a": SEQUENTIAL}, **options}, backbone.info)
    message = str(caught.value)
    assert "\n" not in message
    return message


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"members": {}}, "members is {}; it must be name -> folder"),
        ({"dropout": 1}, "dropout is 1; it must be 0 or more and under 1"),
        ({"dropout": -0.1}, "dropout is -0.1; it must be"),
        ({"dropout": math.nan}, "dropout is nan; it must be"),
        ({"temperature": 0.5}, "temperature is 0.5; it must be 1 or more"),
        ({"temperature": math.inf}, "temperature is inf; it must be"),
        ({"cooling": 0}, "cooling is 0; it must be 1 or more"),
        ({"regularization": -1}, "regularization is -1; it must be 0 or more"),
        ({"regularization": math.nan}, "regularization is nan; it must be"),
        ({"kept": {"1-feedforward-norm": "a"}}, "kept is {'1-feedforward-norm': 'a'}; it must be place -> list of"),
        (
            {"kept": {"1-feedforward-norm": [["a"]]}},
            "kept is {'1-feedforward-norm': [['a']]}; it must be place -> list",
        ),
        ({"members": ["a"]}, "option 'members' is ['a']; it must be mapping"),
        ({"residual": "none"}, "option 'residual' is 'none'; it must be 'after' or 'before'"),
        ({"value": "yes"}, "option 'value' is 'yes'; it must be bool"),
    ],
)
def test_a_value_that_cannot_be_says_what_it_must_be(tiny, options, expected):
    assert message_of(ConfigError, tiny("bert"), **options).startswith(f"adapter type 'fusion': {expected}")


def test_there_are_members(tiny):
    with pytest.raises(ConfigError, match="lacks option 'members'"):
        build_adapter({"type": "fusion"}, tiny("bert").info)


def test_members_that_edit_and_members_that_read_are_not_mixed(tiny):
    members = {"a": SEQUENTIAL, "mix": READER, "b": SEQUENTIAL, "other": READER}
    message = message_of(ConfigError, tiny("bert"), members=members)
    assert "a, b edit the backbone and mix, other only read it; fuse each kind by itself" in message


# torch has attributes of these names, where members are kept; parameters are named by dots.
@pytest.mark.parametrize("name", ["keys", "train", "double", "a.b", ""])
def test_a_name_that_cannot_be_one_is_refused(tiny, name):
    assert f"'{name}'" in message_of(ConfigError, tiny("bert"), members={name: SEQUENTIAL})


@pytest.mark.parametrize("member", [3, None, ["folder"]])
def test_a_member_is_a_folder_a_name_or_options(tiny, member):
    message = message_of(ConfigError, tiny("bert"), members={"a": member})
    assert "member 'a' is" in message
    assert "it must be a folder, the name of installed knowledge, or options" in message


def test_a_name_that_is_no_text_is_refused(tiny):
    assert "'1'" in message_of(ConfigError, tiny("bert"), members={1: SEQUENTIAL})


def test_a_folder_that_is_not_there_is_named(tiny, tmp_path):
    folder = str(tmp_path / "nowhere")
    message = message_of(StorageError, tiny("bert"), members={"a": folder})
    assert f"no saved adapter in {folder}" in message


def test_a_member_of_another_backbone_is_refused(tiny, tmp_path):
    save_adapter(tmp_path, build_adapter(SEQUENTIAL, tiny("gpt2").info), "a")
    message = message_of(BackboneError, tiny("bert"), members={"a": str(tmp_path)})
    assert f"{tmp_path} was trained on backbone 'tiny-gpt2'" in message


def test_what_is_wrong_with_a_members_options_is_said(tiny):
    wrong = {"type": "standard", "sizes": 3}
    assert "'standard' has no option 'sizes'" in message_of(ConfigError, tiny("bert"), members={"a": wrong})


def test_a_place_that_is_not_there_is_refused(tiny):
    message = message_of(ConfigError, tiny("bert"), kept={"5-feedforward-norm": ["a"]})
    assert "kept names place '5-feedforward-norm'; its places are 1-feedforward-norm, 2-feedforward-norm," in message


def test_the_output_is_no_place_of_members_that_edit(tiny):
    assert "kept names place 'output'" in message_of(ConfigError, tiny("bert"), kept={"output": ["a"]})


def test_a_member_that_is_not_there_is_refused(tiny):
    message = message_of(ConfigError, tiny("bert"), kept={"1-feedforward-norm": ["a", "b"]})
    assert "kept names 'b' at 1-feedforward-norm; there is a" in message


def test_a_member_that_does_nothing_at_a_place_is_not_kept_there(tiny):
    members = {"a": SEQUENTIAL, "upper": {**SEQUENTIAL, "leave_out": [1]}}
    kept = {"1-feedforward-norm": ["a", "upper"]}
    message = message_of(ConfigError, tiny("bert"), members=members, kept=kept)
    assert "kept names 'upper' at 1-feedforward-norm; there is a" in message


def test_features_are_made_of_one_member_at_least(tiny):
    message = message_of(ConfigError, tiny("bert"), members={"a": READER, "b": READER}, kept={"output": []})
    assert "kept leaves nobody at output" in message
