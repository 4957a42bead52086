"""The autograd engine: a tensor is an array plus the memory of how it was computed.

A function computes its result with arrays and hands it to record() together with its inputs and a nested
`backward(dy)`, which turns the gradient of the result into one gradient for each input:

    def multiply(a, b):
        def backward(dy):
            return dy * b, dy * a
        return record(a.array * b.array, (a, b), backward)

backward() and grad() walk from an output back to where it came from and call these functions on the way. Because
`backward` is itself written with such functions, gradients can be differentiated again: all it takes is to record the
walk back (`create_graph=True`).
"""

from __future__ import annotations

import copy
import numbers
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import is_dataclass
from functools import partial
from types import FunctionType, SimpleNamespace
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy

from minidl.backend import Array, Backend, default_backend, get_backend, ieee
from minidl.modes import is_recording, recording


class Tensor:
    """An array on a backend, which may ask for its gradient.

    `array` may be a list, a number (both become float32), or a NumPy or CuPy array, whose dtype is kept; an array that
    is on the backend already is not copied, so the tensor shares its memory. `grad` is filled by backward() and is
    None before; only tensors made by hand (not computed) have it.
    """

    __slots__ = (
        "__weakref__", "_array", "_backward", "_captured", "_inputs", "_keeps_result", "_op", "backend", "grad",
        "requires_grad", "version",
    )  # fmt: skip
    __hash__ = object.__hash__  # a tensor is a key by what it is, not by its numbers, although == compares those

    def __init__(
        self,
        array: object,
        backend: str | Backend | None = None,
        requires_grad: bool = False,
        dtype: object = None,
    ) -> None:
        if backend is None:
            backend = default_backend()
        self.backend = get_backend(backend) if isinstance(backend, str) else backend
        if type(array) is not numpy.ndarray:
            check_numbers(array)
            if dtype is None and not hasattr(array, "dtype"):
                dtype = numpy.float32
        elif array.dtype.kind not in NUMBERS:
            check_numbers(array)
        self._array = self.backend.asarray(array, dtype)
        if requires_grad and self._array.dtype not in FLOATS:
            raise TypeError(f"Tensor: only float32 and float64 can have a gradient, got {self._array.dtype}")
        self.version = 0  # counts changes of the array, so that backward() can tell when it is too late
        self.requires_grad = requires_grad
        self.grad: Tensor | None = None
        self._inputs: tuple[Tensor, ...] = ()
        self._backward: Backward | None = None
        self._op: str | None = None
        self._captured: tuple[tuple[Tensor, int], ...] = ()
        self._keeps_result = False

    @property
    def array(self) -> Array:
        """The numbers. Assign to it (`x.array = ...`, `x.array += ...`) or to `x[...]` to change them.

        backward() notices such a change. It cannot notice one inside the array, `x.array[0] = ...`, nor in an array
        that the tensor was made of and shares memory with: after these, gradients of earlier results are wrong.
        """
        return self._array

    @array.setter
    def array(self, array: object) -> None:
        self._array = self.backend.asarray(array)
        self.version += 1

    @property
    def shape(self) -> tuple[int, ...]:
        """How many numbers along each axis."""
        return self._array.shape  # type: ignore[no-any-return]

    @property
    def dtype(self) -> numpy.dtype[Any]:
        """float32 or float64, or what the array had; bool for comparisons."""
        return self._array.dtype  # type: ignore[no-any-return]

    @property
    def ndim(self) -> int:
        """How many axes."""
        return self._array.ndim  # type: ignore[no-any-return]

    @property
    def size(self) -> int:
        """How many numbers in all."""
        return self._array.size  # type: ignore[no-any-return]

    def __len__(self) -> int:
        return len(self._array)

    def __bool__(self) -> bool:
        """For `if loss < 1:`. ValueError for more than one number, where all or any of them could be meant."""
        return bool(self._array)

    def __float__(self) -> float:
        return float(self.item())

    def __int__(self) -> int:
        return int(self.item())

    def __format__(self, form: str) -> str:
        """For f"{loss:.3f}": the only number inside, or all of repr() when no form is given."""
        return format(self.item(), form) if form else str(self)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> numpy.ndarray[Any, Any]:
        """What NumPy's functions see when they are given a tensor: its numbers, without its history."""
        return numpy.array(self.numpy(), dtype, copy=copy)

    def __dlpack__(self, **options: Any) -> Any:
        """What torch.from_dlpack(x) and its like ask for: the very same memory, without history."""
        return self._array.__dlpack__(**options)

    def __dlpack_device__(self) -> tuple[int, int]:
        return self._array.__dlpack_device__()  # type: ignore[no-any-return]

    def numpy(self) -> numpy.ndarray[Any, Any]:
        """The numbers as a NumPy array (the very same memory on CPU backends)."""
        return get_backend("cpu").asarray(self._array)  # type: ignore[no-any-return]

    def item(self) -> float:
        """The only number inside, as a Python number; ValueError when there are more, or none."""
        if self.size != 1:
            raise ValueError(f"item: expected a tensor with one number, got shape {self.shape}")
        return self._array.item()  # type: ignore[no-any-return]

    def detach(self) -> Tensor:
        """A copy of the numbers, without their history."""
        return Tensor(self._array.copy(), self.backend)

    def to(self, backend: str | Backend | None = None, dtype: object = None) -> Tensor:
        """A copy on another backend or with another float type. Gradients flow back through the move."""
        home, old_dtype = self.backend, self.dtype
        target = home if backend is None else get_backend(backend) if isinstance(backend, str) else backend

        def backward(dy: Tensor) -> tuple[Tensor]:
            return (dy.to(home, old_dtype),)

        array = target.asarray(self._array, dtype)
        if self.requires_grad and is_recording() and array.dtype not in FLOATS:
            raise TypeError(f"to: a tensor that requires a gradient can become float32 or float64, not {array.dtype}; "
                            f"use .detach() first")  # fmt: skip
        return record(array.copy() if array is self._array else array, (self,), backward, target)

    def backward(self, gradient: Tensor | None = None, create_graph: bool = False) -> None:
        """Add d(self)/d(leaf) to `leaf.grad` for every leaf that requires it.

        The history is used up on the way, so that memory is freed as early as possible. A tensor of more than one
        number needs the gradient of the final result with respect to it, `gradient`, of its own shape.
        """
        for leaf, dx in _walk_back(self, _start(self, gradient), None, create_graph):
            leaf.grad = dx if leaf.grad is None else leaf.grad + dx

    def __copy__(self) -> Tensor:
        return self.__deepcopy__({})

    def __deepcopy__(self, memo: dict[int, Any]) -> Tensor:
        """What copy.copy() and copy.deepcopy() give: a tensor with numbers of its own, and `grad` with it.

        It has no history: the copy of a computed tensor asks for no gradient, like detach()'s.
        """
        return _restored(self._array.copy(), self.backend, self._is_leaf, copy.deepcopy(self.grad, memo))

    def __reduce__(self) -> tuple[Any, ...]:
        """What pickle keeps: the same, with the numbers as a NumPy array."""
        return _restored, (self.numpy(), self.backend, self._is_leaf, self.grad)

    @property
    def _is_leaf(self) -> bool:
        """Whether it asks for its gradient and was made by hand."""
        return self.requires_grad and self._op is None

    def __del__(self) -> None:
        if getattr(self, "_inputs", ()):
            _take_apart(self)

    def __repr__(self) -> str:
        numbers_, shortened = _shown(self.numpy())
        shape = f", shape={self.shape}" if shortened else ""
        gradient = ", requires_grad=True" if self.requires_grad else ""
        return f"Tensor({numbers_}{shape}, {self.backend.name!r}, {self.dtype}{gradient})"

    if TYPE_CHECKING:  # written in minidl/ops/, where attach() makes them Python's operators and methods of tensors

        def __add__(self, other: Operand) -> Tensor: ...
        def __radd__(self, other: Operand) -> Tensor: ...
        def __sub__(self, other: Operand) -> Tensor: ...
        def __rsub__(self, other: Operand) -> Tensor: ...
        def __mul__(self, other: Operand) -> Tensor: ...
        def __rmul__(self, other: Operand) -> Tensor: ...
        def __truediv__(self, other: Operand) -> Tensor: ...
        def __rtruediv__(self, other: Operand) -> Tensor: ...
        def __pow__(self, exponent: Operand) -> Tensor: ...
        def __rpow__(self, base: Operand) -> Tensor: ...
        def __matmul__(self, other: Operand) -> Tensor: ...
        def __rmatmul__(self, other: Operand) -> Tensor: ...
        def __neg__(self) -> Tensor: ...
        def __abs__(self) -> Tensor: ...
        def __eq__(self, other: object) -> Tensor: ...  # type: ignore[override]
        def __ne__(self, other: object) -> Tensor: ...  # type: ignore[override]
        def __lt__(self, other: Operand) -> Tensor: ...
        def __le__(self, other: Operand) -> Tensor: ...
        def __gt__(self, other: Operand) -> Tensor: ...
        def __ge__(self, other: Operand) -> Tensor: ...
        def __getitem__(self, key: Any) -> Tensor: ...
        def __setitem__(self, key: Any, value: Operand) -> None: ...
        def exp(self) -> Tensor: ...
        def log(self) -> Tensor: ...
        def sqrt(self) -> Tensor: ...
        def reshape(self, *shape: int | Sequence[int]) -> Tensor: ...
        def transpose(self, *axes: int | Sequence[int]) -> Tensor: ...
        def sum(self, axis: Axis = None, keepdims: bool = False) -> Tensor: ...
        def mean(self, axis: Axis = None, keepdims: bool = False) -> Tensor: ...
        def var(self, axis: Axis = None, keepdims: bool = False) -> Tensor: ...
        def max(self, axis: Axis = None, keepdims: bool = False) -> Tensor: ...
        def min(self, axis: Axis = None, keepdims: bool = False) -> Tensor: ...

        # written in minidl/displays.py
        def graph(self, names: Any = None) -> Any: ...


