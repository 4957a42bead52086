"""CUDA: one launch for up to 96 tensors; see gpu.cu."""

from collections.abc import Iterator
from itertools import accumulate, groupby
from typing import Any

import numpy

from minidl.backend import Array
from minidl.modes import stop_mark
from minidl.ops.cuda import THREADS, CudaFile, blocks, checked
from minidl.ops.optimiser_steps.numbers import adam_numbers, rmsprop_numbers

_cuda = CudaFile(__file__)
MOST_TENSORS, CHUNK = 96, 2048  # of a launch, and numbers of a tensor for a block
POINTERS = ("parameters", "gradients", "memories 0", "memories 1")
TABLE = numpy.dtype(
    [
        *((name, numpy.uint64, MOST_TENSORS) for name in POINTERS),
        ("stop", numpy.uint64),
        *((name, numpy.int32, MOST_TENSORS) for name in ("sizes", "first_blocks")),
        ("count", numpy.int32),
    ],
    align=True,
)

Arrays = list[Array]


def descent(parameters: Arrays, gradients: Arrays, learning_rate: float) -> None:
    _launch("descent<T>", (parameters, gradients), learning_rate)


def momentum(
    parameters: Arrays,
    gradients: Arrays,
    velocities: Arrays,
    learning_rate: float,
    momentum: float,
    weight_decay: float,
) -> None:
    _launch("momentum<T>", (parameters, gradients, velocities), learning_rate, momentum, weight_decay)


def nesterov(parameters: Arrays, gradients: Arrays, velocities: Arrays, learning_rate: float, momentum: float) -> None:
    _launch("nesterov<T>", (parameters, gradients, velocities), learning_rate, momentum)


def rmsprop(
    parameters: Arrays, gradients: Arrays, squares: Arrays, learning_rate: float, decay: float, eps: float
) -> None:
    _launch("rmsprop<T>", (parameters, gradients, squares), *rmsprop_numbers(learning_rate, decay, eps))


def adam(
    parameters: Arrays,
    gradients: Arrays,
    means: Arrays,
    squares: Arrays,
    learning_rate: float,
    betas: tuple[float, float],
    eps: float,
    weight_decay: float,
    step: int,
) -> None:
    numbers = adam_numbers(learning_rate, betas, eps, weight_decay, step)
    _launch("adam<T>", (parameters, gradients, means, squares), *numbers)


def find_not_finite(gradients: Arrays, found: Array, step: int) -> None:
    for first, dtype, grid, table in _tables((gradients, gradients)):
        _cuda.launch("find_not_finite<T>", dtype, grid, (THREADS,), table, found, step, first + 1)


def _launch(kernel: str, lists: tuple[Arrays, ...], *numbers: float) -> None:
    for _, dtype, grid, table in _tables(lists):
        _cuda.launch(kernel, dtype, grid, (THREADS,), table, *(float(number) for number in numbers))


def _tables(lists: tuple[Arrays, ...]) -> Iterator[tuple[int, Any, tuple[int], Any]]:
    """Tables of up to 96 tensors of one dtype: the number of their first one, the dtype, and the grid of a launch."""
    first, stop = 0, stop_mark()
    for dtype, alike in groupby(array.dtype for array in lists[0]):
        end = first + len(list(alike))
        while first < end:
            last = min(first + MOST_TENSORS, end)
            group = [arrays[first:last] for arrays in lists]
            sizes = [array.size for array in group[0]]
            ends = list(accumulate(blocks(size, CHUNK) for size in sizes))
            table = numpy.zeros(1, TABLE)
            for name, arrays in zip(POINTERS, group, strict=False):
                table[name][0, : len(arrays)] = [checked(array).data.ptr for array in arrays]
            table["stop"] = 0 if stop is None else stop.data.ptr
            table["sizes"][0, : len(sizes)] = sizes
            table["first_blocks"][0, : len(sizes)] = [0, *ends[:-1]]
            table["count"] = len(sizes)
            yield first, dtype, (ends[-1],), table
            first = last
