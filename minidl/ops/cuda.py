"""Compile the gpu.cu files and launch their kernels: the only user of CuPy's compiler.

A kernel is compiled when it is first launched, for the float type it is launched with; CuPy keeps the result on disk.
"""

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import cupy
import numpy

FOLDER = Path(__file__).parent
THREADS = 256  # of a block, where each number has a thread of its own
MOST_BLOCKS = 4096  # more than run at once on any card; a thread then takes several numbers
MOST_NUMBERS = 2**30  # of an array: kernels count in 32 bits, and one step beyond the end must not overflow

C_TYPES = {"float32": "float", "float64": "double", "uint8": "unsigned char", "uint32": "unsigned int"}

empty = cupy.empty
empty_like = cupy.empty_like
matmul = cupy.matmul


class CudaFile:
    """The kernels in the gpu.cu beside a gpu.py: `CudaFile(__file__)`."""

    def __init__(self, gpu_py: str) -> None:
        self.path = Path(gpu_py).with_suffix(".cu")

    def launch(
        self,
        kernel: str,
        dtype: numpy.dtype[Any],
        grid: tuple[int, ...],
        block: tuple[int, ...],
        *arguments: Any,
    ) -> None:
        """Run a kernel such as "forward<T>", T being the C++ name of `dtype`. Nothing happens for an empty grid.

        Whole numbers arrive as int, floats as T, NumPy's numbers as what they are, and a tuple of whole numbers as a
        struct of ints.
        """
        if 0 not in grid:
            function = _compiled(self.path, re.sub(r"\bT\b", C_TYPES[dtype.name], kernel))
            function(grid, block, tuple(_argument(value, dtype) for value in arguments))

    def launch_each(self, kernel: str, dtype: numpy.dtype[Any], count: int, *arguments: Any) -> None:
        """launch() with a thread for each of `count` numbers; the kernel's last argument is the count."""
        grid = min(blocks(count, THREADS), MOST_BLOCKS)
        self.launch(kernel, dtype, (grid,), (THREADS,), *arguments, count)


def blocks(count: int, size: int) -> int:
    """How many blocks of `size` hold `count` things."""
    return -(-count // size)


def flags(*values: bool) -> str:
    """Arguments of a C++ template: "true, false"."""
    return ", ".join(str(value).lower() for value in values)


@cache
def _compiled(path: Path, expression: str) -> Any:
    module = cupy.RawModule(code=source(path), options=("-std=c++17",), name_expressions=(expression,))
    return module.get_function(expression)


def source(path: Path) -> str:
    """The text of a .cu file with the files that it includes in their places.

    CuPy finds a compiled kernel again by its text, and would not notice a change of an included file.
    """
    return "\n".join(_lines(path, set()))


def _lines(path: Path, seen: set[str]) -> Iterator[str]:
    yield f'#line 1 "{path.parent.name}/{path.name}"'
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        included = re.fullmatch(r'#include "(.+)"', line)
        if included is None:
            yield line
        elif included[1] not in seen:
            seen.add(included[1])
            yield from _lines(FOLDER / included[1], seen)
            yield f'#line {number + 1} "{path.parent.name}/{path.name}"'


def _argument(value: Any, dtype: numpy.dtype[Any]) -> Any:
    """A value in the form in which CuPy hands it to a kernel that declares an int, a T, a struct or a pointer."""
    if isinstance(value, cupy.ndarray):
        return checked(value)
    if isinstance(value, tuple):
        return numpy.array([tuple(value)], _struct_of_ints(len(value)))  # CuPy hands its bytes to the kernel
    if isinstance(value, numpy.ndarray) and value.dtype.fields is None:
        raise TypeError("gpu: expected an array on the GPU, got a NumPy array; move it with .to('gpu')")
    if isinstance(value, bool):
        return numpy.bool_(value)
    if isinstance(value, int):
        return numpy.int32(value)
    return dtype.type(value) if isinstance(value, float) else value


def checked(array: Any) -> Any:
    """An array as kernels rely on it: in C order, and not too large. CuPy would pass on any."""
    if array.size > MOST_NUMBERS:
        raise ValueError(f"gpu: expected arrays of at most {MOST_NUMBERS:,} numbers, got {array.size:,}; "
                         f"use a smaller batch")  # fmt: skip
    if not array.flags.c_contiguous:
        raise ValueError(f"gpu: expected an array in C order, got one of shape {array.shape} and strides "
                         f"{array.strides}; copy it")  # fmt: skip
    return array


@cache
def _struct_of_ints(length: int) -> numpy.dtype[Any]:
    return numpy.dtype([(f"field_{number}", numpy.int32) for number in range(length)])
