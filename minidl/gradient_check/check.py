"""Are the gradients right? Compare them with what the function does when its inputs change a little.

A derivative is how fast the result changes as an input moves. The engine says what it is; the function shows it, by its
values a little ahead and a little behind. In float64 both agree to about ten digits, so that a missing factor or term
cannot hide. Where rounding, or a kink, leaves too few digits, the check says that it cannot tell.

The comparison is in comparison.py, the slopes that the function shows are in numerical_derivative.py, the verdicts in
judging.py.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext

import numpy as np

from minidl.backend import Array, Backend, default_backend, get_backend, use_backend
from minidl.gradient_check.captured_tensors import converted, tensors_used_by
from minidl.gradient_check.comparison import Comparison
from minidl.gradient_check.float32 import compare_with_float64
from minidl.gradient_check.judging import verdicts
from minidl.gradient_check.verdicts import GradientError, UndecidedError
from minidl.tensor import Tensor, grad

SHOWN = 3  # how many of the numbers that could not be judged an error tells of


def check_gradients(
    function: Callable[..., Tensor],
    inputs: Tensor | Array | Sequence[Tensor | Array],
    order: int = 1,
    directions: int | None = None,
    tolerance: float = 1e-6,
    nudge: float | None = None,
    parameters: Mapping[str, Tensor] | None = None,
    dtype: str = "float64",
    allow_undecided: bool = False,
) -> float:
    """Check the gradients of `function(*inputs)`, a tensor of any shape, against central differences.

        check_gradients(conv2d, [x, weight, bias])                  # each number of each input
        check_gradients(conv2d, [x, weight, bias], order=2)         # and the gradients of those gradients
        check_gradients(vgg16(), [images], directions=5)            # a whole network: five random directions
        check_gradients(conv2d, [x, weight, bias], dtype="float32") # and the float32 kernels

    inputs: tensors or arrays (one, or several in a list). They are copied and converted to float64, whatever float type
    they have, and each is checked; arrays of whole numbers or booleans are handed on as they are.
    parameters: further tensors that the function uses, by name. Those of a layer or Chain are found, and so are those
    that a lambda, closure, partial or method has captured. They are float64 during the check, the trainable ones are
    checked, and all are put back as they were.
    directions: instead of every number one by one, move all inputs and parameters at once in so many random directions.
    tolerance: how far a derivative may be off, relative to itself, beside what the numerical one may be off.
    nudge: the largest step to either side, for all numbers; by default steps suit the size of each number.
    dtype: "float32" checks in float64 on backend "reference", and then compares float32 on the tensors' own backend.
    allow_undecided: return, rather than raise UndecidedError, when some numbers cannot be judged and none is wrong.

    Each output number is checked by itself where there are at most 256; more are summed up in 256 groups of like size
    (8 with directions). A slope that is known to less than 100 tolerances is undecided.

    Returns the largest error found, relative as above. Raises GradientError, an AssertionError, that names function,
    input, index and both values when a gradient is wrong, when the result is not finite, or when two runs differ;
    UndecidedError with the reason when some numbers cannot be judged; TypeError when the function does not return a
    float64 tensor; ValueError for options that make no sense.
    """
    _check_options(order, directions, tolerance, nudge, dtype)
    named = {**(parameters or {})}
    known = {id(x) for x in named.values()}
    named.update({name: x for name, x in tensors_used_by(function).items() if id(x) not in known})
    listed = list(inputs) if isinstance(inputs, list | tuple) else [inputs]
    given = {id(x) for x in listed if isinstance(x, Tensor)}
    named = {name: x for name, x in named.items() if id(x) not in given and x.dtype.kind == "f"}
    if dtype == "float32":
        listed = [_as_float32(x) for x in listed]
    home = _backend_of(listed, named)
    reference = get_backend("reference") if dtype == "float32" else None
    with use_backend("reference") if reference else nullcontext(), converted(named, "float64", reference):
        arguments = [_copy(x, "float64", reference or home) for x in listed]
        check = _Check(function, arguments, named, tolerance, nudge)
        undecided = check.run(order, directions)
    if dtype == "float32":
        compare_with_float64(function, listed, named, home, order, check.name)
    if undecided and not allow_undecided:
        raise UndecidedError(_summary(undecided))
    return check.worst


class _Check:
    """The comparisons of one call, in the type and on the backend that its tensors now have."""

    def __init__(
        self,
        function: Callable[..., Tensor],
        arguments: list[Tensor],
        parameters: Mapping[str, Tensor],
        tolerance: float,
        nudge: float | None,
    ) -> None:
        self.function, self.arguments, self.name = function, arguments, _name(function)
        self.leaves = _leaves(function, arguments, parameters)
        self.tolerance, self.nudge, self.worst = tolerance, nudge, 0.0
        self.random = np.random.default_rng(0)

    def run(self, order: int, directions: int | None) -> list[str]:
        """Why numbers could not be judged."""
        y = _call(self.function, self.name, self.arguments)
        first = self.compare(self.name, self.leaves, lambda: [self.function(*self.arguments)])
        first.run(directions)
        undecided = verdicts(first)
        if order == 2 and first.base.size:
            # Each output number weighs as much as the others, so that a small one is seen beside a large one
            reach = np.maximum(first.reach, 1e-4 * first.reach.max(initial=0.0)).reshape(y.shape)
            weights = self.random.standard_normal(y.shape) / np.where(reach > 0, reach, 1) * (reach.max(initial=0) or 1)
            dy = Tensor(weights, y.backend, requires_grad=True)

            def gradients() -> Sequence[Tensor]:
                total = (self.function(*self.arguments) * dy).sum()
                return grad(total, list(self.leaves.values()), create_graph=True)

            second = self.compare(f"the gradient of {self.name}", {**self.leaves, "dy": dy}, gradients)
            second.run(directions)
            undecided += verdicts(second)
            self.worst = second.worst
        self.worst = max(self.worst, first.worst)
        return undecided

    def compare(self, name: str, leaves: dict[str, Tensor], outputs: Callable[[], Sequence[Tensor]]) -> Comparison:
        return Comparison(name, leaves, outputs, self.tolerance, self.nudge, self.random)


def _check_options(order: int, directions: int | None, tolerance: float, nudge: float | None, dtype: str) -> None:
    if order not in (1, 2):
        raise ValueError(f"check_gradients: expected order 1 or 2, got {order}")
    if directions is not None and directions < 1:
        raise ValueError(f"check_gradients: expected at least one direction, got {directions}")
    for name, value in (("tolerance", tolerance), ("nudge", nudge)):
        if value is not None and not 0 < value < math.inf:
            raise ValueError(f"check_gradients: expected {name} to be finite and above 0, got {value}")
    if dtype not in ("float32", "float64"):
        raise ValueError(f"check_gradients: expected dtype 'float32' or 'float64', got {dtype!r}")


def _summary(undecided: list[str]) -> str:
    more = f"\nand {len(undecided) - SHOWN} more" if len(undecided) > SHOWN else ""
    return "cannot tell whether the gradient is right: " + "\n".join(undecided[:SHOWN]) + more


def _call(function: Callable[..., Tensor], name: str, arguments: Sequence[Tensor]) -> Tensor:
    """The result, once it is known to be a finite float64 tensor that a second call repeats."""
    try:
        y = function(*arguments)
    except TypeError as error:
        error.add_note("check_gradients makes its inputs float64. Tensors that the function uses beside them, such as "
                       "those of a layer, become so when they are named: parameters=layer.tensors()")  # fmt: skip
        raise
    if not isinstance(y, Tensor):
        raise TypeError(f"check_gradients: expected {name} to return a Tensor, got {type(y).__name__}; "
                        f"wrap it in a function that returns the tensor to check")  # fmt: skip
    if y.dtype != np.float64:
        raise TypeError(f"check_gradients: expected {name} to return float64, as its inputs are, got {y.dtype}")
    if not np.isfinite(y.numpy()).all():
        raise GradientError(f"{name} is not finite at these inputs, so it has no derivative there: {y!r}")
    if not np.array_equal(y.numpy(), function(*arguments).numpy()):
        raise GradientError(f"{name} is not deterministic: two calls with the same inputs gave different results. Draw "
                            f"random numbers outside, or open training_mode(step) inside the function")  # fmt: skip
    return y


def _backend_of(inputs: Sequence[Tensor | Array], parameters: Mapping[str, Tensor]) -> Backend:
    return next((x.backend for x in [*inputs, *parameters.values()] if isinstance(x, Tensor)), default_backend())


def _as_float32(x: Tensor | Array) -> Tensor | Array:
    """Rounded to what float32 can hold, so that both types are given the same numbers."""
    if isinstance(x, Tensor):
        return Tensor(x.array.astype(np.float32), x.backend) if x.dtype.kind == "f" else x
    array = np.asarray(x)
    return array.astype(np.float32) if array.dtype.kind == "f" else array


def _copy(x: Tensor | Array, dtype: str, backend: Backend) -> Tensor:
    array = backend.asarray(x.array if isinstance(x, Tensor) else x).copy()
    if array.dtype.kind != "f":
        return Tensor(array, backend)
    return Tensor(array.astype(dtype), backend, requires_grad=True)


def _leaves(
    function: Callable[..., Tensor], arguments: Sequence[Tensor], parameters: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """Everything that is checked, by the name that errors give it."""
    names = _argument_names(function)
    leaves = {}
    for position, x in enumerate(arguments):
        if x.requires_grad:
            leaves[f"input {position}" + (f" ({names[position]})" if position < len(names) else "")] = x
    leaves.update({f"parameter {name}": x for name, x in parameters.items() if x.requires_grad})
    if not leaves:
        raise ValueError("check_gradients: there is nothing to check; give at least one input of floats")
    return leaves


def _argument_names(function: Callable[..., Tensor]) -> list[str]:
    """The names of its positional arguments, as far as they are known."""
    try:
        arguments = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # some built-in functions do not say
        return []
    return [x.name for x in arguments if x.kind in (x.POSITIONAL_ONLY, x.POSITIONAL_OR_KEYWORD)]


def _name(function: object) -> str:
    function = getattr(function, "func", function)  # of functools.partial
    return str(getattr(function, "__name__", type(function).__name__))
