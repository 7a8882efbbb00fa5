"""The source project of a package, and the wheel that is built of it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression

from kadapter.card import card_parts, hub_licence
from kadapter.files import write_json, write_text, written_whole
from kadapter.recipe import Training
from kadapter.registry import Registry
from kadapter.wheel.about import About
from kadapter.wheel.saved import Saved

_DATE = (1980, 1, 1, 0, 0, 0)
"""Of every file in a wheel, unless SOURCE_DATE_EPOCH says another one: the same content is the same file."""

_MODULE = '''\
"""Knowledge that kadapter packed."""

from __future__ import annotations

import json
from pathlib import Path

from kadapter import KnowledgeModule, hookimpl, weights_in

HERE = Path(__file__).parent


@hookimpl
def register_knowledge() -> list[KnowledgeModule]:
    """Give the knowledge, with its weights for each backbone."""
    said = json.loads((HERE / "knowledge.json").read_text(encoding="utf-8"))
    files = {option: str(HERE / file) for option, file in said.pop("files").items()}
    source = {**said.pop("source"), **files}
    return [KnowledgeModule(**said, source=source, weights=weights_in(HERE / "weights"))]
'''

_PYPROJECT = """\
[build-system]
requires = ["flit_core>=3.11,<5"]
build-backend = "flit_core.buildapi"

[project]
name = {distribution}
version = {version}
description = {description}
readme = "README.md"
requires-python = ">=3.10"
license = {licensed}
dependencies = {requires}

[project.entry-points.kadapter]
{name} = {package}

[tool.flit.module]
name = {package}
"""

_README = """\
# {distribution}

{description}. A plugin of kadapter: once it is installed, `{name}` is the name of an adapter.

```python
from kadapter import KnowledgeModel

model = KnowledgeModel.from_pretrained("{backbone}", adapters=["{name}"])
```

It has weights for {backbones}.{more}