def check_numbers(array: object) -> None:
    """TypeError, or ValueError for uneven rows, unless this is numbers, of which none would be lost in a tensor."""
    if isinstance(array, Tensor):
        raise TypeError("Tensor: expected an array, got a Tensor; use its .to() to move it or .detach() to copy it")
    if isinstance(array, numpy.ma.MaskedArray):
        raise TypeError("Tensor: expected an array, got a masked array; say what its gaps are with .filled(value)")
    kind = getattr(getattr(array, "dtype", None), "kind", NUMBERS)
    if kind not in NUMBERS:
        raise TypeError(f"Tensor: expected numbers, got an array of {array.dtype}; "  # type: ignore[attr-defined]
                        f"convert it, with .astype('float32') say")  # fmt: skip
    if isinstance(array, list | tuple):
        _check_list(array)
    elif (
        not isinstance(array, numbers.Real | numpy.generic | Sequence)
        and not hasattr(array, "__array__")
        and not hasattr(array, "__cuda_array_interface__")
    ) or isinstance(array, str | bytes):
        raise TypeError(f"Tensor: expected numbers, a list or an array of them, got {_short(array)}")


def _check_list(rows: Sequence[object]) -> None:
    for row in rows if not set(map(type, rows)) <= {float, int} else ():
        if isinstance(row, Tensor):
            if row.requires_grad:
                raise TypeError("Tensor: expected numbers, got a list with a Tensor that asks for its gradient, which "
                                "would be lost; use stack() or concatenate(), or .detach() them")  # fmt: skip
        else:
            check_numbers(row)
    if len({_length(row) for row in rows}) > 1:
        raise ValueError("Tensor: expected rows of one length, got a list with others")


