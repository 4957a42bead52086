"""CUDA: one launch for up to 96 tensors; see gpu.cu."""

from itertools import accumulate

import numpy

from minidl.backend import Array
from minidl.ops.cuda import THREADS, CudaFile, blocks, checked
from minidl.ops.optimiser_steps.numbers import adam_numbers, rmsprop_numbers

_cuda = CudaFile(__file__)
MOST_TENSORS, CHUNK = 96, 2048  # of a launch, and numbers of a tensor for a block
POINTERS = ("parameters", "gradients", "memories 0", "memories 1")
TABLE = numpy.dtype(
    [
        *((name, numpy.uint64, MOST_TENSORS) for name in POINTERS),
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


def _launch(kernel: str, lists: tuple[Arrays, ...], *numbers: float) -> None:
    for first in range(0, len(lists[0]), MOST_TENSORS):
        group = [arrays[first : first + MOST_TENSORS] for arrays in lists]
        sizes = [array.size for array in group[0]]
        ends = list(accumulate(blocks(size, CHUNK) for size in sizes))
        table = numpy.zeros(1, TABLE)
        for name, arrays in zip(POINTERS, group, strict=False):
            table[name][0, : len(arrays)] = [checked(array).data.ptr for array in arrays]
        table["sizes"][0, : len(sizes)] = sizes
        table["first_blocks"][0, : len(sizes)] = [0, *ends[:-1]]
        table["count"] = len(sizes)
        _cuda.launch(kernel, group[0][0].dtype, (ends[-1],), (THREADS,), table, *(float(number) for number in numbers))
