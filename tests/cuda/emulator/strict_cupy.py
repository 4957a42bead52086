"""Stands for the module `cupy`: NumPy's memory, CuPy's manners.

What CuPy refuses is refused here: NumPy arrays among its own, functions and methods that it lacks. What it does not
notice, but would compute nonsense from, is refused too: arguments of a kernel of another type than the kernel declares,
arrays that are not contiguous. Memory that nobody has written holds nan. RawModule runs the very same CUDA source.
"""

import functools
import sys
import types
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from emulator.program import Cost, KernelError, compile_kernel

__version__ = "14.2.0"

float32, float64, int32, int64, uint8, uint32 = np.float32, np.float64, np.int32, np.int64, np.uint8, np.uint32


def _names(section: str) -> frozenset[str]:
    text = Path(__file__).with_name("cupy_names.txt").read_text()
    return frozenset(text.split(f"[{section}]\n")[1].split("\n\n")[0].split())


_MODULE, _MEMBERS = _names("module"), _names("ndarray")


class Settings:
    """How kernels are run."""

    def __init__(self) -> None:
        self.order = "ascending"  # of the threads: ascending, descending or random
        self.traced = False
        self.costs: dict[str, list[Cost]] = {}  # by kernel, of its last traced launch
        self.reads = 0  # of the device by the host


settings = Settings()
_living: weakref.WeakValueDictionary[int, "ndarray"] = weakref.WeakValueDictionary()


class ndarray:
    """An array on the device. Nothing outside this module sees the memory but through get()."""

    __array_ufunc__ = None  # NumPy's operators leave it to ours
    __hash__ = None

    def __init__(self, host: np.ndarray[Any, Any]) -> None:
        self._host = host
        _living[id(self)] = self

    def __array__(self, *arguments: Any, **options: Any) -> Any:
        raise TypeError("Implicit conversion to a NumPy array is not allowed. Please use `.get()`")

    def __getattr__(self, name: str) -> Any:
        if name not in _MEMBERS:
            raise AttributeError(f"cupy.ndarray has no {name!r}")
        member = getattr(self._host, name)
        if name in ("sum", "max", "min", "mean"):
            member = _over_some_axis(member)
        return _on_device(member) if callable(member) else _wrapped(member)

    @property
    def __cuda_array_interface__(self) -> Any:
        return {"shape": self.shape}

    def __dlpack_device__(self) -> tuple[int, int]:
        return 2, 0  # a CUDA device, the first one

    def __dlpack__(self, *, stream: Any = None, **options: Any) -> Any:
        if stream is None:
            raise BufferError("who borrows memory of a device names the stream that is to wait for it")
        return self._host.__dlpack__()

    @property
    def data(self) -> Any:
        return types.SimpleNamespace(ptr=self._host.ctypes.data)

    def get(self) -> np.ndarray[Any, Any]:
        settings.reads += 1
        return self._host.copy()

    def item(self) -> Any:
        settings.reads += 1
        return self._host.item()

    def set(self, values: np.ndarray[Any, Any], stream: "Stream | None" = None) -> None:
        """Copy from the host; in another stream than the current one, when somebody waits for it."""
        if values.shape != self.shape or values.dtype != self.dtype:
            raise ValueError("Shape mismatch" if values.shape != self.shape else "dtype mismatch")
        (stream or _CURRENT).do(lambda: np.copyto(self._host, values))

    def astype(self, dtype: Any, copy: bool = True) -> "ndarray":
        return ndarray(self._host.astype(dtype, copy=copy))

    def __getitem__(self, key: Any) -> "ndarray":
        return _wrapped(self._host[_bare(key)])

    def __setitem__(self, key: Any, value: Any) -> None:
        self._host[_bare(key)] = _bare(value)

    def __len__(self) -> int:
        return len(self._host)

    def __iter__(self) -> Any:
        return (self[i] for i in range(len(self)))

    def __repr__(self) -> str:
        return repr(self._host)

    def __bool__(self) -> bool:
        return bool(self.item())

    def __float__(self) -> float:
        return float(self.item())

    def __int__(self) -> int:
        return int(self.item())


