"""Whole probes of tiny models: what is asked, what is left out and why, and what is told of it."""

import json
from dataclasses import replace

import pytest
from datasets import Dataset

from kadapter import KnowledgeModel, build_adapter, finetune, save_adapter
from kadapter.config import make_config
from kadapter.errors import ConfigError
from kadapter.plots import plot_probe
from kadapter.probing import ProbeOptions, probe_items
from kadapter.probing.filters import by_names, in_names
from kadapter.probing.items import Item, drawn, items_of, with_choices
from kadapter.probing.reporting import as_markdown, cells, lines_of
from kadapter.probing.taught import Taught, records_of, taught_to
from kadapter.recipe import Recipe
from kadapter.registry import default_registry
from knowledge_data import DataError, Fact, read_probe, sample_path


def saved_lm(tiny, folder):
    tiny.model.save_pretrained(folder)
    tiny.tokenizer.save_pretrained(folder)
    return folder


def options(**said):
    return make_config(ProbeOptions, {"resamples": 20, **said}, owner="probe")


def run(models, items, known=None, **said):
    return probe_items(models, items, options(**said), known or Taught())


@pytest.mark.parametrize("name", ["bear", "blimp", "numersense", "pararel"])
def test_published_probes_are_asked_of_both_kinds_of_models(name, lm):
    items, skipped = items_of(read_probe(name, sample_path(name)).rows)
    scoring = "sentence" if name == "pararel" else "auto"
    report, results = run({"backbone": lm}, items, scoring=scoring)
    assert report["asked"] == len(items) == len(results)
    assert (report["left_out"], dict(skipped)) == ({}, {})
    assert set(report["relations"]) == {item.relation for item in items}
    for said in [report["overall"]["micro"], report["overall"]["macro"], *report["relations"].values()]:
        interval = said["backbone"]["p@1"]
        assert 0 <= interval["low"] <= interval["mean"] <= interval["high"] <= 1
    assert "consistency" in report["metrics"] or name in ("blimp", "numersense")
    assert json.loads(json.dumps(report, allow_nan=False)) == report


def test_figures_are_means_over_the_answers(masked, items):
    report, results = run({"backbone": masked}, items, scoring="object", ranks=[1, 3])
    assert report["metrics"] == ["p@1", "p@3", "mrr", "consistency", "every"]
    ranks = [[answer.rank for answer in result.answers["backbone"]] for result in results]
    mean = sum(sum(rank <= 3 for rank in of_item) / 2 for of_item in ranks) / len(ranks)
    assert report["overall"]["micro"]["backbone"]["p@3"]["mean"] == pytest.approx(mean, abs=1e-6)
    by_relation = [said["backbone"]["p@1"]["mean"] for said in report["relations"].values()]
    macro = sum(by_relation) / len(by_relation)
    assert report["overall"]["macro"]["backbone"]["p@1"]["mean"] == pytest.approx(macro, abs=1e-6)
    assert report["overall"]["chance"] == 0.25


def test_two_models_side_by_side(masked, items):
    report, results = run({"without": masked, "with": masked}, items)
    assert report["models"] == ["without", "with"]
    assert report["overall"]["micro"]["difference"]["p@1"] == {"mean": 0.0, "low": 0.0, "high": 0.0}
    heads, rows = cells({"probe": "own", **report})
    assert heads[3] == "p@1: without → with"
    assert [row[0] for row in rows] == ["by fact", "by relation", "r0", "r1"]
    assert all(len(row) == len(heads) for row in rows)
    lines = list(lines_of(results))
    assert len(lines) == 10
    assert set(lines[0]) == {"relation", "sentence", "right", "without", "with"}


def test_the_vocabulary_and_what_cannot_be_asked_of_it(causal, items):
    report, results = run({"backbone": causal}, items, scoring="token")
    # Of two phrasings one goes on behind the blank; one answer of two words.
    assert report["phrasings_left_out"] == {"text after the blank, which a causal model does not see": 4}
    assert report["left_out"] == {"answer of several tokens": 1}
    assert all(len(result.sentences) == 1 for result in results)


def test_the_order_of_items_does_not_matter(masked, items):
    there, back = (run({"backbone": masked}, order)[0]["overall"]["micro"] for order in (items, items[::-1]))
    assert {m: f["mean"] for m, f in there["backbone"].items()} == {m: f["mean"] for m, f in back["backbone"].items()}


def test_plot_and_table(masked, items, tmp_path):
    report, _ = run({"without": masked, "with": masked}, items)
    plot_probe({"probe": "own", **report}, tmp_path / "probe.png")
    assert (tmp_path / "probe.png").read_bytes().startswith(b"\x89PNG")
    assert as_markdown(report).count("\n") == 6


