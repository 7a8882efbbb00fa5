"""A file of templates: how each relation of a graph is said, to teach and to test."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from knowledge_data.errors import DataError
from knowledge_data.files import read_text
from knowledge_data.templates import check_template

_SHAPE = "give a template, a list of them, or {train: [...], test: [...]}"


@dataclass(frozen=True)
class Phrasings:
    """How one relation is said.

    Attributes:
        train: in training and validation.
        test: in testing; the same, unless phrasings are held out for it.
    """

    train: tuple[str, ...]
    test: tuple[str, ...]


class _Loader(yaml.SafeLoader):
    """YAML in which a key may stand once only: the second would silently replace the first."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        """Build a mapping, every key once."""
        seen = set[Hashable]()
        for key, _ in node.value:
            name = self.construct_object(key, deep=True)
            if isinstance(name, Hashable) and name in seen:
                line = key.start_mark.line + 1
                raise DataError(f"names {name!r} a second time", "put its templates together", where=f"{line}")
            seen.add(name)
        return super().construct_mapping(node, deep)


def read_templates(path: str | Path) -> dict[str, Phrasings]:
    """Read a YAML file: relation -> its template, a list of them, or `train` and `test` with a list each.

    A template is a sentence with one `{subject}` and one `{object}`; whatever must agree with them is its affair.
    Phrasings under `test` are held out: nothing is taught in them.

    Raises:
        DataError: the file cannot be read, is not of this form, or a template does not name both entities; names
            file and key.
    """
    said = _read(path)
    if not isinstance(said, dict) or not said:
        raise DataError("says no templates", "write a line 'relation: template', or more", where=str(path))
    return {_relation(name, path): _phrasings(value, f"{path}: relation {name!r}") for name, value in said.items()}


def plain_phrasings(labels: Mapping[str, str]) -> dict[str, Phrasings]:
    """Say relations by their labels alone, for want of templates, as `{subject}: capital: {object}` does."""
    escaped = {name: label.replace("{", "{{").replace("}", "}}") for name, label in labels.items()}
    said = {name: (f"{{subject}}: {label}: {{object}}.",) for name, label in escaped.items() if label.strip()}
    return {name: Phrasings(templates, templates) for name, templates in said.items()}


def _read(path: str | Path) -> Any:
    try:
        # Its `safe_load` would do, but for keys that stand twice.
        return yaml.load(read_text(path), _Loader)
    except DataError as error:
        raise error.at(f"{path}:{error.where}" if error.where.isdigit() else error.where) from None
    except (yaml.YAMLError, ValueError) as error:
        raise DataError(f"is not YAML: {' '.join(str(error).split())}", "correct it", where=str(path)) from error
    except RecursionError:
        raise DataError("is nested too deeply", _SHAPE, where=str(path)) from None


def _relation(name: object, path: str | Path) -> str:
    if isinstance(name, str) and name.strip():
        return name
    raise DataError(f"names the relation {name!r}, which is no text", "put it in quotation marks", where=str(path))


def _phrasings(value: object, where: str) -> Phrasings:
    if not isinstance(value, dict):
        train = tuple(_templates(value, where))
        return Phrasings(train, train)
    if unknown := [key for key in value if key not in ("train", "test")]:
        raise DataError(f"has {unknown[0]!r}", _SHAPE, where=where)
    if "train" not in value:
        raise DataError("has no 'train'", _SHAPE, where=where)
    train = tuple(_templates(value["train"], f"{where}: train"))
    test = tuple(_templates(value["test"], f"{where}: test")) if "test" in value else train
    if "test" in value and (both := set(train) & set(test)):
        raise DataError(f"holds out {min(both)!r}, which it also trains with", "keep it in one of them", where=where)
    return Phrasings(train, test)


def _templates(value: object, where: str) -> Iterator[str]:
    listed: Sequence[object] = [value] if isinstance(value, str) else value if isinstance(value, list) else []
    if not listed:
        raise DataError(f"is {_short(value)}", _SHAPE, where=where)
    if len(set(map(str, listed))) < len(listed):
        raise DataError("has a template twice", "give each once", where=where)
    for number, template in enumerate(listed, start=1):
        place = f"{where}, template {number}"
        if not isinstance(template, str):
            raise DataError(f"is {_short(template)}", "put it in quotation marks", where=place)
        try:
            check_template(template)
        except DataError as error:
            raise error.at(place) from None
        yield template


def _short(value: object) -> str:
    return f"of type {type(value).__name__}" if isinstance(value, (dict, list)) else repr(value)