def _over_some_axis(reduce: Any) -> Any:
    """CuPy does not say what it does with an empty tuple of axes, so minidl must not ask."""

    def reduced(axis: Any = None, **options: Any) -> Any:
        if axis == ():
            raise ValueError("a reduction over no axis")
        return reduce(axis, **options)

    return reduced


def _operator(name: str) -> Any:
    def method(self: ndarray, *others: Any) -> Any:
        with np.errstate(all="ignore"):  # a device does not warn
            result = getattr(self._host, name)(*(_bare(other) for other in others))
        if name.startswith("__i") and name != "__invert__":
            return self
        return result if result is NotImplemented else _wrapped(result)

    return method


for _name in ["neg", "abs", "invert", "lt", "le", "gt", "ge", "eq", "ne"]:
    setattr(ndarray, f"__{_name}__", _operator(f"__{_name}__"))
for _name in ["add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "matmul", "and", "or", "xor"]:
    for _form in ["__{}__", "__r{}__", "__i{}__"]:
        setattr(ndarray, _form.format(_name), _operator(_form.format(_name)))


def _bare(value: Any) -> Any:
    """What NumPy is to compute with; NumPy arrays of the caller's are refused, as CuPy does."""
    if isinstance(value, ndarray):
        return value._host
    if isinstance(value, np.ndarray):
        raise TypeError(f"Unsupported type {type(value)}")
    if isinstance(value, list | tuple):
        return type(value)(_bare(part) for part in value)
    return value


def _wrapped(value: Any) -> Any:
    """Results come as arrays on the device, single numbers too."""
    if isinstance(value, np.ndarray | np.number | np.bool_):
        return ndarray(np.asarray(value))
    return value


def _on_device(function: Any) -> Any:
    @functools.wraps(function)
    def wrapped(*arguments: Any, **options: Any) -> Any:
        bare = [_bare(value) for value in arguments]
        with np.errstate(all="ignore"):
            return _wrapped(function(*bare, **{name: _bare(value) for name, value in options.items()}))

    if hasattr(function, "at"):
        wrapped.at = lambda array, *rest: function.at(array._host, *(_bare(value) for value in rest))
    return wrapped


def __getattr__(name: str) -> Any:
    if name not in _MODULE or not hasattr(np, name):
        raise AttributeError(f"module 'cupy' has no attribute {name!r}")
    return _on_device(getattr(np, name))


def asarray(values: Any, dtype: Any = None, order: str | None = None) -> ndarray:
    if isinstance(values, ndarray):
        host = np.asarray(values._host, dtype, order=order)
        return values if host is values._host else ndarray(host)
    return ndarray(np.array(values, dtype, order=order))


def from_dlpack(array: Any) -> ndarray:
    if array.__dlpack_device__()[0] != 2:
        raise ValueError("CuPy borrows no memory of the host")
    lender = types.SimpleNamespace(
        __dlpack__=lambda **options: array.__dlpack__(stream=1), __dlpack_device__=lambda: (1, 0)
    )
    return ndarray(np.from_dlpack(lender))


def asnumpy(array: Any) -> np.ndarray[Any, Any]:
    return array.get() if isinstance(array, ndarray) else np.asarray(array)


def empty(shape: Any, dtype: Any = float) -> ndarray:
    array = np.empty(shape, dtype)
    array.reshape(-1).view(np.uint8)[:] = 0xFF  # nan
    return ndarray(array)


def empty_like(array: ndarray) -> ndarray:
    return empty(array.shape, array.dtype)


# Kernels --------------------------------------------------------------------------------------------------------------


class RawModule:
    def __init__(self, *, code: str, options: tuple[str, ...], name_expressions: tuple[str, ...]) -> None:
        assert options == ("-std=c++17",)
        self._code, self._names = code, name_expressions

    def get_function(self, name: str) -> Any:
        if name not in self._names:
            raise KernelError(f"named symbol not found: {name}")
        return functools.partial(_launch, self._code, name)


def _launch(code: str, name: str, grid: tuple[int, ...], block: tuple[int, ...], arguments: tuple[Any, ...]) -> None:
    kernel = compile_kernel(code, name, settings.traced)
    grid, block = ((*size, 1, 1)[:3] for size in (grid, block))
    if min(*grid, *block) < 1 or np.prod(block) > 1024 or block[2] > 64 or max(grid[1:]) > 65535 or grid[0] >= 2**31:
        raise KernelError(f"{name}: CUDA_ERROR_INVALID_VALUE: grid {grid}, block {block}")
    if len(arguments) != len(kernel.signature):
        raise KernelError(f"{name}: {len(arguments)} arguments for {len(kernel.signature)} parameters")
    values = [
        _value(f"{name}, argument {number}", argument, declared)
        for number, (argument, declared) in enumerate(zip(arguments, kernel.signature, strict=True))
    ]
    reachable = [a._host for a in list(_living.values()) if a._host.size] if settings.traced else []
    costs = kernel.launch(
        grid, block, [value.ctypes.data for value in values],
        [(a.ctypes.data, a.nbytes, f"an array {a.shape}") for a in reachable if a.flags.c_contiguous], settings.order,
    )  # fmt: skip
    if settings.traced:
        settings.costs[name] = costs


def _value(what: str, argument: Any, declared: str) -> np.ndarray[Any, Any]:
    """The bytes that the kernel gets, held by an array."""
    if isinstance(argument, ndarray):
        host = argument._host
        if not declared.startswith("P"):
            raise KernelError(f"{what}: an array for a {declared}")
        if not host.flags.c_contiguous:
            raise KernelError(f"{what}: an array that is not contiguous")
        if declared[1:] != f"{host.dtype.kind}{host.itemsize}":
            raise KernelError(f"{what}: an array of {host.dtype} for a pointer to {declared[1:]}")
        return np.array(host.ctypes.data, np.uint64)
    if isinstance(argument, np.ndarray) and argument.dtype.fields is not None:  # CuPy passes its bytes on
        if declared != f"S{argument.nbytes}":
            raise KernelError(f"{what}: a struct of {argument.nbytes} bytes for a {declared}")
        return argument
    if not isinstance(argument, np.generic):
        raise KernelError(f"{what}: expected an array or a NumPy number, got {type(argument).__name__}")
    if declared != f"{argument.dtype.kind}{argument.itemsize}":
        raise KernelError(f"{what}: a {argument.dtype} for a {declared}")
    return np.asarray(argument)


# The device -----------------------------------------------------------------------------------------------------------


class Stream:
    """A queue of work. The current stream works at once, the others as late as they may: when they are waited for."""

    def __init__(self, non_blocking: bool = False) -> None:
        self.queue: list[Callable[[], None]] = []
        self.done = 0

    def do(self, work: Callable[[], None]) -> None:
        if self is _CURRENT:
            work()
        else:
            self.queue.append(work)

    def work_to(self, place: int) -> None:
        while self.done < place:
            self.queue[self.done]()
            self.done += 1

    def wait_event(self, event: "Event") -> None:
        self.do(event.synchronize)

    def synchronize(self) -> None:
        self.work_to(len(self.queue))


class Event:
    """A place in a stream's queue."""

    def __init__(self, disable_timing: bool = False) -> None:
        self.place: tuple[Stream, int] | None = None

    def record(self, stream: Stream | None = None) -> None:
        stream = stream or _CURRENT
        self.place = stream, len(stream.queue)

    def synchronize(self) -> None:
        if self.place is not None:
            stream, place = self.place
            stream.work_to(place)


_CURRENT = Stream()


class _Runtime:
    """The driver's answers."""

    CUDARuntimeError = RuntimeError

    @staticmethod
    def getDeviceCount() -> int:
        return 1

    @staticmethod
    def runtimeGetVersion() -> int:
        return 13000

    @staticmethod
    def getDeviceProperties(number: int) -> dict[str, Any]:
        return {"name": b"a stand-in for a GPU", "major": 8, "minor": 0, "totalGlobalMem": 2**34}


cuda = types.SimpleNamespace(
    Stream=Stream, Event=Event, runtime=_Runtime, get_current_stream=lambda: _CURRENT,
    alloc_pinned_memory=lambda size: bytearray(b"\xff" * size),
)  # fmt: skip


def install() -> None:
    """Be what `import cupy` finds from now on."""
    sys.modules["cupy"] = sys.modules[__name__]
    for library in ["nvrtc", "cublas"]:
        sys.modules[f"cupy_backends.cuda.libs.{library}"] = types.SimpleNamespace(getVersion=lambda: (13, 0))