def test_items_get_the_answers_of_their_relation_to_choose_from():
    items = with_choices(
        [Item("r", ("a", "b"), (), ("[Y]",)), Item("r", ("c",), (), ("[Y]",)), Item("s", ("d",), (), ("[Y]",))]
    )
    assert [item.choices for item in items] == [("a", "b", "c"), ("a", "b", "c"), ("d",)]


def test_so_many_of_each_relation(items):
    few = drawn(items, 2, 0)
    assert [item.relation for item in few].count("r0") == 2
    assert few == drawn(items, 2, 0) == [item for item in items if item in few]


def test_some_relations(masked, items):
    report, _ = run({"backbone": masked}, items, relations=["r1"])
    assert list(report["relations"]) == ["r1"]
    with pytest.raises(ConfigError, match="nothing is asked about 'r2'; there are r0, r1"):
        run({"backbone": masked}, items, relations=["r2"])


def test_rows_of_another_kind():
    with pytest.raises(DataError, match="give ClozeProbe or MinimalPair rows"):
        items_of(Dataset.from_dict({"text": ["a"]}))


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"filters": ["strings"]}, "there is no filter 'strings'; there are string, name"),
        ({"ranks": [5]}, "give whole numbers from 1, and 1 among them"),
        ({"limit": 0}, "limit 0"),
        ({"scoring": "best"}, "option 'scoring' is 'best'"),
        ({"taught": "drop"}, "option 'taught' is 'drop'"),
    ],
)
def test_options_are_checked(said, words):
    with pytest.raises(ConfigError, match=words.replace("(", r"\(")):
        options(**said)


# --- what was taught


def test_taught_facts_are_left_out_by_ids_names_and_texts(masked, items):
    items = [replace(item, subject_id=f"q{number}", right_ids=("t1",)) for number, item in enumerate(items)]
    taught = Taught()
    taught.add_facts([Fact("t1", "near", "q0"), Fact("", "near", "", "BRIDGE", " Nobody")])
    taught.add_rows(Dataset.from_dict({"text": ["Small boats lie in the river.", "A boat is bread."]}))
    assert taught.among(items) == {0: "by ids", 1: "by names", 3: "in a text"}
    report, _ = run({"backbone": masked}, items, taught)
    assert (report["asked"], sum(report["left_out"].values())) == (2, 3)
    assert "taught to the adapters (by ids)" in report["left_out"]
    assert run({"backbone": masked}, items, taught, taught="keep")[0]["asked"] == 5
    only, _ = run({"backbone": masked}, items, taught, taught="only")
    assert (only["asked"], only["left_out"]) == (3, {"not taught": 2})


def test_a_text_must_name_both_and_whole(items):
    town = Item("r", ("river",), ("river", "harbour"), ("[X] [Y]",), "bread")
    for text, shown in [
        ("Bread by the river", True),
        ("The RIVER, and bread.", True),
        ("Bread by the riverside", False),
        ("Bread", False),
    ]:
        taught = Taught()
        taught.add_rows(Dataset.from_dict({"text": [text]}))
        assert bool(taught.among([town])) == shown, text


def test_text_that_was_only_held_taught_nothing():
    taught = Taught()
    taught.add_rows(Dataset.from_dict({"text": ["Bread by the river.", "A bridge."], "hold": [True, False]}))
    assert taught.texts == ["A bridge."]


def test_text_beside_knowledge_is_taught_by_a_task_that_does_not_hold_it():
    knowledge = {"name": "fewrel", "path": str(sample_path("fewrel"))}
    source = {"name": "beside-text", "path": str(sample_path("text")), "knowledge": knowledge}
    texts = [
        len(taught_to({"a": {"recipe": {"source": source, "task": task}}}, [], default_registry()).texts)
        for task in ({"name": "causal-lm", "hold": 1.0}, {"name": "causal-lm"})
    ]
    assert texts[0] < texts[1]


def test_sentences_without_a_subject_are_compared_whole():
    item = Item("number", ("two",), ("two", "ten"), ("a boat has [Y] oars.",))
    taught = Taught(texts=["A boat has two  oars."])
    assert taught.among([item]) == {0: "in a text"}
    assert Taught(texts=["A boat has ten oars."]).among([item]) == {}


