"""DataLoader: which batches come, that only (seed, epoch, batch number) decides, and that its thread ends."""

import gc
import itertools
import threading
import time

import numpy as np
import pytest

import minidl.randomness
from minidl.data import DataLoader, RandomCrop, RandomFlip

PREFETCH = [0, 1, 2, 5]


def lists(batches):
    return [batch.tolist() for batch in batches]


def prefetching_threads():
    return [thread for thread in threading.enumerate() if thread.name == "minidl-prefetch"]


@pytest.fixture(autouse=True)
def _no_thread_is_left():
    yield
    assert not prefetching_threads()


@pytest.mark.parametrize("prefetch", PREFETCH)
@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, [[0], [1], [2], [3], [4]]),
        ({"batchsize": 2}, [[0, 1], [2, 3], [4]]),
        ({"batchsize": 2, "partial": False}, [[0, 1], [2, 3]]),
        ({"batchsize": 5, "partial": False}, [[0, 1, 2, 3, 4]]),
        ({"batchsize": 9}, [[0, 1, 2, 3, 4]]),
    ],
)
def test_cuts_the_data_into_batches(options, expected, prefetch):
    loader = DataLoader(np.arange(5), prefetch=prefetch, **options)
    assert len(loader) == len(expected)
    assert lists(loader) == expected


def test_a_tuple_of_arrays_gives_tuples_that_stay_together():
    x, y = np.arange(40).reshape(20, 2), np.arange(20)
    batches = list(DataLoader((x, y), batchsize=6, shuffle=True, seed=0))
    assert all(isinstance(batch, tuple) and len(batch) == 2 for batch in batches)
    for batch_x, batch_y in batches:
        np.testing.assert_array_equal(batch_x, x[batch_y])


def test_batches_are_copies():
    data = np.zeros(6)
    for batch in DataLoader(data, batchsize=3):
        batch += 1
    assert not data.any()


def test_shuffling_brings_every_sample_once_and_differs_from_epoch_to_epoch():
    loader = DataLoader(np.arange(100), batchsize=7, shuffle=True, seed=1)
    passes = [np.concatenate(list(loader)) for _ in range(3)]
    for order in passes:
        assert sorted(order) == list(range(100))
    assert len({order.tobytes() for order in passes}) == 3
    assert loader.epoch == 3


def test_the_order_depends_on_seed_and_epoch_only():
    def order(seed, epoch, **options):
        return np.concatenate(list(DataLoader(np.arange(50), shuffle=True, seed=seed, **options).batches(epoch)))

    np.testing.assert_array_equal(order(3, 2), order(3, 2, batchsize=8, prefetch=0))
    assert len({order(seed, epoch).tobytes() for seed in range(3) for epoch in range(3)}) == 9


def test_without_a_seed_it_follows_the_frameworks():
    before = minidl.randomness.current_seed()
    try:
        loader = DataLoader(np.arange(50), batchsize=50, shuffle=True)
        for seed in (5, 6):
            minidl.randomness.seed(seed)
            expected = DataLoader(np.arange(50), batchsize=50, shuffle=True, seed=seed).batches(4)
            assert lists(loader.batches(4)) == lists(expected)
    finally:
        minidl.randomness.seed(before)


@pytest.mark.parametrize("prefetch", PREFETCH)
def test_going_on_in_the_middle_of_an_epoch_is_bit_identical(prefetch):
    images = np.random.default_rng(0).random((50, 8, 8, 3), np.float32)
    data = (images, np.arange(50))
    options = {"batchsize": 8, "shuffle": True, "seed": 2, "augment": [RandomCrop(2), RandomFlip()]}
    whole = DataLoader(data, prefetch=2, **options)
    list(whole), list(whole)
    expected = list(whole)  # epoch 2
    resumed = DataLoader(data, prefetch=prefetch, **options)
    for start in (0, 3, len(resumed)):
        rest = list(resumed.batches(2, start))
        assert len(rest) == len(resumed) - start
        for batch, other in zip(rest, expected[start:], strict=True):
            for part, other_part in zip(batch, other, strict=True):
                np.testing.assert_array_equal(part, other_part, strict=True)
    assert resumed.epoch == 0
    resumed.epoch = 2
    np.testing.assert_array_equal(next(iter(resumed))[0], expected[0][0])
    assert resumed.epoch == 3


