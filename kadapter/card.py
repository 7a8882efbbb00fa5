"""The card of a saved adapter: which knowledge, from which data under which licence, measured how."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_HEAD = """\
---
library_name: kadapter
license: other
license_name: see-data
tags: [kadapter, {type}]
base_model: {backbone}
---

# {name}

A `{type}` knowledge adapter for {state} backbone `{backbone}`.
"""

_TRAINING = """
| | |
|---|---|
| data | source `{source}`, {kept:,} training examples, licence: {licence} |
| content hash | `{content_hash}` |{origin}
| task | {task} |
| trained parameters | {trained:,} (backbone: {frozen:,}, {fate}) |
| validation | {metrics} |
| seed | {seed} |
| made with | {versions} |

```python
from kadapter import KnowledgeModel

model = KnowledgeModel.from_pretrained({arguments})
```
"""


def adapter_card(name: str, kind: str, backbone: str, trained_on: Mapping[str, Any], tuned: bool = False) -> str:
    """Give the text of the card of an adapter of type `kind`; `trained_on` is what a run's `result.json` says.

    Of an adapter that no run of kadapter trained, only the first lines are known. One that was trained beside a
    `tuned` backbone works in the model of that run only.
    """
    head = _HEAD.format(name=name, type=kind, backbone=backbone, state="the tuned" if tuned else "the frozen")
    return head + (_training(trained_on, tuned) if "recipe" in trained_on else "")


def _training(result: Mapping[str, Any], tuned: bool) -> str:
    recipe, data = result["recipe"], result["data"]
    alone = f'"{recipe["backbone"]}", adapters=["path/to/this/folder"]'
    return _TRAINING.format(
        arguments='"path/to/the/folder/of/the/run"' if tuned else alone,
        source=data["source"]["name"],
        kept=data["splits"]["train"]["examples"],
        licence=data["licence"],
        content_hash=data["content_hash"],
        origin=_origin(data.get("origin", {})),
        task=recipe["task"]["name"],
        trained=result["trained_parameters"],
        frozen=result["backbone_parameters"],
        fate="trained too" if "backbone" in (recipe["training"]["trains"] or ()) else "untouched",
        metrics=", ".join(f"{name} {value:.3f}" for name, value in result["validation"].items()),
        seed=recipe["training"]["seed"],
        versions=", ".join(f"{what} {version}" for what, version in result["versions"].items()),
    )


def _origin(origin: Mapping[str, Any]) -> str:
    """Say, for what was made of other data, of which, and what became of it; a line of the table each."""
    made = ", ".join(
        f"`{given['file']}` ({role}, `{given['hash']}`)" for role, given in origin.get("inputs", {}).items()
    )
    kept = ", ".join(f"{split} {count:,}" for split, count in origin.get("kept", {}).items())
    dropped = ", ".join(f"{count:,} {reason}" for reason, count in origin.get("dropped", {}).items())
    said = {"made from": made, "rows": kept, "left out": dropped}
    return "".join(f"\n| {what} | {value} |" for what, value in said.items() if value)
