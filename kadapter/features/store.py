"""A store of frozen states: which data sets it holds, how much they take, and which of them have to go."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from filelock import FileLock

from kadapter.errors import StorageError, UnknownNameError
from kadapter.features.content import content_hash
from kadapter.features.folder import NOTE, Folder, damaged, read_note
from kadapter.features.frozen import FrozenStates
from kadapter.features.rows import RowSet
from kadapter.files import cache_folder
from kadapter.progress import tell
from kadapter.sizes import bytes_of, in_words


def default_place() -> Path:
    """Give the folder where states are kept."""
    return cache_folder() / "features"


@dataclass(frozen=True)
class Entry:
    """What is kept of one data set.

    Attributes:
        key: of backbone, data, precision and versions.
        backbone: its name.
        fingerprint: of its weights.
        data: hash of the rows.
        precision: of the states.
        states: those of which something is there.
        rows: how many there are.
        tokens: in all rows.
        bytes: on disk.
        used: when, in seconds since 1970.
        busy: whether a run reads or fills it.
    """

    key: str
    backbone: str
    fingerprint: str
    data: str
    precision: str
    states: list[int]
    rows: int
    tokens: int
    bytes: int
    used: float
    busy: bool


class FeatureStore:
    """Folders of states, one for each backbone, data set and precision.

    Attributes:
        place: where they lie.
        limit: bytes that all of them may take.
    """

    def __init__(self, place: Path | str | None = None, limit: str = "20GB") -> None:
        self.place = Path(place).expanduser() if place is not None else default_place()
        self.limit = bytes_of(limit)

    # --- what there is

    def entries(self) -> list[Entry]:
        """Say what is kept, the last used first."""
        folders = [folder for folder in self.place.glob("[!.]*") if folder.is_dir()]
        found = [entry for folder in folders if (entry := self._entry(folder)) is not None]
        return sorted(found, key=lambda entry: entry.used, reverse=True)

    def _entry(self, folder: Path) -> Entry | None:
        note = read_note(folder)
        if note is None:
            return None
        facts = {name: note[name] for name in ("backbone", "fingerprint", "data", "precision", "rows", "tokens")}
        states = sorted({int(name.split("-")[1]) for name in note["shards"]})
        try:
            used, busy = (folder / NOTE).stat().st_mtime, self._is_busy(folder.name)
        except FileNotFoundError:  # removed meanwhile
            return None
        return Entry(folder.name, **facts, states=states, bytes=_size(folder), used=used, busy=busy)

    def remove(self, keys: Sequence[str] | None = None) -> list[Entry]:
        """Remove what is kept under these keys, or everything; give what was there.

        Raises:
            UnknownNameError: there is no such key.
            StorageError: a run uses it.
        """
        there = {entry.key: entry for entry in self.entries()}
        chosen = list(there) if keys is None else list(dict.fromkeys(keys))
        for key in chosen:
            if key not in there:
                raise UnknownNameError(
                    f"feature store {self.place} has no '{key}'; it has {', '.join(there) or 'none'}"
                )
        with self._quiet():
            for key in chosen:
                if self._is_busy(key):
                    raise StorageError(f"a run uses '{key}' of feature store {self.place}; wait until it has ended")
                self._drop(key)
        return [there[key] for key in chosen]

    def damaged(self) -> dict[str, list[str]]:
        """Compare every shard with its checksum: key -> those that are not what was written."""
        notes = {entry.key: read_note(self.place / entry.key) for entry in self.entries()}
        return {key: damaged(self.place / key, note["shards"]) for key, note in notes.items() if note is not None}

    # --- using it

    @contextmanager
    def opened(self, frozen: FrozenStates, sets: Sequence[RowSet]) -> Iterator[list[Folder]]:
        """Give the folders of some data sets, which stay as long as the `with` does.

        Args:
            frozen: what computes their states.
            sets: the rows of each.

        Raises:
            StorageError: the store cannot be written to.
        """
        content = content_hash(frozen.backbone.model)
        folders = [self._folder(frozen, content, rows) for rows in sets]
        with ExitStack() as used:
            for folder in folders:
                used.enter_context(self._used(folder.path.name))
            yield folders

    def _folder(self, frozen: FrozenStates, content: str, rows: RowSet) -> Folder:
        info = frozen.backbone.info
        decides = {
            "fingerprint": info.fingerprint,
            "content": content,
            "data": rows.content_hash,
            "precision": frozen.precision,
            "device": frozen.device.type,
            "inputs": list(rows.names),
            "versions": {name: metadata.version(name) for name in ("torch", "transformers")},
        }
        key = hashlib.sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest()[:16]
        counts = {"width": info.width, "rows": len(rows.rows), "tokens": rows.tokens}
        return Folder(self.place / key, {"backbone": info.name, **decides, **counts}, rows, frozen.dtype)

    def fill(self, folders: Sequence[Folder], states: frozenset[int], frozen: FrozenStates) -> None:
        """Make sure that these states of opened folders are there; what it costs is said before it starts.

        Args:
            folders: of several data sets.
            states: 0 to L.
            frozen: what computes them.

        Raises:
            StorageError: it would not fit, or the store cannot be written to.
        """
        needed = sum(folder.lacks(states) for folder in folders)
        if needed:
            self._announce(folders, states, frozen, needed)
            self._make_room(needed)
        for folder in folders:
            folder.fill(states, frozen.computed)

    def _announce(self, folders: Sequence[Folder], states: frozenset[int], frozen: FrozenStates, needed: int) -> None:
        tokens, each = sum(folder.rows.tokens for folder in folders), folders[0].bytes_for(len(states), 1)
        which = f"states {', '.join(map(str, sorted(states)))} in {frozen.precision}"
        tell(f"feature store: {in_words(needed)} in {self.place}: {tokens:,} tokens at {each:,} bytes for {which}")

    def _make_room(self, needed: int) -> None:
        """Remove what was used least recently, and by nobody now, until so many bytes fit; nothing if they never do."""
        with self._quiet():
            there = self.entries()
            # A folder that is used for nothing but the run that asks is busy too.
            idle = [entry for entry in there if not entry.busy]
            taken, spare = (sum(entry.bytes for entry in some) for some in (there, idle))
            self._check_room(needed, taken - spare, self._free() + spare)
            for entry in reversed(idle):
                if taken + needed > self.limit or needed > self._free():
                    self._drop(entry.key)
                    taken -= entry.bytes

    def _check_room(self, needed: int, in_use: int, free: int) -> None:
        if in_use + needed > self.limit:
            raise StorageError(
                f"the feature store in {self.place} may take {in_words(self.limit)}, and {in_words(needed)} more are "
                f"needed beside {in_words(in_use)} in use; raise --store-limit, or train without (--store off)"
            )
        if needed > free:
            raise StorageError(
                f"the feature store needs {in_words(needed)}, and {self.place} has {in_words(free)} free; "
                f"choose another --store, or train without (--store off)"
            )

    def _free(self) -> int:
        return shutil.disk_usage(self.place).free

    def _drop(self, key: str) -> None:
        os.replace(self.place / key, self.place / f".{key}.{uuid.uuid4().hex}.part")
        # With what a kill left of others.
        for gone in self.place.glob(f".*.{32 * '[0-9a-f]'}.part"):
            shutil.rmtree(gone, ignore_errors=True)

    # --- who uses what: each user holds a lock on a file of its own, which its end, however it comes, gives back

    @contextmanager
    def _quiet(self) -> Iterator[None]:
        """Let nobody begin to use, or remove, anything meanwhile."""
        try:
            self._marks.mkdir(parents=True, exist_ok=True)
            with FileLock(self.place / ".lock"):
                self._forget()
                yield
        except StorageError:
            raise
        except OSError as error:
            raise StorageError(
                f"cannot use feature store {self.place}: {error.strerror or error}; choose another --store"
            ) from error

    @property
    def _marks(self) -> Path:
        return self.place / ".used"

    @contextmanager
    def _used(self, key: str) -> Iterator[None]:
        mark = FileLock(self._marks / f"{key}.{uuid.uuid4().hex}")
        with self._quiet():
            mark.acquire()
        try:
            yield
        finally:
            mark.release()
            Path(mark.lock_file).unlink(missing_ok=True)

    def _is_busy(self, key: str) -> bool:
        return any(map(_is_held, self._marks.glob(f"{key}.*")))

    def _forget(self) -> None:
        """Remove the marks of processes that are gone; while it is quiet, since one may be about to take its own."""
        for mark in self._marks.glob("*"):
            if not _is_held(mark):
                with suppress(OSError):
                    mark.unlink()


def _is_held(mark: Path) -> bool:
    """Whether the process that made a mark is there; of a mark that this user may not touch, that is assumed."""
    try:
        with FileLock(mark).acquire(timeout=0):
            return False
    except OSError:  # Timeout is one
        return True


def _size(folder: Path) -> int:
    """Give the bytes of all files, of which some may be renamed or go meanwhile."""
    total = 0
    for path in folder.glob("*"):
        with suppress(OSError):
            total += path.stat().st_size if path.is_file() else 0
    return total
