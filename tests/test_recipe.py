from pathlib import Path
from types import MappingProxyType

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from kadapter import ConfigError, KnowledgeModule, Recipe, UnknownNameError, hookimpl
from kadapter.recipe import Training
from kadapter.registry import Registry

GEOGRAPHY = KnowledgeModule(
    name="geography",
    description="which place lies in which",
    adapter=MappingProxyType({"type": "k-adapter", "reads": (1, 2)}),
    task={"name": "relation-classification"},
    source={"name": "geonames"},
    training={"epochs": 7},
)


class Plugin:
    """Gives one good kind of knowledge, and one that asks for a training that there is not."""

    @hookimpl
    def register_knowledge(self):
        careless = KnowledgeModule(
            "careless", "", {"type": "k-adapter"}, {"name": "x"}, {"name": "x"}, training={"e": 1}
        )
        return [GEOGRAPHY, careless]


REGISTRY = Registry([], [Plugin()])


def recipe(**entries):
    values = {
        "name": "facts",
        "backbone": "tiny",
        "source": {"name": "fewrel", "path": "facts.json"},
        "task": {"name": "relation-classification"},
        "adapter": {"type": "k-adapter", "reads": [1, 2]},
    }
    return Recipe.from_dict({**values, **entries})


def refused(call, *arguments):
    with pytest.raises(ConfigError) as caught:
        call(*arguments)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("recipes")


@pytest.fixture
def written(tmp_path):
    def write(text):
        (tmp_path / "recipe.yaml").write_bytes(text if isinstance(text, bytes) else text.encode())
        return tmp_path / "recipe.yaml"

    return write


# --- from an installed kind of knowledge


def test_a_kind_of_knowledge_makes_a_recipe():
    made = Recipe.of("geography", "tiny", REGISTRY)
    assert (made.name, made.backbone, made.source) == ("geography", "tiny", {"name": "geonames"})
    assert made.adapter == {"type": "k-adapter", "reads": (1, 2)}
    assert made.composition == {"name": "concat"}
    assert made.training == Training(epochs=7)


def test_unknown_knowledge_lists_what_is_installed():
    with pytest.raises(UnknownNameError, match=r"there is no knowledge 'geograpy'; .* did you mean 'geography'"):
        Recipe.of("geograpy", "tiny", REGISTRY)


def test_knowledge_that_asks_for_a_training_that_there_is_not_is_named():
    assert refused(Recipe.of, "careless", "tiny", REGISTRY).startswith("training of knowledge 'careless' has no option")


# --- to a file and back


def test_a_recipe_is_plain_data_whatever_it_was_made_of(tmp_path):
    made = Recipe(
        "facts",
        "tiny",
        MappingProxyType({"name": "fewrel", "path": Path("data/facts.json")}),
        {"name": "relation-classification", "labels": ("P17", "P36")},
        MappingProxyType({"type": "fusion", "members": ({"type": "k-adapter", "reads": (1,)},)}),
    )
    assert made.as_dict() == {
        "name": "facts",
        "backbone": "tiny",
        "source": {"name": "fewrel", "path": "data/facts.json"},
        "task": {"name": "relation-classification", "labels": ["P17", "P36"]},
        "adapter": {"type": "fusion", "members": [{"type": "k-adapter", "reads": [1]}]},
        "adapters": {},
        "composition": None,
        "training": {**vars(Training()), "report_to": []},
    }
    made.save(tmp_path / "recipe.yaml")
    assert Recipe.load(tmp_path / "recipe.yaml") == Recipe.from_dict(made.as_dict())


# PyYAML loses the control character U+0085, a line end of old; no name has it.
texts = st.text(st.characters(exclude_categories=["Cc", "Cs"]))
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
trainings = st.fixed_dictionaries(
    {},
    optional={
        "epochs": st.integers(1, 1000),
        "learning_rate": st.floats(min_value=0, max_value=1, exclude_min=True),
        "warmup": st.floats(0, 1),
        "seed": st.integers(0, 2**32 - 1),
        "precision": st.sampled_from(["float32", "bfloat16"]),
        "report_to": st.lists(texts, max_size=2),
    },
)


