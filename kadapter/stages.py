"""Two stages: adapters, each trained on a task of its own; then one that fuses them, trained on the target task.

Knowledge extraction and knowledge composition, as Pfeiffer et al. 2021 (arXiv 2005.00247) call them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from kadapter.adapter import BackboneInfo
from kadapter.config import differences, make_config, read_yaml_file, replace_options, write_yaml
from kadapter.errors import BackboneError, ConfigError, KadapterError, StorageError
from kadapter.files import check_free, write_text
from kadapter.model import KnowledgeModel
from kadapter.naming import check_name
from kadapter.recipe import Recipe
from kadapter.registry import Registry, default_registry
from kadapter.storage import check_backbone, describe_adapter, folder_of
from kadapter.training import Run, assemble, pretrain

TARGET = "fused"
"""What the target is called, and its folder."""


@dataclass(frozen=True)
class Stages:
    """A whole run of two stages, said in data.

    Attributes:
        members: name -> recipe of an adapter to train first; or one that is trained: folder, or name of installed
            knowledge.
        target: the recipe whose new adapter fuses them: its option `members` is filled in.
    """

    members: Mapping[str, Recipe | Path | str]
    target: Recipe

    def __post_init__(self) -> None:
        if not self.members:
            raise ConfigError("there are no members to fuse; give members: {NAME: recipe, folder or knowledge, …}")
        for name, member in self.members.items():
            with _about(f"member '{name}'"):
                _check_member(name, member)
        with _about("target"):
            _check_target(self.target)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], owner: str = "stages") -> Stages:
        """Build it from plain data; members and target are called by their place when they say no name.

        Raises:
            ConfigError: an unknown, missing or ill-typed entry.
        """
        if not isinstance(values, Mapping):
            raise ConfigError(f"{owner} is not a mapping; it needs members and target")
        read = dict(values)
        with _about(owner):
            if isinstance(members := values.get("members"), Mapping):
                read["members"] = {str(name): _read(name, f"member '{name}'", said) for name, said in members.items()}
            if "target" in values:
                read["target"] = _read(TARGET, "target", values["target"])
            return make_config(cls, read, "the run")

    @classmethod
    def load(cls, path: Path | str) -> Stages:
        """Read a YAML file.

        Raises:
            ConfigError: it cannot be read, is not YAML, or does not say two stages.
        """
        return cls.from_dict(read_yaml_file(path, "stages"), owner=f"stages {path}")

    @property
    def recipes(self) -> dict[str, Recipe]:
        """The members that are to be trained."""
        return {name: member for name, member in self.members.items() if isinstance(member, Recipe)}

    def fusing(self, members: Mapping[str, Any]) -> Recipe:
        """Give the target's recipe with its members filled in; `members` says where those to be trained are."""
        places = {name: str(member) for name, member in self.members.items()} | dict(members)
        return replace(self.target, adapter={**(self.target.adapter or {}), "members": places})

    def with_options(self, options: Mapping[str, Any]) -> Stages:
        """Give stages in which dotted options are replaced: `{"target.training.epochs": 5}`.

        Raises:
            ConfigError: an option that there is not.
        """
        values = self.as_dict()
        replace_options(values, options, "stages")
        return Stages.from_dict(values)

    def as_dict(self) -> dict[str, Any]:
        """Give plain data that `from_dict` reads."""
        members = {name: m.as_dict() if isinstance(m, Recipe) else str(m) for name, m in self.members.items()}
        return {"members": members, "target": self.target.as_dict()}


def _read(name: str, place: str, said: Any) -> Any:
    """Turn a mapping into a recipe; leave the rest, which is no recipe, to be checked."""
    if not isinstance(said, Mapping):
        return said
    with _about(place):
        return Recipe.from_dict({"name": name, **said})


def _check_member(name: str, member: Any) -> None:
    check_name(str(name))
    if not isinstance(member, Recipe | Path | str):
        raise ConfigError(f"it is {member!r}; it must be a recipe, a folder or the name of installed knowledge")
    if isinstance(member, Recipe):
        if member.adapter is None:
            raise ConfigError("its recipe has no new adapter to train: give it `adapter: {type: …}`")
        if "backbone" in (member.training.trains or ()):
            raise ConfigError("it trains the backbone, and would not fit that of the target; leave backbone out")


