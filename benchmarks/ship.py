"""Make the weights that a plugin brings along of a finished run: half as large, scored again, with a card that says so.

    python -m benchmarks.ship runs/shipped-factual/adapter-seed-0 \
        plugins/kadapter-factual/src/kadapter_factual/weights/minilm \
        --data val_wiki.json.gz --own plugins/kadapter-factual/tests/sentences.json \
        --about "The relation between two entities of a sentence." --licence "CC BY-SA 4.0"

The ledger of which the run is a row gives the card its controls.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

import torch
from safetensors.torch import load_file

from kadapter import KnowledgeModel, evaluate
from kadapter.describing import complete_card
from kadapter.files import read_json, write_json
from kadapter.storage import save_tensors
from kadapter.testing import rows_of, score_rows

KEPT = ("adapter.json", "model.json", "result.json")
TENSORS = ("adapter.safetensors", "model.safetensors")


def round_to_half(run: Path, folder: Path) -> None:
    """Copy a run, its tensors rounded to bfloat16; computed with in float32 again."""
    folder.mkdir(parents=True)
    for name in KEPT:
        shutil.copy(run / name, folder)
    for name in TENSORS:
        save_tensors(folder / name, {key: t.to(torch.bfloat16) for key, t in load_file(run / name).items()})


def measure(folder: Path, data: str, own: Path) -> dict[str, dict[str, float]]:
    """Score what is shipped on the test split, and on sentences of our own that go with the package."""
    source = read_json(folder / "result.json", "run")["recipe"]["source"]["name"]
    own_scores = score_rows(KnowledgeModel.from_pretrained(folder), rows_of(source, own))
    return {**evaluate(folder, ["test"], data), "own sentences": own_scores}


def note(folder: Path, evaluated: dict[str, dict[str, float]]) -> None:
    """Write down what was measured where the card and the tests look for it."""
    said = read_json(folder / "adapter.json", "adapter")
    said["trained_on"]["evaluated"] = {
        what: {metric: round(value, 4) for metric, value in scores.items()} for what, scores in evaluated.items()
    }
    write_json(folder / "adapter.json", said)


def main() -> None:
    """Write the folder."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--data", required=True)
    parser.add_argument("--own", type=Path, required=True)
    parser.add_argument("--about", required=True)
    parser.add_argument("--licence", required=True)
    given = parser.parse_args()
    round_to_half(given.run, given.folder)
    note(given.folder, measure(given.folder, given.data, given.own))
    ledger = given.run.parent / "ledger.json"
    complete_card(given.folder, ledger, about=given.about, licence=given.licence, language="en")
    print((given.folder / "README.md").read_text())


if __name__ == "__main__":
    main()
