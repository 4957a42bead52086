"""What NumPy's functions do with tensors.

Where one of Python's operators, or of our functions, means the same, that is called, and gradients flow: np.exp(x) is
x.exp(), and array + x is add(array, x). Any other function gets the numbers of tensors that ask for no gradient, and
gives what it gives for arrays. For tensors that ask for one it is a TypeError, since the gradient would be lost.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy

from minidl import functions as F
from minidl.tensor import Tensor, attach

OURS: dict[str, Callable[..., Any]] = {
    "add": F.add, "subtract": F.subtract, "multiply": F.multiply, "divide": F.divide, "power": F.power,
    "float_power": F.power, "matmul": F.matmul, "negative": F.negative, "absolute": F.absolute, "exp": F.exp,
    "log": F.log, "sqrt": F.sqrt, "tanh": F.tanh, "maximum": F.maximum, "minimum": F.minimum,
    "equal": lambda a, b: _tensor_first(a, b, "__eq__", "__eq__"),
    "not_equal": lambda a, b: _tensor_first(a, b, "__ne__", "__ne__"),
    "less": lambda a, b: _tensor_first(a, b, "__lt__", "__gt__"),
    "less_equal": lambda a, b: _tensor_first(a, b, "__le__", "__ge__"),
    "greater": lambda a, b: _tensor_first(a, b, "__gt__", "__lt__"),
    "greater_equal": lambda a, b: _tensor_first(a, b, "__ge__", "__le__"),
}  # fmt: skip


def _tensor_first(a: Any, b: Any, method: str, turned: str) -> Any:
    """A comparison, turned round if the tensor is on its right. NumPy hands its own numbers over as arrays."""
    return getattr(a, method)(_number(b)) if isinstance(a, Tensor) else getattr(b, turned)(_number(a))


def _number(value: Any) -> Any:
    return value[()] if isinstance(value, numpy.ndarray) and value.ndim == 0 else value


def _ufunc(self: Tensor, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
    """NumPy asks for this when it is given a tensor by one of its functions of single numbers."""
    if method == "__call__" and not options and ufunc.__name__ in OURS:
        return OURS[ufunc.__name__](*inputs)
    name = ufunc.__name__ if method == "__call__" else f"{ufunc.__name__}.{method}"
    return _on_numbers(name, getattr(ufunc, method), inputs, options)


def _function(self: Tensor, function: Any, types: Any, inputs: Any, options: Any) -> Any:
    """NumPy asks for this when it is given a tensor by any other of its functions."""
    return _on_numbers(function.__name__, function, inputs, options)


def _on_numbers(name: str, function: Callable[..., Any], inputs: Any, options: dict[str, Any]) -> Any:
    if next(_tensors_in(options.get("out")), None) is not None:
        raise TypeError(f"numpy.{name}: out= cannot be a Tensor; assign what comes back, as in x[...] = result")
    if any(x.requires_grad for x in _tensors_in((inputs, options))):
        raise TypeError(f"numpy.{name}: got a Tensor that asks for its gradient, which would be lost; use minidl's own "
                        f"functions (x.mean(), minidl.functions), or give NumPy x.numpy()")  # fmt: skip
    return function(*_arrays(inputs), **_arrays(options))


def _tensors_in(thing: Any) -> Iterator[Tensor]:
    if isinstance(thing, Tensor):
        yield thing
    elif isinstance(thing, list | tuple | dict):
        for part in thing.values() if isinstance(thing, dict) else thing:
            yield from _tensors_in(part)


def _arrays(thing: Any) -> Any:
    """The same with arrays for its tensors."""
    if isinstance(thing, Tensor):
        return thing.numpy()
    if isinstance(thing, dict):
        return {key: _arrays(part) for key, part in thing.items()}
    return type(thing)(map(_arrays, thing)) if type(thing) in (list, tuple) else thing


attach(__array_ufunc__=_ufunc, __array_function__=_function)
