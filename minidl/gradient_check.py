"""Are the gradients right? Compare them with what the function does when its inputs change a little.

A derivative is how fast the result changes along a direction. The engine says: the gradient times the direction. The
function itself says: (its value a little ahead - its value a little behind) / the distance between the two. Both must
agree; in float64 they do to about ten digits, so that a missing factor or term cannot hide.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minidl.backend import Array, Backend, default_backend
from minidl.tensor import Tensor, grad

Direction = Mapping[str, NDArray[Any]]  # how much each input moves

NUDGE = 1e-5  # the error of the central difference, about NUDGE ** 2, and its rounding noise are both about 1e-10
SHORT_NUDGE = 1e-7  # along a random direction everything moves at once, and a network has many kinks to step over
ROUNDINGS = 32  # by how many units in the last place a result may be off


class GradientError(AssertionError):
    """A gradient is not the derivative of its function, or the function has none to compare with."""


def check_gradients(
    function: Callable[..., Tensor],
    inputs: Tensor | Array | Sequence[Tensor | Array],
    order: int = 1,
    directions: int | None = None,
    tolerance: float = 1e-6,
    nudge: float | None = None,
    parameters: Mapping[str, Tensor] | None = None,
) -> float:
    """Check the gradients of `function(*inputs)`, a tensor of any shape, against central differences.

        check_gradients(conv2d, [x, weight, bias])                  # each number of each input
        check_gradients(conv2d, [x, weight, bias], order=2)         # and the gradients of those gradients
        check_gradients(vgg16(), [images], directions=5)            # a whole network: five random directions

    inputs: tensors or arrays (one, or several in a list). They are copied and converted to float64, whatever float type
    they have, and each is checked; arrays of whole numbers or booleans are handed on as they are.
    parameters: further tensors that the function uses, by name; those of a layer or Chain are found. They are float64
    during the check, the trainable ones are checked, and all are put back as they were.
    directions: instead of every number one by one, move all inputs and parameters at once in so many random directions.
    tolerance: how far a derivative may be off, relative to the largest one of the same input.
    nudge: how far to move to either side; keep inputs further than that from kinks, such as 0 for relu.

    Returns the largest error found, relative as above. Raises GradientError, an AssertionError, that names function,
    input, index and both values when a gradient is wrong, when the result is not finite, or when two calls differ;
    TypeError when the function does not return a float64 tensor.
    """
    if order not in (1, 2):
        raise ValueError(f"check_gradients: expected order 1 or 2, got {order}")
    if directions is not None and directions < 1:
        raise ValueError(f"check_gradients: expected at least one direction, got {directions}")
    if parameters is None:
        parameters = _tensors_of(function)
    nudge = nudge or (NUDGE if directions is None else SHORT_NUDGE)
    with _in_float64(parameters):
        arguments = _float64_copies(inputs, parameters)
        leaves = _leaves(function, arguments, parameters)
        name, random = _name(function), np.random.default_rng(0)
        y = _call(function, name, arguments)
        dy = _random_like(y, random)
        check = _Check(name, leaves, lambda: [function(*arguments)], [dy], tolerance, nudge)
        worst = check.run(directions, random)
        if order == 2:
            dy.requires_grad = True

            def gradients() -> Sequence[Tensor]:
                return grad((function(*arguments) * dy).sum(), list(leaves.values()), create_graph=True)

            weights = [_random_like(x, random) for x in leaves.values()]
            name = f"the gradient of {name}"
            check = _Check(name, {**leaves, "dy": dy}, gradients, weights, tolerance, nudge)
            worst = max(worst, check.run(directions, random))
    return worst


@dataclass
class _Check:
    """One comparison: how the sum of outputs * weights depends on the leaves."""

    name: str
    leaves: dict[str, Tensor]
    outputs: Callable[[], Sequence[Tensor]]
    weights: Sequence[Tensor]
    tolerance: float
    nudge: float
    noise: float = 0.0

    def run(self, directions: int | None, random: np.random.Generator) -> float:
        """The largest relative error; GradientError when it is above the tolerance."""
        computed = self._computed()
        if directions is None:
            return max((self._check_elements(leaf, computed[leaf]) for leaf in self.leaves), default=0.0)
        return self._check_directions(directions, computed, random)

    def _check_elements(self, leaf: str, computed: NDArray[Any]) -> float:
        numerical = np.empty_like(computed)
        for index in np.ndindex(computed.shape):
            direction = np.zeros_like(computed)
            direction[index] = 1
            numerical[index] = self._numerical({leaf: direction})
        scale, worst = _largest(numerical), 0.0
        for index in np.ndindex(computed.shape):
            worst = max(worst, self._error(f"{leaf}, index {index}", computed[index], numerical[index], scale))
        return worst

    def _check_directions(self, count: int, computed: Direction, random: np.random.Generator) -> float:
        directions = [
            {leaf: random.standard_normal(gradient.shape) for leaf, gradient in computed.items()} for _ in range(count)
        ]
        numerical = np.array([self._numerical(direction) for direction in directions])
        scale, worst = _largest(numerical), 0.0
        for number, direction in enumerate(directions):
            with np.errstate(invalid="ignore"):  # inf - inf is nan, which fails below
                slope = sum((computed[leaf] * direction[leaf]).sum() for leaf in computed)
            try:
                worst = max(worst, self._error(f"direction {number}", slope, numerical[number], scale))
            except GradientError as error:
                error.add_note(f"Moving inputs alone, {self._worst_leaf(computed, direction)} is the most wrong.")
                raise
        return worst

    def _worst_leaf(self, computed: Direction, direction: Direction) -> str:
        """The leaf that is most wrong when it moves alone."""

        def wrongness(leaf: str) -> float:
            with np.errstate(invalid="ignore"):
                slope = (computed[leaf] * direction[leaf]).sum()
            difference = abs(slope - self._numerical({leaf: direction[leaf]}))
            return float("inf") if np.isnan(difference) else float(difference)

        return max(computed, key=wrongness)

    def _computed(self) -> dict[str, NDArray[Any]]:
        """What the engine says: the gradient for each leaf. Zeros where there is no history, as for a constant."""
        outputs = self.outputs()
        products = [(y * weight).sum() for y, weight in zip(outputs, self.weights, strict=True)]
        # Rounding in the last place of the outputs, seen through the central difference
        sizes = [np.linalg.norm((y.numpy() * w.numpy()).ravel()) for y, w in zip(outputs, self.weights, strict=True)]
        self.noise = ROUNDINGS * float(np.finfo(np.float64).eps * np.linalg.norm(sizes)) / self.nudge
        total = products[0]
        for product in products[1:]:
            total = total + product
        if not total.requires_grad:
            return {leaf: np.zeros(x.shape) for leaf, x in self.leaves.items()}
        gradients = grad(total, list(self.leaves.values()))
        return {leaf: dx.numpy() for leaf, dx in zip(self.leaves, gradients, strict=True)}

    def _numerical(self, direction: Direction) -> float:
        """What the function says: how fast outputs * weights changes along `direction`."""
        ahead, behind = self._outputs_at(direction, self.nudge), self._outputs_at(direction, -self.nudge)
        changes = zip(self.weights, ahead, behind, strict=True)
        return float(sum((weight.numpy() * (a - b)).sum() for weight, a, b in changes)) / (2 * self.nudge)

    def _outputs_at(self, direction: Direction, distance: float) -> list[NDArray[Any]]:
        here = {leaf: self.leaves[leaf].array for leaf in direction}
        try:
            for leaf, array in here.items():
                self.leaves[leaf].array = array + self.leaves[leaf].backend.asarray(distance * direction[leaf])
            return [y.numpy() for y in self.outputs()]
        finally:
            for leaf, array in here.items():
                self.leaves[leaf].array = array

    def _error(self, where: str, computed: Any, numerical: Any, scale: float) -> float:
        """The difference relative to `scale`, forgiving what rounding explains; GradientError above the tolerance."""
        difference = abs(computed - numerical)
        error = 0.0 if difference == 0 else float(difference / (scale + self.noise / self.tolerance))
        if not error <= self.tolerance:  # also true of nan
            raise GradientError(
                f"{self.name} is wrong with respect to {where}: computed {computed:.10g}, numerical {numerical:.10g} "
                f"(relative error {error:.1e}, tolerance {self.tolerance:.1e})"
            )
        return error


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


def _tensors_of(function: object) -> Mapping[str, Tensor]:
    """All tensors of a layer, so that running statistics become float64 too; otherwise its parameters, if any."""
    for method in ("tensors", "params"):
        if hasattr(function, method):
            tensors: Mapping[str, Tensor] = getattr(function, method)()
            return tensors
    return {}


@contextmanager
def _in_float64(tensors: Mapping[str, Tensor]) -> Iterator[None]:
    """Convert float tensors for the length of a `with` block; afterwards they hold the very same arrays as before."""
    before = [(x, x.array) for x in tensors.values() if x.dtype.kind == "f"]
    try:
        for x, array in before:
            x.array = array.astype(np.float64)
        yield
    finally:
        for x, array in before:
            x.array = array


def _float64_copies(
    inputs: Tensor | Array | Sequence[Tensor | Array], parameters: Mapping[str, Tensor]
) -> list[Tensor]:
    listed = list(inputs) if isinstance(inputs, list | tuple) else [inputs]
    tensors = [x for x in [*listed, *parameters.values()] if isinstance(x, Tensor)]
    backend = tensors[0].backend if tensors else default_backend()
    return [_float64_copy(x.array if isinstance(x, Tensor) else x, backend) for x in listed]


def _float64_copy(array: Array, backend: Backend) -> Tensor:
    array = backend.asarray(array).copy()
    if array.dtype.kind != "f":
        return Tensor(array, backend)
    return Tensor(array.astype(np.float64), backend, requires_grad=True)


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


def _random_like(x: Tensor, random: np.random.Generator) -> Tensor:
    return Tensor(random.standard_normal(x.shape), x.backend)


def _largest(numbers: NDArray[Any]) -> float:
    return float(np.abs(numbers).max(initial=0))