def _length(row: Any) -> int:
    return len(row) if getattr(row, "ndim", isinstance(row, Sequence)) else -1


def _short(thing: object) -> str:
    text = repr(thing)
    return f"a {type(thing).__name__}: {text if len(text) < 40 else text[:36] + '...'}"


def _shown(array: numpy.ndarray[Any, Any]) -> tuple[str, bool]:
    """The numbers of an array in less than 30 lines, and whether some are left out."""
    for threshold, edge in ((20, 3), (0, 3), (0, 2), (0, 1)):
        text = numpy.array2string(
            array, precision=4, threshold=threshold, edgeitems=edge, separator=", ", prefix="Tensor("
        )
        if text.count("\n") < LINES:
            return text, "..." in text or array.size == 0
    return _shown(array.reshape(-1))[0], True


def _restored(array: Array, backend: Backend, requires_grad: bool, grad: Tensor | None) -> Tensor:
    x = Tensor(array, backend, requires_grad)
    x.grad = grad
    return x


Backward: TypeAlias = Callable[[Tensor], tuple[Tensor | None, ...]]  # from dy to one gradient per input
Operand: TypeAlias = Tensor | Array | float  # what functions take; minidl/operands.py makes tensors of them
Axis: TypeAlias = int | Sequence[int] | None
LINES = 28  # that print() shows of a tensor, at most
NUMBERS = "biuf"  # the kinds of dtypes that a tensor can hold: booleans, whole numbers and floats
FLOATS = (numpy.dtype(numpy.float32), numpy.dtype(numpy.float64))  # what can be computed with and have gradients


