"""Arrays from the pool are ordinary arrays; their memory is used again once nobody can see it any more."""

import copy
import gc
import pickle
import threading

import numpy as np
import pytest

from minidl.ops import memory
from minidl.ops.memory import Pool, empty, zeros

LARGE = (300, 400)


@pytest.fixture
def pool(monkeypatch):
    pool = Pool()
    monkeypatch.setattr(memory, "_pool", pool)
    return pool


@pytest.fixture
def clock(monkeypatch):
    class Clock:
        now = 0.0

    monkeypatch.setattr(memory.time, "monotonic", lambda: Clock.now)
    return Clock


def address(array):
    return array.__array_interface__["data"][0]


@pytest.mark.parametrize("shape", [(), (0, 3), (5,), LARGE, (2, 3, 100, np.int64(200))])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.uint8, bool, "int32"])
def test_arrays_are_ordinary(shape, dtype, pool):
    for make in [empty, zeros]:
        array, ordinary = make(shape, dtype), np.zeros(shape, dtype)
        assert (type(array), array.shape, array.dtype, array.strides) == (
            np.ndarray, ordinary.shape, ordinary.dtype, ordinary.strides,
        )  # fmt: skip
        assert all(array.flags[name] for name in ["WRITEABLE", "C_CONTIGUOUS", "ALIGNED"])
        array[...] = ordinary
        for other in [array.copy(), copy.deepcopy(array), pickle.loads(pickle.dumps(array)), array.reshape(-1)]:
            np.testing.assert_array_equal(other.reshape(shape), ordinary)


def test_zeros_are_zeros_in_used_memory_too(pool):
    first = empty(LARGE, np.float32)
    first.fill(7)
    place = address(first)
    del first
    second = zeros(LARGE, np.float32)
    assert address(second) == place
    assert not second.any()


def test_rows_of_the_processors_cache_are_not_shared(pool):
    assert {address(empty((size, 1000), np.uint8)) % 64 for size in range(100, 120)} == {0}


def test_memory_is_used_again_when_the_last_view_is_gone(pool):
    array = empty(LARGE, np.float32)
    array.fill(1)
    place, view = address(array), array.reshape(-1)[5:].T[::2]
    del array
    other = empty(LARGE, np.float32)
    other.fill(2)
    assert address(other) != place
    assert (view == 1).all()
    del view
    assert address(empty(LARGE, np.float32)) == place


@pytest.mark.parametrize(
    ("rows", "dtype", "shares"),
    [
        (1200, np.float32, False), (1000, np.float32, True), (998, np.float32, True), (510, np.float32, True),
        (400, np.float32, False), (500, np.float64, True), (200, np.float64, False),
    ],
)  # fmt: skip
def test_memory_is_used_for_arrays_from_half_its_size(pool, rows, dtype, shares):
    place = address(empty((1000, 1000), np.float32))
    assert (address(array := empty((rows, 1000), dtype)) == place) == shares
    assert array.nbytes == rows * 1000 * np.dtype(dtype).itemsize


def test_the_smallest_memory_that_fits_is_used_and_of_these_the_last(pool):
    arrays = [empty((rows, 1000), np.float32) for rows in [1500, 1000, 1000, 1900]]
    places = [address(array) for array in arrays]
    while arrays:
        del arrays[0]  # the oldest first
    arrays = [empty((1000, 1000), np.float32) for _ in range(4)]
    assert [address(array) for array in arrays] == [places[i] for i in [2, 1, 0, 3]]


def test_small_arrays_are_left_to_numpy(pool):
    assert empty((100,), np.float32).flags.owndata
    assert pool.used_bytes == 0


def test_free_memory_is_never_more_than_was_in_use_at_once(pool):
    for size in range(1, 40):
        arrays = [empty((size, 100_000), np.uint8) for _ in range(2)]
        del arrays
        kept = empty((100_000,), np.uint8)
        free = [one.memory.nbytes for same in pool.free.values() for one in same]
        assert pool.free_bytes == sum(free) <= pool.most_used_bytes
        assert pool.most_used_bytes < 2.2 * (size + 1) * 100_000
    del kept


def test_memory_that_is_not_used_for_long_is_given_back(pool, clock):
    arrays = [empty((count, 100_000), np.uint8) for count in range(1, 9)]
    del arrays
    first = empty((100_000,), np.uint8)
    assert len(pool.free) == 7
    clock.now = memory.SECONDS_KEPT - 1
    del first
    empty((100_000,), np.uint8)
    assert len(pool.free) == 7
    clock.now = 1.2 * memory.SECONDS_KEPT
    empty((100_000,), np.uint8)
    assert not pool.free
    assert pool.free_bytes == 0


def test_release_gives_back_all_that_is_free(pool):
    kept, gone = empty(LARGE, np.float32), empty(LARGE, np.float32)
    kept.fill(3)
    del gone
    memory.release()
    assert not pool.free
    assert pool.most_used_bytes == pool.used_bytes >= kept.nbytes
    assert (kept == 3).all()


def test_python_threads_never_get_the_same_memory(pool):
    def work(number):
        for _ in range(300):
            arrays = [empty((100, 1000 + 100 * size), np.uint8) for size in range(3)]
            for array in arrays:
                array.fill(number)
            wrong.extend(array for array in arrays if not (array == number).all())

    wrong: list[np.ndarray] = []
    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    empty(LARGE, np.float32)
    assert pool.used_bytes < 2 * 4 * 300 * 400


def test_arrays_in_a_cycle_are_collected_while_the_pool_is_at_work(pool):
    """The collector may run at any time, also while the pool's lock is taken."""
    threshold = gc.get_threshold()
    gc.set_threshold(1)
    try:
        for _ in range(200):
            cycle = [empty(LARGE, np.float32)]
            cycle.append(cycle)
    finally:
        gc.set_threshold(*threshold)
    del cycle
    gc.collect()
    empty(LARGE, np.float32)
    assert pool.used_bytes <= 2 * 4.5 * 300 * 400
