"""The float32 kernels of a function, beside float64 on backend "reference": outputs, and gradients of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minidl.backend import Array, Backend, get_backend, use_backend
from minidl.gradient_check.captured_tensors import converted
from minidl.gradient_check.verdicts import GradientError
from minidl.tensor import Tensor, grad

LAST_DIGIT = float(np.finfo(np.float32).eps)
# How far a number may be off by rounding: relative to itself, and to what it changes by, in either type, when every
# number that goes in changes in its last float32 digit
OF_ITSELF = 16 * LAST_DIGIT
OF_ITS_CHANGE = 64.0
NUDGES = (1, -1, 2, -2, 3, -3)
SUMS = 4  # random sums of the output numbers, whose gradients are compared

Results = dict[str, NDArray[Any]]


def compare_with_float64(
    function: Callable[..., Tensor],
    inputs: Sequence[Tensor | Array],
    parameters: Mapping[str, Tensor],
    backend: Backend,
    order: int,
    name: str,
) -> None:
    """GradientError naming the number and both values, where float32 differs by more than rounding explains."""

    def results(dtype: str, on: Backend, nudge: int) -> Results:
        """In `dtype`, with inputs and parameters changed in their last digit if `nudge` is not 0."""
        with use_backend(on.name), converted(parameters, "float32"), converted(parameters, dtype, on):
            random = np.random.default_rng(abs(nudge))
            arguments = [Tensor(x.array if isinstance(x, Tensor) else x, on) for x in inputs]
            arguments = [_like(x, dtype) for x in arguments]
            for x in [*arguments, *parameters.values()]:
                if nudge and x.dtype.kind == "f":
                    factor = on.asarray(1 + np.sign(nudge) * LAST_DIGIT * random.uniform(-1, 1, x.shape))
                    x.array = (x.array * factor).astype(dtype)
            return _results(function, arguments, parameters, order, nudge)

    reference = get_backend("reference")
    expected, came = results("float64", reference, 0), results("float32", backend, 0)
    expected_nearby = [results("float64", reference, nudge) for nudge in NUDGES]
    came_nearby = [results("float32", backend, nudge) for nudge in NUDGES]
    for what, exact in expected.items():
        got = came[what]
        if got.dtype != np.float32:
            raise TypeError(f"check_gradients: expected {what} of {name} to be float32, as its inputs are, "
                            f"got {got.dtype}")  # fmt: skip
        with np.errstate(invalid="ignore"):
            change = np.max([abs(nearby[what] - exact) for nearby in expected_nearby], axis=0)
            change = change + np.max([abs(nearby[what] - got) for nearby in came_nearby], axis=0)
            allowed = OF_ITSELF * abs(exact) + OF_ITS_CHANGE * change
            excess = abs(got - exact) - allowed
        excess = np.where(np.isnan(excess), np.inf, excess)
        if excess.max(initial=-1.0) > 0:
            index = tuple(int(i) for i in np.unravel_index(int(excess.argmax()), excess.shape))
            raise GradientError(f"{name} is wrong in float32 on {backend.name!r}: {what}, index {index}: computed "
                                f"{got[index]:.8g}, in float64 on 'reference' {exact[index]:.8g} (rounding explains "
                                f"{np.broadcast_to(allowed, exact.shape)[index]:.1e})")  # fmt: skip


def _like(x: Tensor, dtype: str) -> Tensor:
    return Tensor(x.array.astype(dtype), x.backend, requires_grad=True) if x.dtype.kind == "f" else x


def _results(
    function: Callable[..., Tensor], arguments: list[Tensor], parameters: Mapping[str, Tensor], order: int, nudge: int
) -> Results:
    """The output, and the gradients of some random sums of it; with order 2 also the gradients of sums of those."""
    leaves = {f"input {k}": x for k, x in enumerate(arguments) if x.requires_grad}
    leaves.update({f"parameter {name}": x for name, x in parameters.items() if x.requires_grad})
    random, rounding = np.random.default_rng(0), np.random.default_rng(100 + abs(nudge))

    def random_like(x: Tensor) -> Tensor:
        numbers = random.standard_normal(x.shape).astype(np.float32)  # the same ones in either type
        nudged = numbers * (1 + np.sign(nudge) * LAST_DIGIT * rounding.uniform(-1, 1, x.shape))
        return Tensor(nudged.astype(x.dtype), x.backend)

    y = function(*arguments)
    found = {"the output": y.numpy().copy()}
    for number in range(SUMS):
        y = function(*arguments)
        total = (y * random_like(y)).sum()
        if not total.requires_grad:
            break
        first = grad(total, list(leaves.values()), create_graph=order == 2)
        for leaf, dx in zip(leaves, first, strict=True):
            found[f"gradient {number} with respect to {leaf}"] = dx.numpy().copy()
        if order == 2:
            parts = [(dx * random_like(dx)).sum() for dx in first]
            total = parts[0]
            for part in parts[1:]:
                total = total + part
            if total.requires_grad:
                for leaf, dx in zip(leaves, grad(total, list(leaves.values())), strict=True):
                    found[f"gradient {number} of the gradient with respect to {leaf}"] = dx.numpy().copy()
    return found