def test_augmentation_changes_the_first_array_only_and_anew_in_every_batch_and_epoch():
    def noise(images, generator):
        return images + generator.random(images.shape)

    data = np.zeros((6, 4))
    loader = DataLoader((data, data), batchsize=3, seed=0, augment=[noise])
    batches = [batch for _ in range(2) for batch in loader]
    assert len({x.tobytes() for x, _ in batches}) == 4
    assert not any(y.any() for _, y in batches)


def test_augmentation_steps_apply_in_order():
    loader = DataLoader(np.ones(4), batchsize=4, augment=[lambda x, _: x + 1, lambda x, _: x * 10])
    assert lists(loader) == [[20, 20, 20, 20]]


def test_prefetching_works_ahead_but_not_further_than_told():
    made = []
    loader = DataLoader(np.arange(20), augment=[lambda x, _: made.append(1) or x], prefetch=3)
    batches = iter(loader)
    assert not prefetching_threads()  # nothing starts before the first batch is asked for
    next(batches)
    deadline = time.monotonic() + 5
    while len(made) < 5 and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.05)
    assert len(made) == 5  # one handed over, three waiting, one in the thread's hands
    batches.close()


@pytest.mark.parametrize("prefetch", PREFETCH)
def test_an_error_while_making_a_batch_reaches_the_consumer_in_its_place(prefetch):
    def fail_at_three(x, _):
        if x[0] == 3:
            raise ZeroDivisionError("three")
        return x

    seen = []
    loader = DataLoader(np.arange(9), augment=[fail_at_three], prefetch=prefetch)
    with pytest.raises(ZeroDivisionError, match="three"):
        seen.extend(batch[0] for batch in loader)
    assert seen == [0, 1, 2]


def leave_by_break(loader):
    for _ in loader:
        break


def leave_by_exception(loader):
    try:
        for _ in loader:
            raise KeyError
    except KeyError:
        pass


def leave_by_dropping(loader):
    batches = iter(loader)
    next(batches)
    del batches
    gc.collect()


def leave_before_the_first_batch(loader):
    iter(loader)


def leave_to_a_second_pass(loader):
    list(itertools.islice(loader, 2))
    list(loader)


@pytest.mark.parametrize("slow", [0, 0.01])
@pytest.mark.parametrize(
    "leave",
    [leave_by_break, leave_by_exception, leave_by_dropping, leave_before_the_first_batch, leave_to_a_second_pass],
)
def test_the_thread_ends_when_the_consumer_leaves(leave, slow):
    leave(DataLoader(np.arange(12), augment=[lambda x, _: time.sleep(slow) or x], prefetch=1))
    assert not prefetching_threads()


@pytest.mark.parametrize(
    ("data", "options", "error", "message"),
    [
        ((np.zeros(3), np.zeros(4)), {}, ValueError, r"equal length, got lengths \[3, 4\]"),
        (np.zeros((0, 3)), {}, ValueError, "at least one sample, got none"),
        ((), {}, ValueError, "at least one sample, got none"),
        ([1, 2], {}, TypeError, r"got a list.*\.arrays\(\)"),
        (np.array(1.0), {}, TypeError, r"one of shape \(\)"),
        (np.zeros(3), {"batchsize": 0}, ValueError, "batchsize of at least 1, got 0"),
        (np.zeros(3), {"batchsize": 4, "partial": False}, ValueError, "no batch would come: 3 samples .* of 4"),
        (np.zeros(3), {"seed": -1}, ValueError, "seed of 0 or more, got -1"),
        (np.zeros(3), {"prefetch": -1}, ValueError, "prefetch to be 0 batches or more, got -1"),
        (np.zeros(3), {"augment": RandomFlip()}, TypeError, r"augment=\[RandomFlip\(\)\]"),
    ],
)
def test_refuses(data, options, error, message):
    with pytest.raises(error, match=message):
        DataLoader(data, **options)


@pytest.mark.parametrize(
    ("epoch", "start", "message"), [(-1, 0, "epoch of 0 or more"), (0, 4, "0 to 3, got 4"), (0, -1, "0 to 3, got -1")]
)
def test_refuses_batches_that_do_not_exist(epoch, start, message):
    with pytest.raises(ValueError, match=message):
        DataLoader(np.zeros(3)).batches(epoch, start)


@pytest.mark.parametrize("step", [lambda x, _: None, lambda x, _: x[:1]])
def test_refuses_an_augmentation_step_that_loses_images(step):
    with pytest.raises(ValueError, match="expected 2 images back"):
        next(iter(DataLoader(np.zeros((4, 2)), batchsize=2, augment=[step])))
