"""Where bytes lie: a file, the files of a folder, or the members of a zip; plain or gzipped; opened as a stream."""

from __future__ import annotations

import gzip
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

from knowledge_data.errors import DataError
from knowledge_data.files import find


@dataclass(frozen=True)
class Member:
    """Something to read.

    Attributes:
        name: what messages call it: the path of a file, or `archive.zip/path/inside.json`.
        raw: opens its bytes as they are stored.
    """

    name: str
    raw: Callable[[], IO[bytes]]

    @classmethod
    def of(cls, path: str | Path) -> Member:
        """The file at this path; a missing one is looked for with `.gz` added.

        Raises:
            DataError: there is none, or it is a folder.
        """
        found = find(Path(path))
        return cls(str(found), lambda: found.open("rb"))

    @contextmanager
    def opened(self) -> Iterator[IO[bytes]]:
        """Give its bytes, uncompressed, as a stream.

        Raises:
            DataError: it cannot be opened, breaks off or is no gzip file although named `.gz`; names it.
        """
        try:
            with self.raw() as raw:
                if self.name.endswith(".gz"):
                    with gzip.open(raw) as unzipped:
                        yield cast(IO[bytes], unzipped)
                else:
                    yield raw
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            fix = "compress it again, or drop .gz from its name if it is plain text"
            raise DataError(f"is not a whole gzip file ({error})", fix, where=self.name) from error
        except zipfile.BadZipFile as error:
            raise DataError(f"cannot be unpacked ({error})", "download it again", where=self.name) from error
        except OSError as error:
            raise DataError(f"cannot be read ({error.strerror or error})", where=self.name) from error


def members(path: str | Path, suffixes: Sequence[str]) -> list[Member]:
    """A file; or, in name order, those files of a folder or members of a zip whose names end so.

    `.json` means `.json.gz` too. Folders are looked into, too. Hidden files and `__MACOSX`, which macOS adds to
    archives, are passed over. A zip that lies in the folder is looked into as well.

    Raises:
        DataError: there is none, or a zip cannot be read.
    """
    path = Path(path)
    found = list(_below(path, suffixes)) if path.is_dir() else _of_file(path, suffixes)
    if not found:
        raise DataError(f"holds no file that ends in {' or '.join(suffixes)}", "check the path", where=str(path))
    return found


def _below(folder: Path, suffixes: Sequence[str]) -> Iterator[Member]:
    for path in sorted(folder.rglob("*")):
        inside = path.relative_to(folder).as_posix()
        if path.is_file() and (_wanted(inside, suffixes) or _wanted(inside, [".zip"])):
            yield from _of_file(path, suffixes)


def _of_file(path: Path, suffixes: Sequence[str]) -> list[Member]:
    return list(_zipped(path, suffixes)) if path.suffix == ".zip" and path.exists() else [Member.of(path)]


def _zipped(path: Path, suffixes: Sequence[str]) -> Iterator[Member]:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, OSError) as error:
        raise DataError(f"is not a whole zip file ({error})", "download it again", where=str(path)) from error
    for name in sorted(name for name in names if _wanted(name, suffixes)):
        yield Member(f"{path}/{name}", _opener(path, name))


def _opener(path: Path, name: str) -> Callable[[], IO[bytes]]:
    def opened() -> IO[bytes]:
        # The stream keeps the archive open, and closes it when it is closed itself.
        try:
            with zipfile.ZipFile(path) as archive:
                return archive.open(name)
        except (NotImplementedError, RuntimeError) as error:
            raise zipfile.BadZipFile(str(error)) from error

    return opened


def _wanted(name: str, suffixes: Sequence[str]) -> bool:
    hidden = any(part.startswith((".", "__MACOSX")) for part in name.split("/"))
    return not hidden and name.removesuffix(".gz").endswith(tuple(suffixes))
