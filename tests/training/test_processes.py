"""Two processes that train one model, as `torchrun` starts them, beside one process with the same batches."""

import json
import subprocess
import sys

import pytest
import torch

from kadapter import ConfigError, pretrain

TOLERANCE = 1e-5
"""Largest difference between weights after training: sums are made in another order, paddings differ."""


@pytest.fixture(scope="module")
def plain(recipe):
    """Without dropout, which each process draws for itself; 32 of the 49 rows train: no batch is cut short."""
    return recipe.with_options(
        {"training.epochs": 2, "training.learning_rate": 1e-3, "task.dropout": 0.0, "source.limit": 49}
    )


@pytest.fixture
def together(tmp_path):
    """Runs `kadapter` in two processes; gives what they print, and the folder."""

    def run(recipe, *words):
        recipe.save(tmp_path / "recipe.yaml")
        start = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
        command = ["-m", "kadapter", "pretrain", tmp_path / "recipe.yaml", "--output", tmp_path / "run", "--json"]
        done = subprocess.run([*start, *command, *words], capture_output=True, text=True, timeout=550)
        assert done.returncode == 0, done.stderr
        return done, tmp_path / "run"

    return run


@pytest.mark.parametrize(("switch", "name"), [("FSDP", "FSDP"), ("DEEPSPEED", "DeepSpeed")])
def test_a_model_in_shards_is_refused_before_anything_is_written(recipe, tmp_path, monkeypatch, switch, name):
    monkeypatch.setenv(f"ACCELERATE_USE_{switch}", "true")
    with pytest.raises(ConfigError, match=f"{name} would cut the adapters into shards.*torchrun"):
        pretrain(recipe, tmp_path / "run")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_two_processes_train_what_one_does(plain, together, tensors, tmp_path):
    alone = pretrain(plain, tmp_path / "alone")
    done, folder = together(plain.with_options({"training.batch_size": 4}))
    result = json.loads(done.stdout)
    assert result == json.loads((folder / "result.json").read_text())
    assert result["steps"] == alone.result["steps"]
    assert result["validation"] == pytest.approx(alone.result["validation"])
    assert sum("/8 " in line for line in done.stderr.splitlines()) == 1, done.stderr
    assert sorted(path.name for path in folder.iterdir()) == sorted(path.name for path in alone.folder.iterdir())
    ours, theirs = tensors(folder), tensors(alone.folder)
    assert ours.keys() == theirs.keys()
    for name, tensor in ours.items():
        torch.testing.assert_close(tensor, theirs[name], rtol=0, atol=TOLERANCE, msg=str(name))
