"""Switches close again, also after an error, and no thread sees another's."""

import threading

import numpy as np
import pytest

from minidl.backend import default_backend, use_backend
from minidl.modes import (
    evaluation_mode,
    is_recording,
    no_grad,
    recording,
    training_mode,
    training_step,
)
from minidl.tensor import Tensor


def state():
    step = training_step()
    return is_recording(), None if step is None else step.number, default_backend().name


DEFAULT = (True, None, "cpu")

BLOCKS = {
    "no_grad": (no_grad, (False, None, "cpu")),
    "recording": (lambda: recording(False), (False, None, "cpu")),
    "training_mode": (lambda: training_mode(7), (True, 7, "cpu")),
    "use_backend": (lambda: use_backend("reference"), (True, None, "reference")),
}

EVERY_BLOCK = pytest.mark.parametrize(("block", "inside"), BLOCKS.values(), ids=BLOCKS)


@EVERY_BLOCK
def test_blocks_switch_and_close_again(block, inside):
    assert state() == DEFAULT
    with block():
        assert state() == inside
    assert state() == DEFAULT


@EVERY_BLOCK
def test_blocks_close_after_an_error(block, inside):
    with pytest.raises(KeyError), block():
        raise KeyError
    assert state() == DEFAULT


@EVERY_BLOCK
def test_blocks_are_not_seen_in_another_thread(block, inside):
    """Neither does a thread see what was opened before it started, nor does the starter see what a thread opens."""
    opened, looked = threading.Event(), threading.Event()
    seen = []

    def work():
        seen.append(state())
        with block():
            opened.set()
            looked.wait(10)
            seen.append(state())

    with block():
        thread = threading.Thread(target=work)
        thread.start()
        opened.wait(10)
    seen.append(state())
    looked.set()
    thread.join()
    assert seen == [DEFAULT, DEFAULT, inside]


def test_blocks_nest():
    with no_grad(), training_mode(3):
        with recording(True), evaluation_mode(), use_backend("reference"):
            assert state() == (True, None, "reference")
        assert state() == (False, 3, "cpu")


def test_masks_of_a_step_are_numbered():
    with training_mode(5):
        assert [training_step().next_mask() for _ in range(2)] == [(5, 0), (5, 1)]
        with evaluation_mode():
            assert training_step() is None
        assert training_step().next_mask() == (5, 2)
    with training_mode(5):
        assert training_step().next_mask() == (5, 0)


def test_no_grad_stops_recording_only_inside():
    x = Tensor(np.ones(2), requires_grad=True)
    with no_grad():
        assert not (x * 2).requires_grad
    assert (x * 2).requires_grad
