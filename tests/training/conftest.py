"""A tiny backbone in a folder, a few sentences in a file, a recipe for both, and one finished run of it."""

import json
from contextlib import contextmanager, suppress

import pytest
from safetensors.torch import load_file

from kadapter import Recipe, pretrain
from kadapter.testing import save_tiny_backbone
from kadapter.trainer import KnowledgeTrainer

WORDS = {"P1": "near", "P2": "under", "P3": "inside"}
"""Relation -> the word that says it."""


def sentence(word, subject, object_):
    """One record of FewRel's format: "a1 lies near b1 ."."""
    return {
        "tokens": [subject, "lies", word, object_, "."],
        "h": [subject, f"{subject} {word}", [[0]]],
        "t": [object_, f"{object_} {word}", [[3]]],
    }


@pytest.fixture(scope="session")
def facts():
    """Relation -> 20 records, each about a pair of its own."""
    return {
        relation: [sentence(word, f"a{number}", f"b{number}") for number in range(20)]
        for relation, word in WORDS.items()
    }


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    """Where all of this lies."""
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(scope="session")
def backbone(folder):
    """Folder of a tiny Llama: with random weights, a BERT makes nearly the same states of all sentences."""
    return str(save_tiny_backbone("llama", folder / "tiny-llama"))


@pytest.fixture(scope="session")
def data(folder, facts):
    """Path of the facts, in FewRel's format."""
    path = folder / "facts.json"
    path.write_text(json.dumps(facts))
    return str(path)


@pytest.fixture(scope="session")
def recipe(backbone, data):
    """A whole run of a second: dropout, a seed, four epochs of five steps."""
    return Recipe.from_dict(
        {
            "name": "facts",
            "backbone": backbone,
            "source": {"name": "fewrel", "path": data},
            "task": {"name": "relation-classification"},
            "adapter": {"type": "k-adapter", "reads": [1, 3], "transformer_layers": 1},
            "training": {"epochs": 4, "batch_size": 8, "learning_rate": 1e-2},
        }
    )


@pytest.fixture(scope="session")
def run(recipe, folder):
    """A finished run; not to be changed."""
    return pretrain(recipe, folder / "run")


class Interrupted(Exception):
    """Stands for whatever ends a run before its time."""


@pytest.fixture(scope="session")
def interrupted_at():
    """Give a context in which a training ends instead of taking its step of this number."""
    take_step = KnowledgeTrainer.training_step

    @contextmanager
    def interrupted(step):
        def perhaps(self, *arguments, **options):
            if self.state.global_step == step:
                raise Interrupted
            return take_step(self, *arguments, **options)

        with pytest.MonkeyPatch.context() as patch, suppress(Interrupted):
            patch.setattr(KnowledgeTrainer, "training_step", perhaps)
            yield
            pytest.fail("the training ended by itself")

    return interrupted


@pytest.fixture(scope="session")
def held():
    """Give everything in a folder: path -> content and time of change."""
    return lambda folder: {
        path: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.rglob("*") if path.is_file()
    }


@pytest.fixture(scope="session")
def tensors():
    """Give every tensor that a run saved, by file and name."""

    def read(run_folder):
        files = sorted(run_folder.glob("*.safetensors"))
        return {(path.name, name): tensor for path in files for name, tensor in load_file(path).items()}

    return read
