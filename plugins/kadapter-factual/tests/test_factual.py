"""The plugin is found, and what it names can be built, trained on and saved."""

import pytest
from kadapter_factual import FACTUAL, register_knowledge

from kadapter import Recipe, build_adapter, default_registry
from kadapter.testing import KnowledgeContract, tiny_backbone
from knowledge_data import READERS, sample_path

SOURCES = ["trex", "fewrel", "tacred", "semeval", "redocred", "knowledgenet"]


def test_it_is_installed_and_registered():
    registry = default_registry()
    assert registry.knowledge["factual"] is FACTUAL
    assert registry.provider("knowledge", "factual").distribution == "kadapter-factual"
    assert register_knowledge() == [FACTUAL]


def test_its_recipe_is_what_it_says():
    recipe = Recipe.of("factual", "minilm")
    assert (recipe.name, recipe.backbone) == ("factual", "minilm")
    assert (recipe.adapter, recipe.task, recipe.source) == (FACTUAL.adapter, FACTUAL.task, FACTUAL.source)


@pytest.mark.parametrize("family", ["roberta", "bert", "gpt2", "llama"])
def test_its_adapter_reads_the_middle_of_any_backbone(family):
    adapter = build_adapter(FACTUAL.adapter, tiny_backbone(family).info)
    assert adapter.reads == (1, 3)


@pytest.mark.parametrize("source", SOURCES)
def test_every_source_of_relations_gives_what_its_task_needs(source):
    task = default_registry().tasks[FACTUAL.task["name"]]
    assert set(task.columns) <= set(READERS[source](sample_path(source)).rows.column_names)


class TestFactual(KnowledgeContract):
    name = "factual"
