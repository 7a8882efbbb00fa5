from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kadapter.config import make_config, read_yaml
from kadapter.errors import ConfigError


@dataclass(frozen=True)
class Options:
    family: ClassVar[str] = "none of the options"

    size: int
    rate: float = 0.5
    name: str = "plain"
    exact: bool = False
    mode: Literal["add", "gated"] = "add"
    width: int | None = None
    reads: tuple[int, ...] | Literal["middle"] = "middle"
    parts: Mapping[str, Any] = field(default_factory=dict)
    anything: Any = None


def made(**options):
    return make_config(Options, {"size": 1, **options}, owner="thing 'x'")


def refused(**options):
    with pytest.raises(ConfigError) as caught:
        made(**options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("size", 3),
        ("rate", 0.25),
        ("rate", 2),
        ("name", ""),
        ("exact", True),
        ("mode", "gated"),
        ("width", None),
        ("width", 8),
        ("reads", "middle"),
        ("reads", (1, 2)),
        ("parts", {"inner": {"rank": 3}}),
        ("anything", object),
    ],
)
def test_a_fitting_value_is_kept_as_it_is(option, value):
    assert getattr(made(**{option: value}), option) == value


@pytest.mark.parametrize(
    ("option", "value", "must_be"),
    [
        ("size", "3", "int"),
        ("size", 3.0, "int"),
        ("size", True, "int"),
        ("size", None, "int"),
        ("rate", "0.5", "float"),
        ("rate", False, "float"),
        ("name", 3, "str"),
        ("exact", 1, "bool"),
        ("exact", "true", "bool"),
        ("mode", "multiply", "'add' or 'gated'"),
        ("mode", None, "'add' or 'gated'"),
        ("mode", ["add"], "'add' or 'gated'"),
        ("width", 1.5, "int or null"),
        ("width", False, "int or null"),
        ("reads", "last", "list of int or 'middle'"),
        ("reads", [1, "2"], "list of int or 'middle'"),
        ("reads", [True], "list of int or 'middle'"),
        ("reads", 2, "list of int or 'middle'"),
        ("parts", ["inner"], "mapping"),
    ],
)
def test_a_value_of_another_type_is_refused(option, value, must_be):
    message = refused(**{option: value})
    assert message.startswith(f"thing 'x': option '{option}' is ")
    assert message.endswith(f"; it must be {must_be}")


def test_lists_become_tuples_however_deep():
    config = made(reads=[2, 4], anything=[[1], [2, [3]]])
    assert (config.reads, config.anything) == ((2, 4), ((1,), (2, (3,))))


def test_an_unknown_option_is_refused_with_what_there_is_and_the_nearest_name():
    assert refused(raite=1) == (
        "thing 'x' has no option 'raite'; it has size, rate, name, exact, mode, width, reads, parts, anything; "
        "did you mean 'rate'?"
    )


def test_an_option_like_none_gets_no_hint():
    assert refused(zzz=1).endswith("parts, anything")


def test_what_belongs_to_the_class_is_no_option():
    assert "has no option 'family'" in refused(family="mine")


@pytest.mark.parametrize("name", [3, None, True, ("a", "b")])
def test_an_option_whose_name_is_no_text_is_refused(name):
    with pytest.raises(ConfigError, match="has no option"):
        make_config(Options, {name: 1}, owner="thing 'x'")


def test_a_kind_without_options_says_so():
    with pytest.raises(ConfigError, match=r"^thing 'y' has no option 'size'; it has none$"):
        make_config(dataclass(frozen=True)(type("Nothing", (), {})), {"size": 1}, owner="thing 'y'")


def test_what_has_no_default_must_be_given():
    with pytest.raises(ConfigError, match=r"^thing 'x' lacks option 'size'; it has size, rate, "):
        make_config(Options, {"rate": 1}, owner="thing 'x'")


@pytest.mark.parametrize("options", [None, 5, "size", ["size"], [("size", 1)]])
def test_options_must_be_a_mapping(options):
    with pytest.raises(ConfigError, match=r"^thing 'x' is .*; it must be a mapping of options to values$"):
        make_config(Options, options, owner="thing 'x'")


plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(st.sampled_from(list(asdict(made()))), plain)
def test_whatever_is_given_is_taken_as_declared_or_refused(option, value):
    options = {"size": 1, option: value}
    try:
        taken = getattr(make_config(Options, options, owner="x"), option)
    except ConfigError:
        with pytest.raises(ConfigError, match=f"x: option '{option}' is .*; it must be "):
            make_config(Options, options, owner="x")
    else:
        assert taken == (tuple(taken) if isinstance(value, list) else value)


@pytest.mark.parametrize("text", ["3e-4", "3.0e-4", "0.0003", "3E-4", "+3e-4", "30e-05"])
def test_numbers_may_be_written_as_they_are_anywhere_else(text):
    assert read_yaml(text, "x") == 0.0003


@pytest.mark.parametrize(
    ("text", "value"), [("[2, 4]", [2, 4]), ("null", None), ("", None), ("P17", "P17"), ("e5", "e5"), ("1e", "1e")]
)
def test_yaml_is_read(text, value):
    assert read_yaml(text, "x") == value


@pytest.mark.parametrize("text", ["[", "a: b: c", "{[1]: 2}", "2020-13-45", "!!python/object:os.system x", "\t"])
def test_what_is_not_yaml_is_refused_in_one_line(text):
    with pytest.raises(ConfigError, match=r"^recipe r\.yaml is not YAML: ") as caught:
        read_yaml(text, "recipe r.yaml")
    assert "\n" not in str(caught.value)
