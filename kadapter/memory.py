"""How much memory a stretch of work takes."""

from __future__ import annotations

import ctypes
import gc
import sys
import threading
from contextlib import suppress
from types import TracebackType

import psutil
import torch

INTERVAL = 0.02
"""Seconds between two looks at the memory of the process."""


class PeakMemory:
    """Watches the memory that is taken inside a `with`, beyond what was held when it began.

    On a GPU it is what torch allocated there; elsewhere the resident memory of the process, looked at every
    `INTERVAL` seconds: another thread's work counts too.

    Attributes:
        peak: bytes.
    """

    def __init__(self) -> None:
        self.peak = 0
        self._done = threading.Event()
        self._watcher = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> PeakMemory:
        _release()
        self._before = _held()
        if torch.cuda.is_available():
            torch.cuda.reset_peak_memory_stats()
        else:
            self._watcher.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if torch.cuda.is_available():
            self.peak = torch.cuda.max_memory_allocated() - self._before
        else:
            self._done.set()
            self._watcher.join()

    def _watch(self) -> None:
        process, done = psutil.Process(), False
        while not done:
            # One more look at the end: the stretch may be shorter than the interval.
            done = self._done.wait(INTERVAL)
            self.peak = max(self.peak, _resident(process) - self._before)


def _release() -> None:
    """Give back what is free: the C library keeps what earlier work freed, and would hand it out again unseen."""
    gc.collect()
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):  # another C library than glibc
            ctypes.CDLL(None).malloc_trim(0)


def _held() -> int:
    return torch.cuda.memory_allocated() if torch.cuda.is_available() else _resident(psutil.Process())


def _resident(process: psutil.Process) -> int:
    """Give the memory of a process without pages of files, which the system takes back when it needs them."""
    memory = process.memory_info()
    return int(memory.rss) - int(getattr(memory, "shared", 0))
