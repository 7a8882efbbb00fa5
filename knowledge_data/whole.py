"""Files and folders appear under their final name only when they are whole."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from knowledge_data.errors import DataError


@contextmanager
def written_whole(path: str | Path) -> Iterator[Path]:
    """Give a name beside `path` to write a file or a folder to; it becomes `path` when the block ends well.

    What a killed process has left there is removed.

    Raises:
        DataError: something lies at `path` already, or cannot be written there.
    """
    path = Path(path)
    if path.exists():
        raise DataError("is there already", "choose another place, or remove it", where=str(path))
    aside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove_leftovers(path)
        yield aside
        os.replace(aside, path)
    except OSError as error:
        problem = f"cannot be written ({error.strerror or error})"
        raise DataError(problem, "choose another place", where=str(path)) from error
    finally:
        _remove(aside)


def _remove_leftovers(path: Path) -> None:
    for left in path.parent.glob(f".{path.name}.*.part"):
        writer = left.name.split(".")[-2]
        if writer.isdigit() and not psutil.pid_exists(int(writer)):
            _remove(left)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