class _Dropped(threading.local):
    """The histories of tensors that nobody refers to any more, in this thread."""

    def __init__(self) -> None:
        self.waiting: list[object] = []
        self.busy = False


_dropped = _Dropped()


def _take_apart(node: Tensor) -> None:
    """Let go of a dropped tensor's history in a loop: Python alone would go down a deep graph by recursion."""
    _dropped.waiting.append((node._inputs, node._captured, node._backward))
    node._inputs, node._captured, node._backward = (), (), None
    if not _dropped.busy:
        _dropped.busy = True
        while _dropped.waiting:
            _dropped.waiting.pop()  # drops more tensors, which then wait in this list
        _dropped.busy = False


def attach(**methods: Callable[..., Any]) -> None:
    """Give tensors operators and methods: attach(__add__=add)."""
    for name, function in methods.items():
        setattr(Tensor, name, function)


def grad(output: Tensor, inputs: Tensor | Sequence[Tensor], create_graph: bool = False) -> tuple[Tensor, ...]:
    """d(output)/d(input) for each input, zeros where the output does not depend on it; `.grad` is left alone.

    `output` holds one number. With create_graph=True the gradients have a history of their own and can be
    differentiated again, and the history of `output` is kept; without it, it is used up.
    """
    inputs = [inputs] if isinstance(inputs, Tensor) else list(inputs)
    for position, x in enumerate(inputs):
        if not x.requires_grad:
            raise ValueError(f"grad: input {position} does not require a gradient; make it with requires_grad=True")
    found = {id(x): dx for x, dx in _walk_back(output, _start(output, None), inputs, create_graph)}
    return tuple(found[id(x)] if id(x) in found else _zeros_like(x) for x in inputs)


def record(
    array: Array,
    inputs: tuple[Tensor, ...],
    backward: Backward,
    backend: Backend | None = None,
    name: str | None = None,
) -> Tensor:
    """The tensor that a function returns; `name` is the function's, by default that of the one around `backward`.

    `backward(dy)` gives one gradient per input, in order (None for an input that needs none). It must not capture the
    returned tensor: without that cycle, memory is freed by reference counting. It captures the tensors whose numbers
    it still needs, and `array` itself if it needs that; backward() refuses to run once one of them has been changed,
    one in a list, tuple, dict, set or partial(), or one that a function it calls has captured, included.
    That holds only as long as `array` shares no memory with another tensor: a view must be copied.
    """
    y = Tensor(array, backend or inputs[0].backend)
    if is_recording() and any(x.requires_grad for x in inputs):
        y.requires_grad, y._inputs, y._backward, y._op = True, inputs, backward, name or _name(backward)
        captured = _captured(y._op, backward)
        for thing in captured:
            if type(thing) not in PLAIN and not (isinstance(thing, tuple) and SINGLE.issuperset(map(type, thing))):
                captured = list(_inside(captured, set()))
                break
        y._captured = tuple((x, x.version) for x in captured if isinstance(x, Tensor))
        y._keeps_result = any(thing is y._array for thing in captured)
    return y


