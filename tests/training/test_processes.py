"""Two processes that train one model, as `torchrun` starts them, beside one process with the same batches."""

import json
import subprocess
import sys

import pytest
import torch

from kadapter import ConfigError, StorageError, pretrain
from kadapter.evaluation import recipe_to_repeat

TOLERANCE = 1e-5
"""Largest difference between weights after training: sums are made in another order, paddings differ."""


@pytest.fixture(scope="module")
def plain(recipe):
    """Without dropout, whose masks each process draws; 32 of the 49 rows train: no batch is cut short."""
    return recipe.with_options(
        {"training.epochs": 2, "training.learning_rate": 1e-3, "task.dropout": 0.0, "source.limit": 49}
    )


INTERRUPTED = """
import sys
from kadapter.cli import main
from kadapter.trainer import KnowledgeTrainer

take_step = KnowledgeTrainer.training_step


def perhaps(self, *arguments, **options):
    if self.state.global_step == 5:
        sys.exit("interrupted")
    return take_step(self, *arguments, **options)


KnowledgeTrainer.training_step = perhaps
main()
"""
"""`kadapter`, but for a step that is never taken."""


@pytest.fixture
def launched(tmp_path):
    """Runs `kadapter pretrain`, or a script that does, in two processes."""

    def launch(recipe, output, *words, program=("-m", "kadapter")):
        recipe.save(tmp_path / "recipe.yaml")
        start = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
        command = ["pretrain", tmp_path / "recipe.yaml", "--output", output, "--json"]
        return subprocess.run([*start, *program, *command, *words], capture_output=True, text=True, timeout=550)

    return launch


@pytest.fixture
def together(launched, tmp_path):
    """Gives what two processes print, and the folder."""

    def run(recipe, *words, output="run"):
        done = launched(recipe, tmp_path / output, *words)
        assert done.returncode == 0, done.stderr
        return done, tmp_path / output

    return run


@pytest.mark.parametrize(("switch", "name"), [("FSDP", "FSDP"), ("DEEPSPEED", "DeepSpeed")])
def test_a_model_in_shards_is_refused_before_anything_is_written(recipe, tmp_path, monkeypatch, switch, name):
    monkeypatch.setenv(f"ACCELERATE_USE_{switch}", "true")
    with pytest.raises(ConfigError, match=f"{name} would cut the adapters into shards.*torchrun"):
        pretrain(recipe, tmp_path / "run")
    assert list(tmp_path.iterdir()) == []


def test_a_rank_without_others_is_no_second_process(recipe, tmp_path, monkeypatch):
    monkeypatch.setenv("RANK", "1")
    run = pretrain(recipe.with_options({"training.epochs": 1}), tmp_path / "run")
    assert run.result == json.loads((tmp_path / "run/result.json").read_text())


@pytest.mark.slow
def test_two_processes_train_what_one_does(plain, together, tensors, tmp_path):
    alone = pretrain(plain, tmp_path / "alone")
    done, folder = together(plain.with_options({"training.batch_size": 4}))
    result = json.loads(done.stdout)
    assert result == json.loads((folder / "result.json").read_text())
    assert result["steps"] == alone.result["steps"]
    assert recipe_to_repeat(folder).training.batch_size == recipe_to_repeat(alone.folder).training.batch_size == 8
    assert result["validation"] == pytest.approx(alone.result["validation"])
    assert sum("/8 " in line for line in done.stderr.splitlines()) == 1, done.stderr
    assert sorted(path.name for path in folder.iterdir()) == sorted(path.name for path in alone.folder.iterdir())
    ours, theirs = tensors(folder), tensors(alone.folder)
    assert ours.keys() == theirs.keys()
    for name, tensor in ours.items():
        torch.testing.assert_close(tensor, theirs[name], rtol=0, atol=TOLERANCE, msg=str(name))


@pytest.mark.slow
def test_two_processes_go_on_where_two_were_interrupted(plain, launched, together, tensors, tmp_path):
    of_each = plain.with_options({"training.batch_size": 4})
    _, whole = together(of_each, output="whole")
    (tmp_path / "interrupted.py").write_text(INTERRUPTED)
    done = launched(of_each, tmp_path / "run", program=[tmp_path / "interrupted.py"])
    assert done.returncode != 0
    assert [path.name for path in (tmp_path / "run/checkpoints").iterdir()] == ["checkpoint-4"]
    with pytest.raises(StorageError, match=r"was started in 2 processes, and goes on only in as many: torchrun .* 1$"):
        pretrain(of_each, tmp_path / "run", resume=True)
    _, resumed = together(of_each, "--resume")
    assert tensors(resumed).keys() == tensors(whole).keys()
    for name, tensor in tensors(resumed).items():
        torch.testing.assert_close(tensor, tensors(whole)[name], rtol=0, atol=TOLERANCE, msg=str(name))


@pytest.mark.slow
def test_batches_may_leave_other_parameters_without_a_gradient(plain, together):
    inner = {"type": "standard", "size": 4}
    robust = {"type": "drop", "inner": inner, "robust": True}
    done, _ = together(plain.with_options({"training.batch_size": 4, "adapter": robust}))
    assert json.loads(done.stdout)["steps"] == 8
