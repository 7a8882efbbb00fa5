"""Files that others wrote, read without trusting them: archives, and weights in pickles or safetensors."""

from __future__ import annotations

import re
import shutil
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, Any, NamedTuple

import torch
from torch import Tensor

from kadapter.errors import StorageError
from kadapter.storage import read_tensors

ARCHIVES = (".zip", ".tar.gz", ".tgz", ".tar")
"""How the names of archives end."""

MOST_FILES = 10_000
MOST_GROWTH = 100
FREE_GROWTH = 64 << 20
"""An archive may hold so many files, and so many times its own size, or so many bytes if that is more."""


def read_weights(path: Path | str) -> dict[str, Tensor]:
    """Read a file of weights: safetensors, or, under any other name, what `torch.save` wrote of name -> tensor.

    Of a pickle nothing but tensors and plain containers is loaded, so that none can run code.

    Raises:
        StorageError: it is missing or damaged, or holds anything but tensors by name.
    """
    path = Path(path)
    if path.suffix == ".safetensors":
        return read_tensors(path)
    held = _unpickled(path)
    if not isinstance(held, Mapping):
        raise StorageError(f"{path} holds a {type(held).__name__}, not tensors by name; save the state_dict() alone")
    strangers = [str(name) for name, value in held.items() if not _is_plain(name, value)]
    if strangers:
        raise StorageError(f"{path} holds more than tensors: {', '.join(strangers[:3])}; save the state_dict() alone")
    return {name: value.detach() for name, value in held.items()}


def _is_plain(name: Any, value: Any) -> bool:
    """Say whether something is a tensor by name, all of whose values are there."""
    if not isinstance(name, str) or not isinstance(value, Tensor):
        return False
    usual = value.layout is torch.strided and value.device.type == "cpu" and not value.is_quantized
    # One value with strides of 0 could stand for any number of them.
    return usual and value.numel() * value.element_size() <= value.untyped_storage().nbytes()


def _unpickled(path: Path) -> Any:
    if torch.__version__ < "2.6":
        raise StorageError(
            f"{path} is a pickle, which torch {torch.__version__} cannot read safely (CVE-2025-32434); "
            f"install torch 2.6 or later, or turn the file into safetensors"
        )
    try:
        _check_growth(path)
        return torch.load(path, map_location="cpu", weights_only=True)
    except StorageError:
        raise
    except OSError as error:
        raise StorageError(f"cannot read {path}: {error.strerror or error}; is that the right file?") from error
    except Exception as error:  # A damaged pickle can make its reader fail in any way.
        raise StorageError(f"{path} is not loaded: {_reason(str(error))}") from error


def _check_growth(path: Path) -> None:
    """Raise StorageError when a zip, as which torch saves, says that far more is in it than its size lets expect."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as packed:
            _check_size(path, sum(info.file_size for info in packed.infolist()))


def _check_size(path: Path, total: int, files: int = 0) -> None:
    most = max(FREE_GROWTH, MOST_GROWTH * path.stat().st_size)
    if total > most or files > MOST_FILES:
        raise StorageError(f"{path} holds over {most:,} bytes or {MOST_FILES:,} files; it is not unpacked")


def _reason(said: str) -> str:
    """Say in one line what torch says in many."""
    if asked := re.search(r"GLOBAL (\S+)", said):
        return f"this pickle asks for {asked[1]}, and so holds more than tensors and could run code; get another copy"
    detail = said.partition("\n")[0][:80] or "it ends early"
    return f"it is no file of weights that torch wrote, or is damaged ({detail}); get another copy"


@contextmanager
def unpacked(place: Path | str) -> Iterator[Path]:
    """Give a file or folder as it is, and of an archive a temporary folder with what is in it.

    One folder that is around everything is left out, as is what macOS adds: `__MACOSX`, `.DS_Store` and `._` files.

    Raises:
        StorageError: there is no such place, or the archive is damaged, holds names that lead out of the folder, links
            or devices, or far more than its size lets expect.
    """
    place = Path(place)
    if not place.exists():
        raise StorageError(f"there is no file or folder {place}")
    if place.is_dir() or not place.name.endswith(ARCHIVES):
        yield place
        return
    with tempfile.TemporaryDirectory(prefix="kadapter-") as folder:
        _unpack(place, Path(folder))
        held = list(Path(folder).iterdir())
        yield held[0] if len(held) == 1 and held[0].is_dir() else Path(folder)


_OF_MACOS = re.compile(r"__MACOSX|\.DS_Store|\._.*")
"""Names of what macOS puts into archives beside the files themselves."""


class _Member(NamedTuple):
    """Something in an archive; `opened` is None for what is neither file nor folder."""

    name: str
    size: int
    folder: bool
    opened: IO[bytes] | None


def _unpack(archive: Path, folder: Path) -> None:
    total = 0
    try:
        for number, member in enumerate(_members(archive), start=1):
            total += member.size
            _check_size(archive, total, number)
            _place(member, folder, archive)
    except StorageError:
        raise
    except Exception as error:  # A damaged archive can make its reader fail in any way, too.
        raise StorageError(f"cannot unpack {archive}: {error}; get another copy") from error


def _members(archive: Path) -> Iterator[_Member]:
    """Give what is in an archive, one after another, each to be read before the next."""
    if archive.suffix == ".zip":
        with zipfile.ZipFile(archive) as packed:
            for info in packed.infolist():
                # The upper half of the attributes is the mode of Unix: 0o12 says that it is a link.
                link = info.external_attr >> 28 == 0o12
                yield _Member(info.filename, info.file_size, info.is_dir(), None if link else packed.open(info))
        return
    with tarfile.open(archive) as tar:
        for entry in tar:
            yield _Member(entry.name, entry.size, entry.isdir(), tar.extractfile(entry) if entry.isfile() else None)


def _place(member: _Member, folder: Path, archive: Path) -> None:
    path = PurePosixPath(member.name)
    if path.is_absolute() or ".." in path.parts or re.search(r"[\\:\0]", member.name):
        raise StorageError(f"{archive} holds the name '{member.name}', which leads out of it; it is not unpacked")
    if any(_OF_MACOS.fullmatch(part) for part in path.parts):
        return
    target = folder / path
    if member.folder:
        target.mkdir(parents=True, exist_ok=True)
        return
    if member.opened is None:
        raise StorageError(f"{archive} holds '{member.name}', a link or device; it is not unpacked")
    target.parent.mkdir(parents=True, exist_ok=True)
    with member.opened as packed, target.open("xb") as file:
        shutil.copyfileobj(packed, file)