{cards}"""

_TEXTS = {".yaml", ".yml", ".json", ".jsonl", ".tsv", ".csv", ".txt"}
_SMALL = 1_000_000

_MORE = (
    " For another backbone, make them yourself: "
    "`kadapter pretrain {name} --backbone … {data}{others}--output runs/{name}`."
)


def write_project(folder: Path, about: About, saved: Sequence[Saved], registry: Registry, relicensed: bool) -> None:
    """Write the project to a new folder: `pip install` takes it as it takes the wheel.

    Adapters and their cards say their own licence, or that of the package when it is `relicensed`.
    """
    licences = _licence_text(about, saved)
    saved = [one.under(about.licence) for one in saved] if relicensed else saved
    package = folder / "src" / about.package
    files = side_files(saved[0])
    said = {**_knowledge(saved[0], about, files), "files": {option: _inside(option, files[option]) for option in files}}
    for one in saved:
        weights = package / "weights" / one.fingerprint
        write_json(weights / "adapter.json", {**one.said, "name": about.name})
        write_text(weights / "README.md", one.card(about.distribution, about.name))
        shutil.copyfile(one.folder / "adapter.safetensors", weights / "adapter.safetensors")
    for option, file in files.items():
        write_text(package / _inside(option, file), file.read_text(encoding="utf-8"))
    write_json(package / "knowledge.json", said)
    write_text(package / "__init__.py", _MODULE)
    write_text(folder / "LICENSE", licences)
    write_text(folder / "README.md", _readme(about, saved, said, files, registry))
    write_text(folder / "pyproject.toml", _pyproject(about))


def _knowledge(one: Saved, about: About, files: Mapping[str, Path]) -> dict[str, Any]:
    """Say how adapters like this one are made, if a run of kadapter made it from nothing but data."""
    names = {"name": about.name, "description": about.description}
    recipe = one.recipe
    options = recipe.plugs.get(one.said["name"]) if recipe else None
    if recipe is None or not isinstance(options, Mapping) or not _is_whole(one):
        return {**names, "adapter": one.said["adapter"], "task": {}, "source": {}}
    usual = vars(Training())
    training = {name: value for name, value in vars(recipe.training).items() if name != "report_to"}
    return {
        **names,
        "adapter": options,
        "task": recipe.task,
        "source": {name: value for name, value in recipe.source.items() if name not in ("path", *files)},
        "composition": recipe.composition,
        "training": {name: value for name, value in training.items() if value != usual[name]},
    }


def side_files(one: Saved) -> dict[str, Path]:
    """Give the small text files that options of the source name, such as templates: option -> file.

    They go into the package if it brings a recipe. The data itself, `path`, does not.
    """
    recipe = one.recipe_at_home if _is_whole(one) else None
    options = recipe.source if recipe else {}
    named = {option: Path(value) for option, value in options.items() if option != "path" and isinstance(value, str)}
    return {option: file for option, file in named.items() if option.isidentifier() and _is_small_text(file)}


def _is_small_text(file: Path) -> bool:
    try:
        if file.suffix not in _TEXTS or not file.is_file() or file.stat().st_size >= _SMALL:
            return False
        file.read_text(encoding="utf-8")
    except (OSError, ValueError):
        return False
    return True


def _inside(option: str, file: Path) -> str:
    return f"data/{option}{file.suffix}"


def _is_whole(one: Saved) -> bool:
    """Tell whether the recipe makes the adapter of nothing but data: no option is a folder of another one."""
    recipe = one.recipe_at_home
    options = recipe.plugs.get(one.said["name"]) if recipe else None
    return isinstance(options, Mapping) and not _folders(options)


def _folders(options: Any) -> bool:
    if isinstance(options, Mapping):
        return any(map(_folders, options.values()))
    return isinstance(options, str) and ("/" in options or (Path(options) / "adapter.json").is_file())


def _left_at_home(public: Mapping[str, Any], home: Mapping[str, Any], before: str = "source") -> Iterator[str]:
    """Find the options whose files are not in the package: `source.templates`."""
    for (option, value), there in zip(public.items(), home.values(), strict=True):
        if isinstance(value, Mapping):
            yield from _left_at_home(value, there, f"{before}.{option}")
        elif value != there and option != "path":
            yield f"{before}.{option}"


def _readme(
    about: About, saved: Sequence[Saved], said: Mapping[str, Any], files: Collection[str], registry: Registry
) -> str:
    source = said["source"].get("name")
    data = "--data … " if source in registry.sources and registry.sources[source].needs_path else ""
    recipes = saved[0].recipe, saved[0].recipe_at_home
    left = _left_at_home(recipes[0].source, recipes[1].source) if recipes[0] and recipes[1] else ()
    others = "".join(f"--set {option}=… " for option in left if option.removeprefix("source.") not in files)
    return _README.format(
        distribution=about.distribution,
        description=about.description,
        name=about.name,
        backbone=saved[0].backbone,
        backbones=", ".join(f"`{one.backbone}`" for one in saved),
        more=_MORE.format(name=about.name, data=data, others=others) if source else "",
        cards="\n".join(card_parts(one.card(about.distribution, about.name))[1].strip() + "\n" for one in saved),
    )


def _licence_text(about: About, saved: Sequence[Saved]) -> str:
    own = "".join(f"{one.backbone}: {one.licence}\n" for one in saved if one.licence)
    said = f"\nBy backbone, as their cards and the data that they were trained on say:\n{own}" if own else ""
    return f"{about.distribution} {about.version}\n\nThe weights stand under: {about.licence}\n{said}"


def _pyproject(about: About) -> str:
    # Texts of JSON are texts of TOML.
    said = {key: json.dumps(value, ensure_ascii=False) for key, value in vars(about).items()}
    return _PYPROJECT.format(**said, package=json.dumps(about.package), licensed=_licence_field(about.licence))


def _licence_field(licence: str) -> str:
    """Give an SPDX expression; what is none stands in the licence file."""
    try:
        return json.dumps(canonicalize_license_expression(hub_licence(licence) or licence))
    except InvalidLicenseExpression:
        return json.dumps("LicenseRef-other")


def build(project: Path, wheel: Path) -> None:
    """Build the wheel of a project: a new file, whole.

    Raises:
        StorageError: it cannot be written.
    """
    # Needed here only.
    from flit_core.wheel import WheelBuilder

    with written_whole(wheel) as aside, aside.open("w+b") as file:
        builder = WheelBuilder.from_ini_path(project / "pyproject.toml", file)
        builder.source_time_stamp = builder.source_time_stamp or _DATE
        builder.build()