@example("0E0", {"rate": "3e-4"}, {})
@given(texts, st.dictionaries(texts, values, max_size=3), trainings)
def test_whatever_a_recipe_says_comes_back_from_its_file(folder, name, options, training):
    path = folder / "recipe.yaml"
    made = recipe(name=name, adapter={"type": "k-adapter", **options}, training=training)
    made.save(path)
    assert Recipe.load(path) == made


def test_entries_that_are_left_out_have_their_defaults(written):
    text = "{name: a, backbone: b, source: {name: s}, task: {name: t}, adapter: null, training: }"
    loaded = Recipe.load(written(text))
    assert (loaded.adapter, loaded.composition, loaded.training) == (None, None, Training())


def test_a_store_is_off_without_quotes(written):
    text = "{name: a, backbone: b, source: {name: s}, task: {name: t}, training: {store: off, store_limit: 300000}}"
    loaded = Recipe.load(written(text)).training
    assert (loaded.store, loaded.store_limit) == ("off", "300000"), "to YAML these are a truth value and a number"


def test_a_learning_rate_may_be_written_without_a_point(written):
    text = "{name: a, backbone: b, source: {name: s}, task: {name: t}, adapter: null, training: {learning_rate: 3e-4}}"
    assert Recipe.load(written(text)).training.learning_rate == 3e-4


# --- files that are no recipe


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name: [", "is not YAML: "),
        ("name: !!python/object:os.system x", "is not YAML: "),
        (b"\xff\xfe\x00", "it is not UTF-8 text"),
        ("", "is not a mapping; it needs name, backbone, source, task, adapter"),
        ("- a\n- b", "is not a mapping; it needs name, backbone, source, task, adapter"),
        ("just text", "is not a mapping; it needs name, backbone, source, task, adapter"),
        ("name: a", "lacks option 'backbone'"),
        ("nam: a", "has no option 'nam'; it has name, backbone, "),
        ("name: 3", "option 'name' is 3; it must be str"),
        ("training: 3", "training is 3; it must be a mapping of options"),
        ("training: []", "training is []; it must be a mapping of options"),
        ("training: {epoch: 3}", "did you mean 'epochs'?"),
    ],
)
def test_what_is_no_recipe_is_refused_by_the_file_s_name(written, text, message):
    path = written(text)
    said = refused(Recipe.load, path)
    assert str(path) in said
    assert message in said


def test_a_recipe_that_is_not_there_is_named(tmp_path):
    assert refused(Recipe.load, tmp_path / "none.yaml").startswith(f"cannot read recipe {tmp_path}/none.yaml: No such")
    assert refused(Recipe.load, tmp_path).startswith(f"cannot read recipe {tmp_path}: Is a directory")


@pytest.mark.parametrize("part", ["source", "task"])
@pytest.mark.parametrize("entry", [{}, {"path": "x"}])
def test_source_and_task_must_have_a_name(part, entry):
    assert refused(lambda: recipe(**{part: entry})).startswith(f"recipe: {part} has no name; say which")


@pytest.mark.parametrize(
    ("entry", "value", "must_be"),
    [
        ("backbone", None, "str"),
        ("source", "fewrel", "mapping"),
        ("task", ["relation-classification"], "mapping"),
        ("adapter", "k-adapter", "mapping or null"),
        ("composition", "sum", "mapping or null"),
        ("adapters", ["runs/factual"], "mapping"),
        ("adapter", "runs/factual", "mapping or null"),
    ],
)
def test_an_entry_of_another_type_is_refused(entry, value, must_be):
    assert refused(lambda: recipe(**{entry: value})) == (f"recipe: option '{entry}' is {value!r}; it must be {must_be}")


