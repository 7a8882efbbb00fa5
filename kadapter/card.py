"""The cards of what is saved: which knowledge, from which data under which licence, measured how, and how to use it.

A card is made of `adapter.json` and `model.json` alone, so that the same adapter has the same card wherever it goes.
Its front matter is what the Hugging Face Hub expects of a model card.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from kadapter.adapter import TUNED
from kadapter.tables import cells, markdown, percent

if TYPE_CHECKING:
    from huggingface_hub import EvalResult

_HUB_WRITES = (
    "afl-3.0 apache-2.0 bsd-2-clause bsd-3-clause cc0-1.0 cc-by-2.0 cc-by-2.5 cc-by-3.0 cc-by-4.0 cc-by-sa-3.0 "
    "cc-by-sa-4.0 cc-by-nc-2.0 cc-by-nc-3.0 cc-by-nc-4.0 cc-by-nd-4.0 cc-by-nc-nd-3.0 cc-by-nc-nd-4.0 "
    "cc-by-nc-sa-2.0 cc-by-nc-sa-3.0 cc-by-nc-sa-4.0 cdla-permissive-1.0 cdla-permissive-2.0 cdla-sharing-1.0 gfdl "
    "gpl-2.0 gpl-3.0 lgpl-2.1 lgpl-3.0 mit mpl-2.0 odbl odc-by pddl unlicense"
)

_OTHER_NAMES = {
    "academic-free-license-3.0": "afl-3.0",
    "apache-license-2.0": "apache-2.0",
    "cc0": "cc0-1.0",
    "mit-license": "mit",
    "odbl-1.0": "odbl",
    "odc-by-1.0": "odc-by",
    "pddl-1.0": "pddl",
}

_NOT_OF_A_RUN = (LookupError, TypeError, ValueError, AttributeError)
"""What is raised where what is said of the training is not what a run of kadapter says."""

_USE = """
## Use

