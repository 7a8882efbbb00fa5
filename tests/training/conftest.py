"""A tiny backbone in a folder, a few sentences in a file, recipes for both, finished runs, and the command line."""

import importlib
import json
import os
import subprocess
import sys
import warnings
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import pytest
from safetensors.torch import load_file

from kadapter import KnowledgeModel, Recipe, pretrain
from kadapter.cli import main
from kadapter.data import prepare
from kadapter.registry import default_registry
from kadapter.testing import save_tiny_backbone, tiny_facts
from kadapter.trainer import KnowledgeTrainer, training_arguments
from kadapter.training import build_model
from knowledge_data import sample_path

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def facts():
    """Relation -> 20 records, each about a pair of its own."""
    return tiny_facts()


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


@pytest.fixture(scope="session")
def linguistic(backbone, folder):
    """A finished run of another kind of knowledge, with an adapter of another shape; not to be changed."""
    said = {
        "name": "linguistic",
        "backbone": backbone,
        "source": {"name": "conllu", "path": str(sample_path("conllu"))},
        "task": {"name": "dependency-heads"},
        "adapter": {"type": "k-adapter", "init": "random", "reads": [2], "transformer_layers": 1, "width": 16},
        "training": {"epochs": 1, "batch_size": 8, "learning_rate": 1e-2},
    }
    return pretrain(Recipe.from_dict(said), folder / "linguistic")


@pytest.fixture(scope="session")
def both(run, linguistic):
    """The folders of both trained adapters, by name."""
    return {"facts": str(run.folder), "linguistic": str(linguistic.folder)}


@pytest.fixture(scope="session")
def downstream(recipe, both):
    """A fine-tuning over both, of one epoch."""
    return recipe.with_options({"name": "downstream", "adapter": None, "adapters": both, "training.epochs": 1})


@pytest.fixture
def trainer_of(tmp_path):
    """Give a trainer that is ready to train what a recipe says."""

    def make(recipe):
        base = KnowledgeModel.from_pretrained(recipe.backbone)
        examples = prepare(recipe.source, recipe.task, base.backbone.tokenizer)
        model = build_model(recipe, base, examples.task, default_registry())
        return KnowledgeTrainer(model, examples, training_arguments(recipe.training, tmp_path, 5, "accuracy"))

    return make


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
        files = {str(path.relative_to(run_folder)): path for path in sorted(run_folder.rglob("*.safetensors"))}
        return {(file, name): tensor for file, path in files.items() for name, tensor in load_file(path).items()}

    return read


# --- two stages

MIXING = """
from dataclasses import asdict, dataclass, replace
from typing import Any, Mapping
import torch
from kadapter import Adapter, KnowledgeModule, build_adapter, hookimpl, load_adapter

WEIGHTS = {}

@dataclass(frozen=True)
class Members:
    members: Mapping[str, Any]

class Mix(Adapter):
    name, Config = "mix", Members

    def __init__(self, config, backbone):
        load = lambda said: (build_adapter if isinstance(said, Mapping) else load_adapter)(said, backbone)
        members = {name: load(said) for name, said in config.members.items()}
        options = {name: {"type": member.name, **asdict(member.config)} for name, member in members.items()}
        super().__init__(replace(config, members=options), backbone)
        self.members, self.weights = torch.nn.ModuleDict(members), torch.nn.Parameter(torch.ones(len(members)))
        self.reads = tuple(sorted(set().union(*(member.reads for member in members.values()))))
        self.borrows = tuple(sorted(set().union(*(member.borrows for member in members.values()))))

    def requires_grad_(self, requires_grad=True):
        self.weights.requires_grad_(requires_grad)
        self.members.requires_grad_(False)
        return self

    def forward(self, states):
        return sum(weight * member(states) for weight, member in zip(self.weights, self.members.values()))

@hookimpl
def register_adapter_types():
    return [Mix]

@hookimpl
def register_knowledge():
    return [KnowledgeModule("rivers", "which river feeds what", {"type": "scalar-mix"}, {}, {}, weights=WEIGHTS)]
"""


@pytest.fixture(scope="session")
def site(tmp_path_factory):
    """A folder of a plugin: "mix", an adapter type with members, and "rivers", knowledge whose weights a test sets."""
    site = tmp_path_factory.mktemp("site")
    info = site / "kadapter_mixing-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: kadapter-mixing\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[kadapter]\nmixing = kadapter_mixing\n")
    (site / "kadapter_mixing.py").write_text(MIXING)
    return site


@pytest.fixture(scope="module")
def mixing(site):
    """The plugin, installed for as long as a module of tests runs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(site)
        default_registry.cache_clear()
        yield importlib.import_module("kadapter_mixing")
    default_registry.cache_clear()


@pytest.fixture(scope="session")
def said(recipe, run):
    """Two stages as plain data: two members to train, of an epoch each, one that is trained, and a target."""
    facts = {name: value for name, value in recipe.as_dict().items() if name != "name"}
    facts["training"] = {"epochs": 1, "batch_size": 8, "learning_rate": 1e-2}
    stages = {
        "members": {
            "light": {**facts, "adapter": {"type": "scalar-mix"}},
            "deep": {**facts, "adapter": {"type": "k-adapter", "reads": [2], "transformer_layers": 1}},
            "ready": str(run.folder),
        },
        "target": {**facts, "adapter": {"type": "mix"}, "training": {**facts["training"], "epochs": 2}},
    }
    # Nothing is shared between the stages, so that one can be changed alone.
    return json.loads(json.dumps(stages))


# --- the command line


class Outcome(NamedTuple):
    code: int
    out: str
    err: str


@pytest.fixture
def kadapter(monkeypatch, capsys):
    """Run a command in this process."""
    monkeypatch.setattr(warnings, "formatwarning", warnings.formatwarning)
    for switch in ("HF_DATASETS_DISABLE_PROGRESS_BARS", "HF_HUB_DISABLE_PROGRESS_BARS"):
        monkeypatch.setenv(switch, "1")
    monkeypatch.setenv("TRANSFORMERS_VERBOSITY", "error")
    monkeypatch.setenv("TOKENIZERS_PARALLELISM", "false")

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["kadapter", *map(str, arguments)])
        with pytest.raises(SystemExit) as left:
            main()
        return Outcome(left.value.code or 0, *capsys.readouterr())

    return run


@pytest.fixture(scope="session")
def shell():
    """Run a command in a process of its own."""

    def run(*arguments, **environment):
        done = subprocess.run(
            [sys.executable, "-m", "kadapter", *map(str, arguments)],
            capture_output=True,
            text=True,
            cwd=ROOT,
            env={**os.environ, "HF_HUB_OFFLINE": "1", "COLUMNS": "200", **environment},
        )
        return Outcome(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture(scope="session")
def recipe_file(recipe, folder):
    """The recipe, of one epoch, as a file."""
    recipe.with_options({"training.epochs": 1}).save(folder / "recipe.yaml")
    return folder / "recipe.yaml"


@pytest.fixture(scope="session")
def assert_refused():
    """A command ended with code 2, printed nothing, and said in one line what is wrong and what to do."""

    def check(outcome, *hints):
        errors = [line for line in outcome.err.splitlines() if line.startswith("error: ")]
        assert (outcome.code, outcome.out, len(errors)) == (2, "", 1), outcome
        assert "Traceback" not in outcome.err
        for hint in hints:
            assert hint in errors[0]

    return check
