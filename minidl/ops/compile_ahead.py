"""A second process that compiles the kernels of a training step while the first one does: half the waiting time.

Numba compiles in one thread only. So when compiling begins, and there is a second processor, compiling.py starts
another Python that runs main(). It calls every kernel once with tiny arrays, in about the order in which a step comes
to them, but backwards: the two processes meet in the middle. What one of them has compiled, the other finds in the
cache (kernel_cache.py); a kernel that the first one is at, the second one leaves out. It ends with the process that
started it.
"""

import os
import sys
from collections.abc import Callable, Iterator
from threading import Thread

import numpy as np
from numpy.typing import NDArray

from minidl.ops import compiling
from minidl.ops.batch_norm import cpu as batch_norm
from minidl.ops.conv2d import cpu as conv2d
from minidl.ops.dense import cpu as dense
from minidl.ops.dropout import cpu as dropout
from minidl.ops.kernel_cache import Busy, KernelCache
from minidl.ops.max_pool2d import cpu as max_pool2d
from minidl.ops.optimiser_steps import cpu as optimiser_steps
from minidl.ops.relu import cpu as relu
from minidl.ops.softmax import cpu as softmax
from minidl.ops.softmax_cross_entropy import cpu as softmax_cross_entropy
from minidl.ops.sum import cpu as sums
from minidl.ops.threads import thread_count
from minidl.ops.windows import HALVING, make_windows

IMAGES, CHANNELS = 32, 16  # enough for Winograd's algorithm


def _ones(*shape: int) -> NDArray[np.float32]:
    return np.ones(shape, np.float32)


def kernel_calls() -> Iterator[Callable[[], object]]:
    """Calls of all kernels of VGG's training step with a usual batch, the last ones of a step first."""
    images, few = _ones(IMAGES, 4, 4, CHANNELS), _ones(IMAGES, 4, 4, 3)
    rows, channel = _ones(2, CHANNELS), _ones(CHANNELS)
    weight, first_weight, matrix = _ones(3, 3, CHANNELS, CHANNELS), _ones(3, 3, 3, CHANNELS), _ones(CHANNELS, CHANNELS)
    many_filters = _ones(3, 3, CHANNELS, 128 * thread_count())  # so many that Winograd's tasks are groups of them
    windows, choice = make_windows("conv2d", 3, 1, 1), np.zeros((IMAGES, 2, 2, CHANNELS), np.uint8)
    numbers = (channel, channel, channel)
    yield lambda: optimiser_steps.momentum([channel], [channel.copy()], [channel.copy()], 0.1, 0.9, 0.0)
    yield lambda: conv2d.weight_gradient(images, few, first_weight.shape, windows, 1)
    yield lambda: conv2d.weight_gradient(images, images, weight.shape, windows, 1)
    yield lambda: [sums.forward(_ones(*shape), 1, np.float32) for shape in ((1, 2**17, 1), (2**10, 2, 2**6))]
    yield lambda: batch_norm.gradient(images, images, *numbers, channel, True)
    yield lambda: relu.gradient_and_sums(images, images)
    yield lambda: max_pool2d.scatter(images[:, :2, :2].copy(), choice, images.shape, HALVING)
    yield lambda: dense.weight_gradient(rows, rows)
    yield lambda: dense.input_gradient(rows, matrix)
    yield lambda: dense.forward(rows, matrix, channel)
    yield lambda: relu.gradient(rows, rows)
    yield lambda: softmax.softmax(rows)
    yield lambda: softmax_cross_entropy.forward(rows, rows)
    yield lambda: dropout.apply(rows, 0.5, (0, 0, 0))
    yield lambda: relu.forward(rows)
    yield lambda: max_pool2d.forward(images, HALVING)
    yield lambda: conv2d.forward(images, many_filters, many_filters[0, 0, 0], windows, 1)
    yield lambda: conv2d.forward_relu_max_pool(images, weight, channel, windows, 1)
    yield lambda: batch_norm.normalise(images, *numbers, True)
    yield lambda: batch_norm.statistics(images)
    yield lambda: conv2d.forward(few, first_weight, channel, windows, 1)


def compile_all() -> None:
    """Call every kernel, except for those that another process compiles now."""
    for call in kernel_calls():
        try:
            call()
        except Busy:
            continue


def _end_with_the_first_process() -> None:
    sys.stdin.buffer.read()  # it ends when that process does, whatever the reason
    os._exit(0)  # nothing is lost: files are written under another name, then moved


def main() -> None:
    compiling.progress.alone = KernelCache.waits = False
    Thread(target=_end_with_the_first_process, daemon=True).start()
    compile_all()
