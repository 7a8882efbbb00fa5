"""What a stretch of work takes of the memory, beyond what was held before."""

import sys
import time

import pytest
import torch

from kadapter.memory import PeakMemory

SIZE = 200_000_000
pytestmark = pytest.mark.skipif(torch.cuda.is_available(), reason="looks at the memory of the GPU here")


def test_what_is_held_to_the_end_is_seen():
    with PeakMemory() as memory:
        held = b"x" * SIZE
    assert 0.9 * SIZE < memory.peak < 1.5 * SIZE
    assert len(held) == SIZE


def test_what_was_given_back_before_the_end_is_seen():
    with PeakMemory() as memory:
        held = b"x" * SIZE
        for _ in range(1000):
            if memory.peak > 0.9 * SIZE:
                break
            time.sleep(0.01)
        del held
    assert 0.9 * SIZE < memory.peak < 1.5 * SIZE


def test_what_was_held_before_does_not_count():
    held = b"x" * SIZE
    with PeakMemory() as memory:
        assert len(held) == SIZE
    assert memory.peak < 0.1 * SIZE


def test_nothing_takes_about_nothing():
    with PeakMemory() as memory:
        pass
    assert 0 <= memory.peak < 0.1 * SIZE


def test_what_is_given_back_never_counts_against_it():
    held = b"x" * SIZE
    with PeakMemory() as memory:
        del held
    assert 0 <= memory.peak < 0.1 * SIZE


def test_what_was_taken_before_an_error_is_told_too():
    memory, held = PeakMemory(), []

    def fail():
        with memory:
            held.append(b"x" * SIZE)
            raise KeyError("inside")

    with pytest.raises(KeyError, match="inside"):
        fail()
    assert memory.peak > 0.9 * SIZE


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere what is free is not given back")
def test_what_earlier_work_has_freed_is_seen_when_it_is_taken_again():
    def take():
        # In pieces that the C library keeps for later, and something behind them that holds them there.
        return [bytearray(b"x" * 10_000) for _ in range(10_000)]

    taken, held = take(), bytearray(b"x" * 10_000)
    del taken
    with PeakMemory() as memory:
        taken = take()
    assert memory.peak > 60e6
    assert len(taken) == 10_000
    assert held