def _name(backward: Backward) -> str:
    """'conv2d' from conv2d.<locals>.backward."""
    return backward.__qualname__.rsplit(".<locals>", 1)[0].split(".")[-1]


def _captured(op: str, backward: Backward) -> list[object]:
    try:
        return [cell.cell_contents for cell in backward.__closure__ or ()]
    except ValueError:  # an empty cell
        raise RuntimeError(f"{op}: its backward uses a variable that has no value yet, such as the result of the "
                           f"function; it must compute that again") from None  # fmt: skip


SINGLE = {int, float, bool, str, type(None)}
PLAIN = {*SINGLE, numpy.ndarray, Tensor, Backend}  # what has no other tensors inside


def _inside(thing: object, seen: set[int]) -> Iterator[object]:
    """What backward captured, and what is inside of it."""
    if id(thing) in seen:
        return
    seen.add(id(thing))
    inner: Iterable[object] = ()
    if isinstance(thing, dict):
        inner = thing.values()
    elif isinstance(thing, (tuple, list, set, frozenset)):
        inner = thing
    elif isinstance(thing, partial):
        inner = (thing.func, *thing.args, *thing.keywords.values())
    elif isinstance(thing, SimpleNamespace) or (is_dataclass(thing) and not isinstance(thing, type | Backend)):
        inner = vars(thing).values()
    elif isinstance(thing, FunctionType):
        inner = (*_cells(thing), *(thing.__defaults__ or ()))
    else:
        yield thing
    for part in inner:
        yield from _inside(part, seen)


def _cells(function: FunctionType) -> list[object]:
    """What a function has captured, as far as it has a value by now."""
    found = []
    for cell in function.__closure__ or ():
        with suppress(ValueError):
            found.append(cell.cell_contents)
    return found


def op_name(x: Tensor) -> str | None:
    """The function that computed x, such as "conv2d"; None when that was not recorded."""
    return x._op


def inputs_of(x: Tensor) -> tuple[Tensor, ...]:
    """What that function was given; nothing when it was not recorded, or when the history has been used up."""
    return x._inputs


def _start(output: Tensor, gradient: Tensor | None) -> Tensor:
    """The gradient that the walk back starts with: 1, or what the caller gave."""
    if not output.requires_grad:
        raise ValueError("backward: the output was computed from nothing that requires a gradient, or inside no_grad()")
    if gradient is None:
        if output.size != 1:
            raise ValueError(f"backward: expected an output with one number, got shape {output.shape}; sum it, "
                             f"or call .backward(gradient) with a gradient of that shape")  # fmt: skip
        return Tensor(output.backend.xp.ones_like(output.array), output.backend)
    if gradient.shape != output.shape or gradient.dtype != output.dtype or gradient.backend is not output.backend:
        raise ValueError(f"backward: expected a gradient {_describe(output)}, got {_describe(gradient)}")
    return gradient


