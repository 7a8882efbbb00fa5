"""Watch what the adapters of a saved model mix, over a split of its run or in one text, and write it down."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from statistics import mean
from typing import Any

from kadapter.errors import ConfigError, StorageError
from kadapter.evaluation import check_splits, load_run, quiet_trainer
from kadapter.files import write_json
from kadapter.model import KnowledgeModel
from kadapter.plots import mixed_in, plot_attention
from kadapter.registry import Registry

Table = tuple[str, list[str], list[list[str]]]
"""Title, heads of the columns, rows."""


def watch_split(
    run: Path | str,
    split: str,
    data: str | None = None,
    output: Path | str | None = None,
    registry: Registry | None = None,
) -> dict[str, Any]:
    """Give the mean weights of what the adapters of a finished run mix; write `attention.json` and `attention.png`.

    Args:
        run: a run folder.
        split: of the run's source.
        data: where the data lies, if not where it lay in training; it must be the same data.
        output: where the files go; by default, the run folder.
        registry: where names are looked up; by default, what is installed.

    Raises:
        StorageError: there is no finished run, or the files cannot be written.
        ConfigError: no adapter mixes others, or the data changed since training, or has no such split.
    """
    recipe, model, examples = load_run(Path(run), data, registry)
    _check_mixes(model, run)
    check_splits([split], examples.splits)
    with quiet_trainer(model, examples, recipe.training) as trainer:
        report = {"split": split, "attention": model.attention(trainer.batches(split))}
    return _written(report, Path(output or run))


def watch_text(
    folder: Path | str, text: str, output: Path | str | None = None, registry: Registry | None = None
) -> dict[str, Any]:
    """Give the weights in one text, token by token; write `attention.json` and `attention.png`.

    Args:
        folder: of a saved model or run.
        text: what is read.
        output: where the files go; by default, the same folder.
        registry: where names are looked up; by default, what is installed.

    Raises:
        StorageError: there is no saved model, or the files cannot be written.
        ConfigError: no adapter mixes others, or the text has no token, or more than the backbone takes.
    """
    if not (Path(folder) / "model.json").is_file():
        raise StorageError(f"no saved model or run in {folder} (`kadapter compose … --output {folder}` makes one)")
    model = KnowledgeModel.from_pretrained(folder, registry=registry)
    _check_mixes(model, folder)
    tokens, weights = model.attention_of(text)
    return _written({"text": text, "tokens": tokens, "attention": weights}, Path(output or folder))


def _check_mixes(model: KnowledgeModel, folder: Path | str) -> None:
    # Whether an adapter mixes is seen when it runs: better now than after a whole split.
    if not model.attention_of("a").weights:
        there = ", ".join(f"{name} ({model.adapters[name].name})" for name in model.plugged) or "none at all"
        raise ConfigError(f"no adapter of {folder} mixes others: there is {there}; choose a model with one that does")


def _written(report: dict[str, Any], folder: Path) -> dict[str, Any]:
    write_json(folder / "attention.json", report)
    plot_attention(report, folder / "attention.png")
    return report


def tables(report: Mapping[str, Any]) -> Iterator[Table]:
    """Give a report as tables, of weights in percent: for each adapter what is mixed at each place, and at each token.

    Of a text, the rows of places are means over its tokens, those of tokens means over the places.
    """
    for adapter, places in report["attention"].items():
        mixed = mixed_in(places)
        title = f"{adapter}, weights in percent"
        yield title, ["place", *mixed], [[place, *_cells(parts, mixed)] for place, parts in places.items()]
        if "tokens" in report:
            rows = [[token, *_cells(_at(places, number), mixed)] for number, token in enumerate(report["tokens"])]
            yield f"{title}, mean of its places", ["token", *mixed], rows


def _cells(parts: Mapping[str, Any], mixed: list[str]) -> list[str]:
    """Give the weight of each in percent, nothing where it is not mixed; the mean, where there are several."""
    means = {name: mean(value) if isinstance(value, list) else value for name, value in parts.items()}
    return [f"{100 * means[name]:.1f}" if name in means else "" for name in mixed]


def _at(places: Mapping[str, Mapping[str, list[float]]], token: int) -> dict[str, list[float]]:
    """Give what is mixed at any place -> its weights at one token."""
    return {name: [parts[name][token] for parts in places.values() if name in parts] for name in mixed_in(places)}