def _check_target(target: Recipe) -> None:
    if target.adapter is None:
        raise ConfigError("its recipe has no new adapter to fuse the members: give it `adapter: {type: …}`")
    if "members" in target.adapter:
        raise ConfigError("its adapter says `members`, which are filled in; say them above, beside `target`")


@contextmanager
def _about(place: str) -> Iterator[None]:
    """Begin the message of an error with the place that it is about."""
    try:
        yield
    except KadapterError as error:
        raise type(error)(f"{place}: {error}") from error


def fuse(
    stages: Stages,
    output: Path | str,
    resume: bool = False,
    registry: Registry | None = None,
    told: Callable[[str, Run], None] | None = None,
) -> Run:
    """Train the members that have recipes, each in `output`/members/NAME; then the target, in `output`/fused.

    What is wrong is looked for in all stages before the first is trained.

    Args:
        stages: the whole run.
        output: a new or empty folder; with `resume`, that of a run that was interrupted.
        resume: leave what is finished as it is, and go on.
        registry: where names are looked up; by default, what is installed.
        told: called with the name of each stage and its run when it is finished.

    Returns:
        The target's run.

    Raises:
        KadapterError: one of its children says what is wrong with a recipe, a member or the folder.
        knowledge_data.DataError: the data is not what it should be.
    """
    registry, output, told = registry or default_registry(), Path(output), told or (lambda *_: None)
    stages = Stages.from_dict(stages.as_dict())
    _check_output(stages, output, resume)
    _check_stages(stages, output, registry)
    write_text(output / "stages.yaml", write_yaml(stages.as_dict()))
    places = {name: output / "members" / name for name in stages.recipes}
    for name, recipe in stages.recipes.items():
        told(name, _trained(recipe, places[name], registry))
    run = _trained(stages.fusing({name: str(place) for name, place in places.items()}), output / TARGET, registry)
    told(TARGET, run)
    return run


def _trained(recipe: Recipe, folder: Path, registry: Registry) -> Run:
    return pretrain(recipe, folder, resume=(folder / "recipe.yaml").exists(), registry=registry)


def _check_output(stages: Stages, output: Path, resume: bool) -> None:
    """Make sure that the folder of a new run is free, or that the run to go on with is the same."""
    note = output / "stages.yaml"
    if not resume:
        check_free(output)
    elif not note.exists():
        raise StorageError(f"there is no run of two stages to resume in {output}; start one without --resume")
    else:
        other = differences(stages.as_dict(), Stages.load(note).as_dict())
        # Data may have moved: that it is the same is seen by its content. A store changes no number.
        may = (".source.path", ".training.store", ".training.store_limit")
        if said := [text for option, text in other.items() if not option.endswith(may)]:
            raise StorageError(f"the run in {output} has other stages: {'; '.join(said)}; resume it with the same ones")


def _check_stages(stages: Stages, output: Path, registry: Registry) -> None:
    """Build what is not finished as it starts, so that an error in the last stage is found before the first."""
    if (output / TARGET / "result.json").exists():
        return
    with _about("target"):
        info = KnowledgeModel.from_pretrained(stages.target.backbone, registry=registry).backbone.info
    for name, member in stages.members.items():
        if not (output / "members" / name / "result.json").exists():
            with _about(f"member '{name}'"):
                _check_fits(member, info, registry)
    with _about("target"):
        # What is not trained yet has the shape that its options say.
        assemble(stages.fusing({name: recipe.adapter for name, recipe in stages.recipes.items()}), registry)


def _check_fits(member: Recipe | Path | str, target: BackboneInfo, registry: Registry) -> None:
    """Make sure that a member can be had, for the backbone of the target."""
    if not isinstance(member, Recipe):
        folder = folder_of(member, target, registry)
        check_backbone(folder, describe_adapter(folder)["backbone"], target)
        return
    info = assemble(member, registry)[0].backbone.info
    if info.fingerprint != target.fingerprint:
        raise BackboneError(
            f"its backbone is '{info.name}' (fingerprint {info.fingerprint}), that of the target '{target.name}' "
            f"(fingerprint {target.fingerprint}); give both the same"
        )