def test_what_adapters_say_they_were_trained_on(tmp_path):
    recipe = {"source": {"name": "fewrel", "path": str(sample_path("fewrel"))}}
    records = {
        "facts": {"recipe": recipe},
        "moved": {"recipe": {"source": {"name": "fewrel", "path": str(tmp_path / "nowhere")}}},
        "mine": {},
        "changed": {"recipe": recipe, "data": {"content_hash": "another"}},
    }
    taught = taught_to(records, [], default_registry())
    assert taught.ids
    assert taught.texts
    assert taught.unknown["mine"] == "nothing says what it was trained on"
    assert "nowhere" in taught.unknown["moved"]
    assert taught.unknown["changed"] == "its data has changed since"
    assert set(taught.unknown) == {"changed", "mine", "moved"}


def test_what_was_taught_before_counts_too():
    """By an earlier training, and to the members of a fusion."""
    latest = {"recipe": {"source": {"name": "semeval", "path": str(sample_path("semeval"))}}}
    facts = {"recipe": {"source": {"name": "fewrel", "path": str(sample_path("fewrel"))}}}
    alone = taught_to({"a": facts}, [], default_registry())
    for record in ({**latest, "before": [facts]}, {**latest, "before": [{"before": [facts]}]}, {"before": [facts]}):
        taught = taught_to({"a": record}, [], default_registry())
        assert alone.ids <= taught.ids
        assert not taught.unknown
    unknown = taught_to({"a": {**latest, "before": [{"metrics": {}}]}}, [], default_registry()).unknown
    assert unknown == {"a": "nothing says what it was trained on"}


@pytest.mark.parametrize("made", ["head", "composition", "backbone"])
def test_what_is_no_adapter_may_have_been_taught(masked, tmp_path, made):
    """By the run of a fresh head, of a composition, of the backbone itself."""
    recipe = {
        "name": "taught",
        "backbone": str(saved_lm(masked, tmp_path / "backbone")),
        "source": {"name": "text", "path": str(sample_path("text"))},
        "task": {"name": "masked-lm", **({"head": "fresh"} if made == "head" else {})},
        "training": {"epochs": 1, "trains": [made], "store": "off"},
    }
    if made == "composition":
        adapter = build_adapter(
            {"type": "k-adapter", "reads": [1]}, KnowledgeModel.from_pretrained(recipe["backbone"]).backbone.info
        )
        save_adapter(tmp_path / "own", adapter, "own")
        recipe["adapters"] = {"own": str(tmp_path / "own")}
    run = finetune(Recipe.from_dict(recipe), tmp_path / "run")
    model = KnowledgeModel.from_pretrained(run.folder)
    taught = taught_to(records_of(model), [], default_registry())
    assert taught.texts
    assert "the model itself" not in taught.unknown
    model.save_pretrained(tmp_path / "elsewhere")
    elsewhere = KnowledgeModel.from_pretrained(tmp_path / "elsewhere")
    unknown = taught_to(records_of(elsewhere), [], default_registry()).unknown
    assert unknown["the model itself"] == "nothing says what it was trained on"


def test_choices_without_the_right_answer(masked, items):
    wrong = replace(items[0], choices=("bread",), right=("river",))
    report, _ = run({"backbone": masked}, [wrong, *items[1:]], scoring="object")
    assert report["left_out"] == {"no right answer among the choices": 1}


def test_a_file_of_facts(masked):
    taught = taught_to({}, [sample_path("harbour") / "triples.tsv"], default_registry())
    items, _ = items_of(read_probe("bear", sample_path("bear")).rows)
    found = taught.among(items)
    assert set(found.values()) == {"by ids"}
    with pytest.raises(ConfigError, match=r"nothing is left to ask \("):
        run({"backbone": masked}, [items[number] for number in found], taught)


# --- what names give away


def test_answers_in_the_name(masked):
    items = [
        Item("r", ("Apple",), (), ("[Y]",), "apple watch"),
        Item("r", ("Apple",), (), ("[Y]",), "watch"),
    ]
    assert list(in_names(masked, items, "token")) == [0]


def test_answers_that_a_name_suggests(masked):
    # Of six choices three are among the first three; of other relations nothing is asked.
    six = ("river", "bread", "harbour", "bridge", "town", "boats")
    items = [Item(relation, (one,), six, ("[Y]",), "Quill") for relation in ("P19", "P504") for one in six]
    found = by_names(masked, items, "object")
    assert len(found) == 3
    assert max(found) < len(six)
    report, _ = run({"backbone": masked}, items, filters=["name"])
    assert report["left_out"] == {"answer that the subject's name suggests": 3}


@pytest.mark.parametrize("choices", [("river", "bread", "harbour"), ("river", "bread", "harbour", "bridge")])
def test_a_name_suggests_nothing_where_hardly_anything_else_can_be_said(masked, choices):
    items = [Item("P19", (one,), choices, ("[Y]",), "Tom Quill") for one in choices]
    assert not by_names(masked, items, "object")