def _walk_back(
    output: Tensor, dy: Tensor, inputs: Sequence[Tensor] | None, create_graph: bool
) -> Iterable[tuple[Tensor, Tensor]]:
    """Each wanted tensor with its gradient: the tensors in `inputs`, or all leaves when that is None."""
    order = _inputs_first(output)
    useful = None if inputs is None else _leading_to(inputs, order)
    wanted = set() if inputs is None else {id(x) for x in inputs}
    gradients: dict[int, Tensor] = {id(output): dy}
    found, given = [], {id(dy): dy}  # kept, so that no later tensor gets its id
    with recording(create_graph):
        while order:
            node = order.pop()  # after everything that was computed from it, so its gradient is complete
            if id(node) not in gradients:
                continue
            dy = gradients.pop(id(node))
            if id(node) in wanted or (inputs is None and node._backward is None):
                # One gradient may belong to several tensors, as in a + b; changing one's must not change the other's
                found.append((node, dy.to() if id(dy) in given else dy))
                given[id(dy)] = dy
            if node._backward is None or (useful is not None and all(id(x) not in useful for x in node._inputs)):
                continue  # nothing wanted lies behind it, so its history stays for another walk
            _check_unchanged(node)
            op, sources, backward = node._op, node._inputs, node._backward
            if not create_graph:
                node._inputs, node._captured, node._backward = (), (), _used_up
            for x, dx in zip(sources, _gradients(op, backward, dy, len(sources)), strict=True):
                if not x.requires_grad or (useful is not None and id(x) not in useful):
                    continue
                dx = _checked_gradient(op, x, dx)
                gradients[id(x)] = gradients[id(x)] + dx if id(x) in gradients else dx
    return found


def _inputs_first(output: Tensor) -> list[Tensor]:
    """Every tensor that `output` depends on, each one after its own inputs. A loop: depth costs no recursion."""
    order: list[Tensor] = []
    seen: set[int] = set()
    stack = [(output, False)]
    while stack:
        node, inputs_done = stack.pop()
        if inputs_done:
            order.append(node)
        elif id(node) not in seen:
            seen.add(id(node))
            if node._backward is _used_up:
                raise RuntimeError("backward: this history was used up by an earlier backward() or grad(); compute "
                                   "the output again, or keep it with create_graph=True")  # fmt: skip
            stack.append((node, True))
            stack.extend((x, False) for x in node._inputs if x.requires_grad)
    return order


def _leading_to(inputs: Sequence[Tensor], order: list[Tensor]) -> set[int]:
    """Those of `order` (inputs first) that are, or were computed from, one of `inputs`."""
    useful = {id(x) for x in inputs}
    for node in order:
        if any(id(x) in useful for x in node._inputs):
            useful.add(id(node))
    return useful


def _used_up(dy: Tensor) -> tuple[Tensor | None, ...]:
    raise AssertionError("never called: _inputs_first() refuses a history that was used up")


def _check_unchanged(node: Tensor) -> None:
    for x, version in node._captured:
        if x.version != version:
            raise RuntimeError(
                f"{op_name(node)}: an input of shape {x.shape} was changed in place after it was used, so the gradient "
                f"would be wrong; call backward() before changing it, or change a copy"
            )
    if node._keeps_result and node.version:
        raise RuntimeError(
            f"{op_name(node)}: its result of shape {node.shape} was changed in place, so the gradient would be wrong; "
            f"call backward() before changing it, or change a copy"
        )


@ieee
def _gradients(op: str | None, backward: Backward, dy: Tensor, expected: int) -> tuple[Tensor | None, ...]:
    gradients = backward(dy)
    if not isinstance(gradients, tuple) or len(gradients) != expected:
        came = f"{len(gradients)} gradients" if isinstance(gradients, tuple) else f"a {type(gradients).__name__}"
        raise RuntimeError(f"{op}: expected its backward to return a tuple of {expected}, got {came}")
    return gradients


def _checked_gradient(op: str | None, x: Tensor, dx: Tensor | None) -> Tensor:
    if dx is None or dx.shape != x.shape or dx.dtype != x.dtype or dx.backend is not x.backend:
        got = "nothing" if dx is None else _describe(dx)
        raise RuntimeError(f"{op}: its backward gave {got} for an input {_describe(x)}")
    return dx


def _describe(x: Tensor) -> str:
    return f"of shape {x.shape}, {x.dtype} on {x.backend.name!r}"


def _zeros_like(x: Tensor) -> Tensor:
    return Tensor(x.backend.xp.zeros_like(x.array), x.backend)