@pytest.mark.parametrize(
    ("option", "value", "must_be"),
    [
        ("epochs", 0, "more than 0"),
        ("batch_size", -1, "more than 0"),
        ("learning_rate", 0.0, "more than 0"),
        ("learning_rate", float("nan"), "more than 0"),
        ("learning_rate", float("inf"), "more than 0"),
        ("clip", 0, "more than 0"),
        ("weight_decay", -0.1, "0 or more"),
        ("warmup", 1.5, "a share of all steps, 0 to 1"),
        ("warmup", float("nan"), "a share of all steps, 0 to 1"),
        ("seed", -1, "0 or more and under 2**32"),
        ("seed", 2**32, "0 or more and under 2**32"),
    ],
)
def test_a_training_that_makes_no_sense_is_refused(option, value, must_be):
    message = refused(recipe().with_options, {f"training.{option}": value})
    assert message == f"training: {option} is {value}; it must be {must_be}"


# --- options replaced one by one


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("name", "other"),
        ("training.epochs", 9),
        ("training.report_to", ("tensorboard",)),
        ("adapter.reads", [3]),
        ("adapter.inner.deeper.rank", 4),
        ("adapter", None),
        ("source.seed", 5),
        ("composition", {"name": "sum"}),
        ("composition.name", "sum"),
        ("adapters.local", "runs/local"),
        ("training.trains", ("head", "backbone")),
    ],
)
def test_a_dotted_option_is_replaced_and_nothing_else(option, value):
    before = recipe()
    found = after = before.with_options({option: value})
    for step in option.split("."):
        found = found[step] if isinstance(found, dict) else getattr(found, step)
    assert found == value
    entry = option.split(".")[0]
    rest = {key: entry for key, entry in after.as_dict().items() if key != option.split(".")[0]}
    assert rest == {key: value for key, value in before.as_dict().items() if key != entry}
    assert before == recipe()


def test_no_options_leave_the_recipe_as_it_is():
    assert recipe().with_options({}) == recipe()


def test_options_are_replaced_in_the_order_given():
    assert recipe().with_options({"adapter": None, "composition": {"name": "sum"}}).adapter is None
    assert recipe().with_options({"adapter": {"type": "other"}, "adapter.rank": 3}).adapter == {
        "type": "other",
        "rank": 3,
    }


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"trainin.epochs": 3}, "recipe has no option 'trainin'; it has name, backbone, source, task, adapter, "),
        ({"training.epoch": 3}, "recipe: training has no option 'epoch'; it has epochs, "),
        ({"training": 3}, "recipe: training is 3; it must be a mapping of options to values"),
        ({"training.epochs": "many"}, "recipe: training: option 'epochs' is 'many'; it must be int"),
        ({"name.x": 3}, "recipe has no option 'name.x': name is not a mapping of options"),
        ({"training.epochs.x.y": 3}, "recipe has no option 'training.epochs.x.y': training.epochs.x is not a mapping"),
        ({"training.trains": []}, "training: trains is (); it must be one or more of head, composition, adapters,"),
        ({"training.trains": ["legs"]}, "recipe: training: option 'trains' is ['legs']; it must be list of 'head' or"),
        (
            {"adapters": {"facts": "runs/f"}},
            "recipe: the new adapter and one of adapters are both called 'facts'; rename one",
        ),
        ({"": 3}, "recipe has no option ''; it has "),
        ({"training.": 3}, "recipe: training has no option ''; it has "),
        ({".": 3}, "recipe has no option ''; it has "),
    ],
)
def test_an_option_that_there_is_not_is_refused(options, message):
    assert refused(recipe().with_options, options).startswith(message)


def test_the_saved_file_is_for_people(tmp_path):
    recipe(name="Städte").save(tmp_path / "recipe.yaml")
    text = (tmp_path / "recipe.yaml").read_text(encoding="utf-8")
    assert text.startswith("name: Städte\nbackbone: tiny\nsource:\n  name: fewrel\n")
    assert yaml.safe_load(text)["training"]["epochs"] == Training().epochs