```python
from kadapter import KnowledgeModel

{lines}
```
"""


def adapter_card(said: Mapping[str, Any], repository: str | None = None, package: str | None = None) -> str:
    """Give the text of the card of an adapter.

    Of one that no run of kadapter trained, little more is known than its type and backbone. One that was trained
    beside a tuned backbone works in the model of that run only.

    Args:
        said: what its `adapter.json` says.
        repository: its id on the Hub, if it goes there.
        package: the distribution that installs it, if there is one.
    """
    try:
        return _adapter_card(said, repository, package)
    except _NOT_OF_A_RUN:
        facts = said["trained_on"] if isinstance(said["trained_on"], Mapping) else {}
        trained_on = {what: value for what, value in facts.items() if _can_be_told(said, what, value)}
        return _adapter_card({**said, "trained_on": trained_on}, repository, package)


def _can_be_told(said: Mapping[str, Any], what: str, value: Any) -> bool:
    """Say whether a card can be made of one fact of the training; a recipe alone is none."""
    try:
        return bool(_adapter_card({**said, "trained_on": {what: value}}, None, None))
    except _NOT_OF_A_RUN:
        return False


def _adapter_card(said: Mapping[str, Any], repository: str | None, package: str | None) -> str:
    name, backbone, trained_on = said["name"], said["backbone"], said["trained_on"]
    tuned = _is_tuned(backbone)
    head = (
        f"# {name}\n\nA `{_kind(said)}` knowledge adapter for {'the tuned' if tuned else 'the frozen'} "
        f"backbone {_backbone(backbone)}.\n{_about(trained_on)}"
    )
    places = {
        "path/to/this/folder": "a folder",
        name: f"pip install {package}" if package else "a package that is installed",
        repository or f"user/{name}": "the Hugging Face Hub",
    }
    calls = [f'"{backbone.get("name")}", adapters=["{place}"])  # from {what}' for place, what in places.items()]
    return (
        _front_matter(said) + head + _body(trained_on) + _use(['"path/to/the/folder/of/the/run")'] if tuned else calls)
    )


def model_card(
    said: Mapping[str, Any], adapters: Mapping[str, Mapping[str, Any]], repository: str | None = None
) -> str:
    """Give the text of the card of a whole model.

    Args:
        said: what its `model.json` says.
        adapters: name -> what the `adapter.json` of each plugged adapter says.
        repository: its id on the Hub, if it goes there.
    """
    backbone, task = said["backbone"], said["task"]
    rows = [(f"`{name}`", f"`{_kind(one)}`", _licence(one["trained_on"])) for name, one in adapters.items()]
    plugged = "\n" + markdown(["adapter", "type", "licence of its data"], rows) if rows else ""
    with_what = ", ".join(f"`{name}`" for name in adapters) or "nothing"
    text = (
        f"# Knowledge in {backbone['name']}\n\nA kadapter model: {'tuned' if backbone['tuned'] else 'frozen'} backbone "
        f"{_backbone(backbone)} with {with_what} plugged in, composed by `{said['composition']['name']}`"
        f"{', for the task `' + task['name'] + '`' if task else ''}.\n{plugged}"
    )
    licences = {_licence(one["trained_on"]) for one in adapters.values()}
    data = {
        **_common(backbone, ["knowledge-model", *sorted({_kind(one) for one in adapters.values()})]),
        **_hub_licence(licences.pop() if len(licences) == 1 else "; ".join(sorted(licences))),
        **({"base_model_relation": "finetune"} if backbone["tuned"] and _base(backbone) else {}),
    }
    folder = f'"{repository or "path/to/this/folder"}")'
    return _block(data) + text + _use([folder])


def hub_licence(licence: str) -> str | None:
    """Give a licence as the Hub writes it, or None when it has no name for it: "CC BY-SA 4.0 (X)" is cc-by-sa-4.0."""
    plain = re.sub(r"\s*\([^)]*\)\s*$", "", licence.strip()).lower()
    slug = re.sub(r"[\s_]+", "-", plain)
    slug = _OTHER_NAMES.get(slug, slug)
    return slug if slug in _HUB_WRITES.split() else None


def card_parts(text: str) -> tuple[dict[str, Any], str]:
    """Give the front matter of a card, empty when it has none that can be read, and the text below it."""
    from huggingface_hub import ModelCard
    from yaml import YAMLError

    try:
        card = ModelCard(text, ignore_metadata_errors=True) if text.startswith("---") else None
    except (ValueError, TypeError, YAMLError):
        card = None
    return (card.data.to_dict(), card.text.strip()) if card else ({}, text)


# --- the front matter


def _front_matter(said: Mapping[str, Any]) -> str:
    trained_on = said["trained_on"]
    own = trained_on.get("card", {})
    data = {
        **_common(said["backbone"], [_kind(said)]),
        **_hub_licence(_licence(trained_on)),
        "language": own.get("language"),
        "datasets": own.get("datasets"),
    }
    return _block(data, said["name"], _results(trained_on))


def _common(backbone: Mapping[str, Any], tags: Iterable[str]) -> dict[str, Any]:
    base = _base(backbone)
    relation = {"base_model": base, "base_model_relation": "adapter"} if base else {}
    return {"library_name": "kadapter", "tags": ["kadapter", *tags], **relation}


def _block(data: Mapping[str, Any], name: str | None = None, results: list[EvalResult] | None = None) -> str:
    from huggingface_hub import ModelCardData

    card = ModelCardData(**data, model_name=name if results else None, eval_results=results or None)
    return f"---\n{card.to_yaml()}\n---\n\n"


def _base(backbone: Mapping[str, Any]) -> str | None:
    found = backbone.get("hub_id")
    return str(found) if found else None


def _hub_licence(licence: str) -> dict[str, str]:
    known = hub_licence(licence)
    if known:
        return {"license": known}
    return {"license": "other", "license_name": re.sub(r"[^a-z0-9.]+", "-", licence.lower()).strip("-") or "not-said"}


def _results(trained_on: Mapping[str, Any]) -> list[EvalResult]:
    """Give what was measured, as the Hub's `model-index` has it: the run's validation, and its row of the ledger."""
    found = []
    if "recipe" in trained_on:
        told = (trained_on["recipe"]["task"]["name"], trained_on["data"]["source"]["name"])
        found += [_result(*told, "validation", metric, v) for metric, v in trained_on["validation"].items()]
    if ledger := trained_on.get("ledger"):
        told = (ledger["task"], ledger["source"])
        for split, metrics in ledger["rows"][ledger["row"]]["scores"].items():
            found += [_result(*told, split, metric, score["mean"]) for metric, score in metrics.items()]
    return found


def _result(task: str, source: str, split: str, metric: str, value: float) -> EvalResult:
    from huggingface_hub import EvalResult

    return EvalResult(
        task_type=task,
        dataset_type=source,
        dataset_name=source,
        dataset_split=split,
        metric_type=metric,
        metric_name=f"{split} {metric}",
        metric_value=round(value, 4),
    )


# --- the text


def _is_tuned(backbone: Mapping[str, Any]) -> bool:
    return str(backbone.get("fingerprint")).endswith(TUNED)


def _kind(said: Mapping[str, Any]) -> str:
    return str(said["adapter"].get("type"))


def _backbone(backbone: Mapping[str, Any]) -> str:
    base, revision = _base(backbone), backbone.get("revision")
    link = f" ([{base}](https://huggingface.co/{base}))" if base and base != backbone.get("name") else ""
    return f"`{backbone.get('name')}`{link}{f', revision `{revision}`' if revision else ''}"


def _about(trained_on: Mapping[str, Any]) -> str:
    about = trained_on.get("card", {}).get("about")
    return f"\n{about}\n" if about else ""


def _licence(trained_on: Mapping[str, Any]) -> str:
    """Give the licence that the card states; else those of the data, and of the data of what it goes on from."""
    card, data = trained_on.get("card"), trained_on.get("data")
    if isinstance(card, Mapping) and card.get("licence"):
        return str(card["licence"])
    own = data.get("licence") if isinstance(data, Mapping) else None
    earlier = [_licence(one) for one in _before(trained_on)]
    if "recipe" in trained_on or not earlier:
        earlier.insert(0, str(own or trained_on.get("licence") or "not said"))
    return "; ".join(dict.fromkeys(earlier))


def _before(trained_on: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [one for one in trained_on.get("before", ()) if isinstance(one, Mapping)]


def _went_on_from(trained_on: Mapping[str, Any]) -> str:
    """Say on which data, of which licence, what an adapter goes on from was trained."""
    said = []
    for one in _before(trained_on):
        said += [f"source `{one['data']['source']['name']}`, licence: {_licence(one)}"] if "data" in one else []
        said += filter(None, [_went_on_from(one)])
    return "; ".join(dict.fromkeys(said))


def _body(trained_on: Mapping[str, Any]) -> str:
    facts = _of_run(trained_on) if "recipe" in trained_on else _of_another(trained_on)
    if earlier := _went_on_from(trained_on):
        facts["goes on from"] = earlier
    if hub := trained_on.get("hub"):
        facts["loaded from"] = f"`{hub['repository']}`, revision `{hub['revision']}`"
    made = "".join(f"| {what} | {_cell(value)} |\n" for what, value in facts.items())
    table = f"\n## How it was made\n\n| | |\n|---|---|\n{made}" if made else ""
    return table + (_measured(trained_on["ledger"]) if "ledger" in trained_on else "")


def _of_run(result: Mapping[str, Any]) -> dict[str, str]:
    recipe, data = result["recipe"], result["data"]
    fate = "trained too" if "backbone" in (recipe["training"]["trains"] or ()) else "untouched"
    return {
        "data": f"source `{data['source']['name']}`, {data['splits']['train']['examples']:,} training examples, "
        f"licence: {data['licence']}",
        "content hash": f"`{data['content_hash']}`",
        **_origin(data.get("origin", {})),
        "task": recipe["task"]["name"],
        "trained parameters": f"{result['trained_parameters']:,} (backbone: {result['backbone_parameters']:,}, {fate})",
        "validation": ", ".join(f"{name} {value:.3f}" for name, value in result["validation"].items()),
        **_evaluated(result.get("evaluated", {})),
        "seed": recipe["training"]["seed"],
        "made with": ", ".join(f"{what} {version}" for what, version in result["versions"].items()),
    }


def _evaluated(scores: Mapping[str, Mapping[str, float]]) -> dict[str, str]:
    """Say what these very weights, rounded as they are, were measured to do once they were trained."""
    said = (f"{what} {metric} {value:.3f}" for what, metrics in scores.items() for metric, value in metrics.items())
    return {"evaluated": ", ".join(said)} if scores else {}


def _origin(origin: Mapping[str, Any]) -> dict[str, str]:
    """Say, for what was made of other data, of which, and what became of it."""
    made = ", ".join(
        f"`{given['file']}` ({role}, `{given['hash']}`)" for role, given in origin.get("inputs", {}).items()
    )
    kept = ", ".join(f"{split} {count:,}" for split, count in origin.get("kept", {}).items())
    dropped = ", ".join(f"{count:,} {reason}" for reason, count in origin.get("dropped", {}).items())
    said = {"made from": made, "rows": kept, "left out": dropped}
    return {what: value for what, value in said.items() if value}


def _of_another(trained_on: Mapping[str, Any]) -> dict[str, str]:
    """Say what is known of an adapter that no run of kadapter trained: whatever is a plain value."""
    imported = trained_on.get("imported", {})
    told = {**trained_on, **imported, **imported.get("origin", {})}
    plain = {key: value for key, value in told.items() if isinstance(value, str | int | float)}
    return {key.replace("_", " "): str(value) for key, value in plain.items()}


def _cell(value: Any) -> str:
    return " ".join(str(value).replace("|", "\\|").split())


def _measured(ledger: Mapping[str, Any]) -> str:
    seeds = len(ledger["seeds"])
    return (
        f"\n## What it adds\n\nTask `{ledger['task']}` on source `{ledger['source']}`, {seeds} "
        f"seed{'s' if seeds > 1 else ''}, in percent; every row has the same data, head and steps.\n\n"
        f"{markdown(*cells(ledger))}\n{gain(ledger)}\n"
    )


def gain(ledger: Mapping[str, Any]) -> str:
    """Say how far the adapter's row of a ledger lies above the best of its controls, on the first split."""
    split, metric = ledger["splits"][0], ledger["metric"]
    rows = {name: row["scores"][split][metric] for name, row in ledger["rows"].items()}
    own = rows[ledger["row"]]
    controls = {name: rows[name] for name in ledger["controls"] if name in rows}
    if not controls:
        return f"{split.capitalize()} {metric}: {percent(own)}; no control was trained beside it."
    best = max(controls, key=lambda name: controls[name]["mean"])
    return (
        f"Measured gain over the controls: {100 * (own['mean'] - controls[best]['mean']):+.1f} points of {split} "
        f"{metric} ({percent(own)} against {percent(controls[best])} of the best control, `{best}`)."
    )


def _use(calls: Iterable[str]) -> str:
    return _USE.format(lines="\n".join(f"model = KnowledgeModel.from_pretrained({call}" for call in calls))
