"""Files appear under their final name only when they are whole."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from kadapter.errors import StorageError


def cache_folder() -> Path:
    """Give the folder of what can be made again: `KADAPTER_CACHE`, or a folder of the user's."""
    return Path(os.environ.get("KADAPTER_CACHE") or os.path.expanduser("~/.cache/kadapter"))


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """Give a name beside `path` to write to; it becomes `path` when the block ends well.

    Raises:
        StorageError: the folder cannot be written to.
    """
    aside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield aside
        os.replace(aside, path)
    except OSError as error:
        raise StorageError(f"cannot write {path}: {error.strerror or error}; choose another folder") from error
    finally:
        aside.unlink(missing_ok=True) if aside.parent.is_dir() else None


@contextmanager
def folder_written_whole(folder: Path) -> Iterator[Path]:
    """Give a new folder to write to; what is in it comes to `folder`, which is new or empty, when the block ends well.

    Raises:
        StorageError: it cannot be made or written to.
    """
    folder = folder.resolve()
    aside = folder.with_name(f".{folder.name}.{os.getpid()}.part")
    try:
        aside.mkdir(parents=True)
        yield aside
        folder.mkdir(exist_ok=True)
        for path in aside.iterdir():
            os.replace(path, folder / path.name)
    except OSError as error:
        if isinstance(error, StorageError):
            raise
        raise StorageError(f"cannot write {folder}: {error.strerror or error}; choose another folder") from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def write_text(path: Path, text: str) -> None:
    """Write a text file, whole."""
    with written_whole(path) as aside:
        aside.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Write a JSON file, whole, indented, keys in the order given."""
    write_text(path, as_json(value))


def as_json(value: Mapping[str, Any]) -> str:
    """Give the text of a JSON file, indented, keys in the order given."""
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


def read_json(path: Path, purpose: str) -> dict[str, Any]:
    """Read a JSON object; `purpose` says in an error what the file is for.

    Raises:
        StorageError: it is missing, unreadable, or not a JSON object.
    """
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise StorageError(f"{purpose}: cannot read {path}: {reason}") from error
    if not isinstance(value, dict):
        raise StorageError(f"{purpose}: {path} holds no JSON object")
    return value


def read_text(path: Path) -> str:
    """Read a text file.

    Raises:
        StorageError: it cannot be read, or is not text.
    """
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else f"it is not text: {error}"
        raise StorageError(f"cannot read {path}: {reason}; write it again as UTF-8, or delete it") from error


def inside(folder: Path, place: Any) -> Path:
    """Give `folder / place`, where a file says `place`: it may not lead out of the folder.

    Raises:
        StorageError: it is absolute, climbs out or is no text.
    """
    ways = [flavour(place) for flavour in (PurePosixPath, PureWindowsPath)] if isinstance(place, str) else []
    if not ways or any(way.anchor or ".." in way.parts for way in ways):
        raise StorageError(f"{folder} says that a part of it lies in {place!r}, which is not inside; do not trust it")
    return folder / place


def check_free(folder: Path) -> None:
    """Make sure that a new run can be written to `folder`, which must be new or empty; make nothing yet.

    Raises:
        StorageError: it holds something already, or it cannot be made or written to.
    """
    try:
        # A kill may have left a file that was being written.
        held = sorted(path.name for path in folder.glob("*") if path.suffix != ".part") if folder.exists() else []
    except OSError as error:
        raise StorageError(f"cannot use output folder {folder}: {error.strerror}; choose another --output") from error
    if held:
        raise StorageError(
            f"output folder {folder} already holds {', '.join(held[:3])}{' …' if held[3:] else ''}; "
            f"choose another --output, or continue that run with --resume"
        )
    check_can_be_written(folder)


def check_can_be_written(folder: Path) -> None:
    """Make sure that `folder` is one that can be written to, or can be made; make nothing yet.

    Raises:
        StorageError: it cannot.
    """
    try:
        nearest = next(place for place in (folder, *folder.parents) if place.exists())
    except OSError as error:
        raise StorageError(f"cannot use output folder {folder}: {error.strerror}; choose another --output") from error
    if not (nearest.is_dir() and os.access(nearest, os.W_OK)):
        raise StorageError(
            f"output folder {folder} cannot be made, since {nearest} is not a folder that can be written to; "
            f"choose another --output"
        )
