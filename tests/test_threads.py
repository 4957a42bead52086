"""set_threads() holds for the whole process, for minidl's kernels alone, and changes no result."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numba
import numpy as np
import pytest

import minidl
from minidl import BatchNorm, Chain, Conv, Dense, Dropout, MaxPool, flatten, relu, training_mode
from minidl.losses import logitcrossentropy
from minidl.ops import threads
from minidl.ops.blocks import FEW
from minidl.ops.compiling import _launched
from minidl.optimisers import Momentum

MOST = numba.config.NUMBA_NUM_THREADS
two_threads = pytest.mark.skipif(MOST < 2, reason="needs two threads")


@pytest.fixture(autouse=True)
def _numbas_choice(monkeypatch):
    monkeypatch.setattr(threads, "_chosen", None)


@pytest.fixture(scope="module")
def threads_used():
    """A kernel that says how many threads it runs on."""

    def threads_used(numbers):
        for i in numba.prange(len(numbers)):
            numbers[i] = i
        return numba.get_num_threads()

    kernel = _launched(numba.njit(parallel=True)(threads_used), serial=None)
    return lambda size=FEW + 1: kernel(np.zeros(size))


@two_threads
def test_the_number_holds_for_all_python_threads_and_only_for_our_kernels(threads_used):
    with ThreadPoolExecutor(max_workers=1) as other_thread:
        assert threads_used() == other_thread.submit(threads_used).result() == MOST
        minidl.set_threads(1)
        assert threads_used() == other_thread.submit(threads_used).result() == 1
        assert numba.get_num_threads() == other_thread.submit(numba.get_num_threads).result() == MOST
        minidl.set_threads(np.int64(2))
        assert threads_used() == other_thread.submit(threads_used).result() == 2


@two_threads
def test_until_it_is_called_numbas_number_holds(threads_used):
    try:
        numba.set_num_threads(1)
        assert threads_used() == 1
    finally:
        numba.set_num_threads(MOST)


def test_few_numbers_are_left_to_one_thread(threads_used):
    before = numba.get_num_threads()
    assert threads_used(FEW) == 1
    assert threads_used(FEW + 1) == numba.get_num_threads() == before


@pytest.mark.parametrize("count", [0, -1, MOST + 1, 1.0, "2", None, True])
def test_numbers_that_cannot_be_are_refused(count):
    with pytest.raises(ValueError, match=rf"set_threads: expected a whole number from 1 to {MOST}, got {count!r}; "):
        minidl.set_threads(count)


@two_threads
def test_a_training_step_gives_the_same_bits_for_any_number_of_threads():
    def bits(count):
        minidl.set_threads(count)
        minidl.seed(0)
        generator = np.random.default_rng(0)
        x, y = generator.random((10, 16, 16, 3), np.float32), np.eye(10, dtype=np.float32)
        model = Chain(
            Conv((3, 3), (3, 20), pad=1), BatchNorm(20, relu), MaxPool((2, 2)), Conv((3, 3), (20, 33), relu, pad=1),
            flatten, Dense(8 * 8 * 33, 50, relu), Dropout(0.5), Dense(50, 10),
        )  # fmt: skip
        optimiser = Momentum(0.1)
        for step in range(2):
            with training_mode(step):
                loss = logitcrossentropy(model(x), y)
            loss.backward()
            optimiser.step(model.params())
        return [parameter.numpy().tobytes() for parameter in model.params().values()]

    assert bits(1) == bits(2) == bits(MOST)


def run(script, **environment):
    result = subprocess.run(
        [sys.executable, "-c", script], env=os.environ | environment, capture_output=True, text=True, timeout=120
    )
    assert result.returncode == 0, result.stderr


def test_importing_minidl_leaves_the_environment_and_other_libraries_alone():
    run("""
import os, sys, threading
before = dict(os.environ)
import minidl
assert dict(os.environ) == before
assert threading.active_count() == 1
assert not {"numba", "threadpoolctl"} & set(sys.modules)
""")


@pytest.mark.parametrize("layer", ["workqueue", "default"])
def test_python_threads_may_compute_at_once(layer):
    """Numba's workqueue, which it falls back on where there is no OpenMP, aborts the process if they really do."""
    script = """
from concurrent.futures import ThreadPoolExecutor
import numpy
from minidl import Tensor
from minidl.functions import mean_pool2d
x = Tensor(numpy.random.default_rng(0).random((8, 32, 32, 16), numpy.float32))
with ThreadPoolExecutor(max_workers=4) as pool:
    results = list(pool.map(lambda _: mean_pool2d(x, 2).numpy().tobytes(), range(200)))
assert len(set(results)) == 1
"""
    run(script, NUMBA_THREADING_LAYER=layer)
