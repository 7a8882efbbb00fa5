"""The plugin is found, and what it names can be built, trained on and saved."""

import pytest
from kadapter_linguistic import LINGUISTIC, register_knowledge

from kadapter import KnowledgeModel, Recipe, default_registry, pretrain
from kadapter.testing import KnowledgeContract, save_tiny_backbone
from knowledge_data import sample_path


def test_it_is_installed_and_registered():
    registry = default_registry()
    assert registry.knowledge["linguistic"] is LINGUISTIC
    assert registry.provider("knowledge", "linguistic").distribution == "kadapter-linguistic"
    assert register_knowledge() == [LINGUISTIC]


def test_its_recipe_is_what_it_says():
    recipe = Recipe.of("linguistic", "minilm")
    assert (recipe.name, recipe.backbone, recipe.training.learning_rate) == ("linguistic", "minilm", 8e-4)
    assert (recipe.adapter, recipe.task, recipe.source) == (LINGUISTIC.adapter, LINGUISTIC.task, LINGUISTIC.source)


@pytest.mark.parametrize("scorer", ["biaffine", "attention"])
def test_it_is_pretrained_on_a_treebank_and_plugged_in(scorer, tmp_path):
    backbone = str(save_tiny_backbone("roberta", tmp_path / "tiny"))
    options = {
        "source.path": str(sample_path("conllu")),
        "task.scorer": scorer,
        "task.relations": True,
        "training.epochs": 2,
    }
    run = pretrain(Recipe.of("linguistic", backbone).with_options(options), tmp_path / "run")
    assert run.result["validation"].keys() == {"uas", "las", "uas_without_punctuation", "las_without_punctuation"}
    assert KnowledgeModel.from_pretrained(backbone, [tmp_path / "run"]).plugged == ("linguistic",)


class TestLinguistic(KnowledgeContract):
    name = "linguistic"
