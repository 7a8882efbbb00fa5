"""What goes into a package: saved adapters, without what only their owner should know."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from kadapter.adapter import TUNED
from kadapter.card import adapter_card, card_parts
from kadapter.errors import ConfigError, StorageError
from kadapter.privacy import own_paths, text_without_paths, without_paths
from kadapter.recipe import Recipe
from kadapter.registry import Registry
from kadapter.storage import check_providers, describe_adapter, read_tensors


@dataclass(frozen=True)
class Saved:
    """A saved adapter, without what only its owner should know: where things lie on their machine.

    Attributes:
        folder: where it lies.
        said: what goes into the package of what its `adapter.json` says.
        at_home: all that it says.
        own_card: the card that somebody wrote.
    """

    folder: Path
    said: dict[str, Any]
    at_home: Mapping[str, Any]
    own_card: str | None

    def card(self, package: str, name: str) -> str:
        """Give the card: that which somebody wrote, or one that says how the package gives the knowledge `name`."""
        return self.own_card or adapter_card({**self.said, "name": name}, package=package)

    def under(self, licence: str) -> Saved:
        """Give the same under this licence, in what is said of it as in its card."""
        trained_on = self.said["trained_on"]
        card = trained_on.get("card")
        own = {**(card if isinstance(card, Mapping) else {}), "licence": licence}
        said = {**self.said, "trained_on": {**trained_on, "card": own}}
        return replace(self, said=said, own_card=self.own_card and _relicensed(self.own_card, adapter_card(said)))

    @property
    def kind(self) -> str:
        """The type of the adapter."""
        return str(self.said["adapter"].get("type"))

    @property
    def backbone(self) -> str:
        """What the backbone was called in training."""
        return str(self.said["backbone"].get("name"))

    @property
    def fingerprint(self) -> str:
        """That of the backbone."""
        return str(self.said["backbone"].get("fingerprint"))

    @property
    def licence(self) -> str:
        """The licence that its card says, or that of the data that it was trained on, or nothing."""
        said = (self.said["trained_on"].get(part) for part in ("card", "data"))
        licences = (part.get("licence") for part in said if isinstance(part, Mapping))
        return next((str(licence) for licence in licences if licence), "")

    @property
    def recipe(self) -> Recipe | None:
        """The recipe of the run that trained it, if it was one of kadapter."""
        return _recipe(self.said)

    @property
    def recipe_at_home(self) -> Recipe | None:
        """The same, with where things lie on the machine of its owner."""
        return _recipe(self.at_home)


def _recipe(said: Mapping[str, Any]) -> Recipe | None:
    try:
        return Recipe.from_dict(said["trained_on"].get("recipe"))
    except ConfigError:
        return None


def read_saved(folder: Path, registry: Registry) -> Saved:
    """Read a saved adapter, its tensors included, and cut paths of this machine to their last part.

    Raises:
        StorageError: there is none, or one that works in its own run only.
        UnknownNameError: its type is not installed.
    """
    said = _describe(folder)
    fingerprint = str(said["backbone"].get("fingerprint"))
    if fingerprint.endswith(TUNED):
        raise StorageError(
            f"the adapter in {folder} works beside the backbone that was tuned with it and nowhere else; share the "
            f"whole model of that run, or train the adapter with the backbone frozen"
        )
    if not re.fullmatch(r"[0-9a-f]{16}", fingerprint):
        raise StorageError(f"{folder} says '{fingerprint}' for the fingerprint of its backbone; save it again")
    check_providers(folder, said, registry)
    read_tensors(folder / "adapter.safetensors")
    private = own_paths(said)
    return Saved(folder, without_paths(said, private), said, _own_card(folder, said, private))


def _own_card(folder: Path, said: Mapping[str, Any], private: Collection[str]) -> str | None:
    """Give the card when somebody wrote it; None when there is none or the one that is made of `adapter.json`."""
    path = folder / "README.md"
    try:
        text = path.read_text(encoding="utf-8") if path.is_file() else None
    except (OSError, UnicodeDecodeError) as error:
        raise StorageError(f"cannot read the card {path}: {error}; write it as UTF-8, or remove it") from error
    if text is None or text == adapter_card(said):
        return None
    return text_without_paths(text, private)


def _relicensed(card: str, made: str) -> str:
    """Give a card that somebody wrote with the licence of the one that is made, if it has a front matter."""
    (data, text), new = card_parts(card), card_parts(made)[0]
    if not data:
        return card
    licence = {key: value for key, value in new.items() if key.startswith("license")}
    kept = {key: value for key, value in data.items() if not key.startswith("license")}
    front = yaml.safe_dump({**licence, **kept}, sort_keys=False, allow_unicode=True)
    return f"---\n{front}---\n\n{text}\n"


def _describe(folder: Path) -> dict[str, Any]:
    inner = sorted(str(path.parent) for path in folder.glob("adapters/*/adapter.json"))
    if inner and not (folder / "adapter.json").exists():
        raise StorageError(f"{folder} is a model of several adapters; pack one by itself: {', '.join(inner)}")
    said = describe_adapter(folder)
    for part, fact in (("backbone", "name"), ("adapter", "type")):
        if not isinstance(said[part].get(fact), str):
            raise StorageError(f"{folder / 'adapter.json'} does not say the {fact} of the {part}; save it again")
    return said


def check_together(saved: Sequence[Saved]) -> None:
    """Raise ConfigError unless there are adapters of one name and type, each for another backbone."""
    if not saved:
        raise ConfigError("nothing to pack; name one or more folders of saved adapters")
    seen: dict[str, Saved] = {}
    for one in saved:
        first = saved[0]
        for fact, mine, theirs in (("name", one.said["name"], first.said["name"]), ("type", one.kind, first.kind)):
            if mine != theirs:
                raise ConfigError(
                    f"{one.folder} holds an adapter of {fact} '{mine}' and {first.folder} one of '{theirs}'; "
                    f"a package holds one kind of knowledge, for several backbones: pack them one by one"
                )
        if one.fingerprint in seen:
            raise ConfigError(
                f"{one.folder} and {seen[one.fingerprint].folder} are for the same backbone '{one.backbone}' "
                f"(fingerprint {one.fingerprint}); name the better one only"
            )
        seen[one.fingerprint] = one
