"""The states of one data set on disk: shards that are whole, a list of them with their checksums, and locks."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from operator import mul
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout
from safetensors import SafetensorError, safe_open
from torch import Tensor

from kadapter.errors import StorageError
from kadapter.features.rows import Row, RowSet, digest
from kadapter.files import read_json, write_json
from kadapter.progress import stepping, tell
from kadapter.storage import save_tensors
from knowledge_data.hashing import file_hash

NOTE = "features.json"
"""Says what a folder holds: everything that is listed there is whole."""

FORMAT = 1

_FACTS = {"backbone", "fingerprint", "data", "precision", "rows", "tokens", "shards"}

SHARD = 64 * 2**20
"""Bytes of a shard, about."""

FOR_EVER = -1

Compute = Callable[[Sequence[Row], Sequence[str], frozenset[int]], Mapping[int, Sequence[Tensor]]]
"""Of rows, the names of their inputs and states, gives state -> (n, W) for each row."""


def read_note(folder: Path) -> dict[str, Any] | None:
    """Say what a folder holds; None when it is none of ours, or not of this format."""
    try:
        note = read_json(folder / NOTE, "feature store")
    except StorageError:
        return None
    ours = note.get("format") == FORMAT and note.keys() >= _FACTS and isinstance(note["shards"], dict)
    return note if ours else None


def damaged(folder: Path, shards: Mapping[str, str]) -> list[str]:
    """Name the shards, given with their checksums, whose content is not what was written."""
    return [name for name, written in shards.items() if not _is_whole(folder / name, written)]


def _is_whole(path: Path, written: str) -> bool:
    try:
        return file_hash(path) == written
    except OSError:
        return False


class Folder:
    """States of the rows of one data set.

    Attributes:
        path: where they lie.
        facts: what the note says beside the shards.
        rows: whose states they are.
    """

    def __init__(self, path: Path, facts: Mapping[str, Any], rows: RowSet, dtype: torch.dtype) -> None:
        self.path, self.facts, self.rows, self.dtype = path, facts, rows, dtype
        self.runs = rows.cut(max(1, SHARD // self.bytes_for(1, 1)))
        self._shard_of = [number for number, run in enumerate(self.runs) for _ in run]
        self._shards: dict[tuple[int, int], Tensor] = {}

    def bytes_for(self, states: int, tokens: int | None = None) -> int:
        """Give what so many states of all tokens, or of so many, take on disk, about."""
        return states * (self.rows.tokens if tokens is None else tokens) * self.facts["width"] * self.dtype.itemsize

    def lacks(self, states: frozenset[int]) -> int:
        """Give the bytes, about, of the shards of these states that are not listed."""
        listed, tokens = self._listed(), map(self._tokens, range(len(self.runs)))
        missing = (sum(_name(state, number) not in listed for state in states) for number in range(len(self.runs)))
        return self.bytes_for(1, sum(map(mul, tokens, missing)))

    def fill(self, states: frozenset[int], compute: Compute) -> None:
        """Make sure that these states are there, whole and undamaged, and open them.

        What was made before is left as it is. Several processes share the work: each makes the shards that no other one
        is making, and waits for those that others make.

        Raises:
            StorageError: the folder cannot be written to.
        """
        with self._alone():
            self._note(self._sound({_name(state, number) for state in states for number in range(len(self.runs))}))
        todo = [number for number in range(len(self.runs)) if self._missing(number, states) or self._halves(number)]
        with stepping(f"features of {self.facts['backbone']}", len(todo)) as step:
            theirs = [number for number in todo if not self._made(number, states, compute, step)]
            if theirs:
                tell(f"another process fills the feature store in {self.path}; waiting for it")
            for number in theirs:
                self._made(number, states, compute, step, patience=FOR_EVER)
        self._open(states)

    def _made(
        self, number: int, states: frozenset[int], compute: Compute, step: Callable[[], None], patience: int = 0
    ) -> bool:
        """Make a shard of each state, if it is not there; say whether that was possible, or another process does it."""
        try:
            with self._locked(f"{number:05}.lock", patience):
                for half in self._halves(number):
                    half.unlink(missing_ok=True)
                if lacking := self._missing(number, states):
                    self._write(number, lacking, compute)
                step()
                return True
        except Timeout:
            return False

    def _alone(self) -> AbstractContextManager[None]:
        """Let no other process change what is listed."""
        return self._locked("lock", FOR_EVER)

    @contextmanager
    def _locked(self, name: str, patience: int) -> Iterator[None]:
        lock = FileLock(self.path / name)
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            lock.acquire(timeout=patience)
        except Timeout:
            raise
        except OSError as error:
            raise StorageError(f"cannot use feature store {self.path}: {error.strerror}; choose another one") from error
        try:
            yield
        finally:
            lock.release()

    def _halves(self, number: int) -> list[Path]:
        """Give what is half written: while nobody is at it, what a kill left."""
        return list(self.path.glob(f".state-*-{number:05}.*.part"))

    def _sound(self, wanted: Collection[str]) -> dict[str, str]:
        """Give the shards that are listed, without those that are wanted and damaged, of which it tells."""
        note = read_note(self.path)
        if note is None:
            return {}
        bad = damaged(self.path, {name: written for name, written in note["shards"].items() if name in wanted})
        for name in bad:
            tell(f"warning: {self.path / name} is damaged; it is computed again")
        return {name: written for name, written in note["shards"].items() if name not in bad}

    def _missing(self, number: int, states: frozenset[int]) -> frozenset[int]:
        listed = self._listed()
        return frozenset(state for state in states if _name(state, number) not in listed)

    def _listed(self) -> dict[str, str]:
        return dict((read_note(self.path) or {"shards": {}})["shards"])

    def _write(self, number: int, states: frozenset[int], compute: Compute) -> None:
        """Compute the states of a run of rows, write a shard for each, and list them with their checksums."""
        run, written = self.runs[number], {}
        found = compute([self.rows.rows[row] for row in run], self.rows.names, states)
        for state in sorted(states):
            name = _name(state, number)
            save_tensors(self.path / name, {"states": torch.cat(list(found[state])).to(self.dtype)})
            written[name] = file_hash(self.path / name)
        with self._alone():
            self._note({**self._listed(), **written})

    def _note(self, shards: Mapping[str, str]) -> None:
        write_json(self.path / NOTE, {"format": FORMAT, **self.facts, "shards": dict(sorted(shards.items()))})

    def _open(self, states: frozenset[int]) -> None:
        for state in states:
            for number in range(len(self.runs)):
                path = self.path / _name(state, number)
                try:
                    with safe_open(path, "pt") as shard:
                        self._shards[state, number] = shard.get_tensor("states")
                except (OSError, SafetensorError) as error:
                    raise StorageError(f"cannot read feature store {path}: {error}; start again") from error

    def get(self, row: Row, state: int) -> Tensor | None:
        """Give one state of a row, (n, W), mapped from disk; None when it is not there."""
        number = self.rows.numbers.get(digest(row))
        if number is None or (state, self._shard_of[number]) not in self._shards:
            return None
        shard = self._shard_of[number]
        end = self.rows.ends[number] - self._begun(shard)
        return self._shards[state, shard][end - row.shape[1] : end]

    def _begun(self, shard: int) -> int:
        """Count the tokens before a shard."""
        first = self.runs[shard].start
        return self.rows.ends[first - 1] if first else 0

    def _tokens(self, shard: int) -> int:
        return self.rows.ends[self.runs[shard].stop - 1] - self._begun(shard)


def _name(state: int, shard: int) -> str:
    return f"state-{state:03}-{shard:05}.safetensors"
