"""What metrics share: numbers that are gathered batch by batch and read at the end of an epoch."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy
from numpy.lib.mixins import NDArrayOperatorsMixin
from numpy.typing import NDArray

from minidl.backend import Array, get_backend, ieee
from minidl.keras import initializers
from minidl.keras.losses.pairs import like, prediction, same_rank
from minidl.keras.objects import auto_name, check_dtype
from minidl.modes import no_grad
from minidl.tensor import Tensor


class Variable(NDArrayOperatorsMixin):
    """A number or an array that a metric of your own gathers in; see Metric.add_weight()."""

    def __init__(self, shape: tuple[int, ...], initializer: Any = None) -> None:
        self.value: NDArray[Any] = initializers.get(initializer or "zeros")(shape, "float64")

    def assign(self, value: Any) -> None:
        """Take this value, in the variable's shape."""
        self.value = numpy.array(numpy.broadcast_to(numpy.asarray(value, float), self.value.shape))

    def assign_add(self, value: Any) -> None:
        """Add to the value."""
        self.assign(self.value + numpy.asarray(value))

    def numpy(self) -> NDArray[Any]:
        """The value."""
        return self.value

    def __getitem__(self, key: Any) -> Any:
        return self.value[key]

    def __float__(self) -> float:
        return float(self.value)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return numpy.array(self.value, dtype, copy=copy)

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **settings: Any) -> Any:
        return getattr(ufunc, method)(*(x.value if isinstance(x, Variable) else x for x in inputs), **settings)


class Metric:
    """What metrics share. A new one defines update_state(), which gathers, and result().

    What it gathers goes into variables of add_weight(), which reset_state() sets to 0; or it defines that, too.
    """

    def __init__(self, dtype: Any = None, name: str | None = None) -> None:
        check_dtype(type(self).__name__, dtype)
        self.name = name or auto_name(type(self).__name__)
        self.variables: list[Variable] = []

    def update_state(self, *args: Any, **kwargs: Any) -> None:
        """Gather what a batch says: update_state(y_true, y_pred, sample_weight=None)."""
        raise NotImplementedError(f"{type(self).__name__} does not define update_state(y_true, y_pred)")

    def result(self) -> Any:
        """What all batches since the last reset_state() say: a number, or one for each class."""
        raise NotImplementedError(f"{type(self).__name__} does not define result()")

    def reset_state(self) -> None:
        """Forget all batches."""
        for variable in self.variables:
            variable.assign(0)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """update_state(), then result()."""
        self.update_state(*args, **kwargs)
        return self.result()

    def add_weight(
        self, shape: tuple[int, ...] = (), initializer: Any = None, dtype: Any = None, name: str | None = None
    ) -> Variable:
        """A variable with assign() and assign_add(), to gather in."""
        self.variables.append(Variable(shape, initializer))
        return self.variables[-1]

    add_variable = add_weight

    def get_config(self) -> dict[str, Any]:
        """The arguments that make an equal metric."""
        return {"name": self.name, "dtype": "float32"}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> "Metric":
        """The metric that get_config() described, empty."""
        return cls(**config)


class _Gathered(Metric):
    """A sum of values and how many they are, or how much they weigh. On a GPU both stay there until they are read."""

    def __init__(self, name: str | None = None, dtype: Any = None) -> None:
        super().__init__(dtype, name)
        self.reset_state()

    def reset_state(self) -> None:
        self.total, self.count = 0.0, 0.0

    @ieee
    def _gather(self, values: Any, sample_weight: Any, reduce: str) -> None:
        """Add values (n, ...), first reduced to one a sample by "mean" or "sum", each times its weight.

        Weights (n, ...) may have fewer axes than values.
        """
        if isinstance(values, Tensor) and sample_weight is not None:
            (sample_weight,) = arrays(sample_weight, beside=values)
        values = _array(values).astype("float64")
        if sample_weight is None:
            self.count = self.count + (len(values) if values.ndim else 1)
        else:
            values, weights = same_rank(values, _array(sample_weight).astype("float64"))
            values = _reduced(values, weights.ndim, reduce)
            lost = (weights == 0) & (abs(values) == math.inf)  # as in weighted(): 0, not nan
            xp = get_backend("gpu").xp if hasattr(values, "__cuda_array_interface__") else numpy
            values = xp.where(lost, 0, values) * weights
            counts = _reduced(weights, 1, reduce)
            self.count = self.count + counts.sum(dtype="float64") * (len(values) / len(counts) if counts.ndim else 1)
        self.total = self.total + _reduced(values, 1, reduce).sum(dtype="float64")


class Mean(_Gathered):
    """The mean of all values, each times its weight."""

    def __init__(self, name: str | None = "mean", dtype: Any = None) -> None:
        super().__init__(name, dtype)

    def update_state(self, values: Any, sample_weight: Any = None) -> None:
        self._gather(values, sample_weight, "mean")

    def result(self) -> float:
        return float(self.total / self.count) if self.count else 0.0


class Sum(_Gathered):
    """The sum of all values, each times its weight."""

    def __init__(self, name: str | None = "sum", dtype: Any = None) -> None:
        super().__init__(name, dtype)

    def update_state(self, values: Any, sample_weight: Any = None) -> None:
        self._gather(values, sample_weight, "sum")

    def result(self) -> float:
        return float(self.total)


class MeanMetricWrapper(Mean):
    """The mean of a function of y_true and y_pred, which come as tensors of one float type, and settings by name."""

    def __init__(self, fn: Callable[..., Any], name: str | None = None, dtype: Any = None, **settings: Any) -> None:
        super().__init__(name or getattr(fn, "__name__", None), dtype)
        self.fn, self.settings = fn, settings

    def update_state(  # type: ignore[override]  # as in Keras
        self, y_true: Any, y_pred: Any, sample_weight: Any = None
    ) -> None:
        with no_grad():
            values = self.fn(*self._arguments(y_true, y_pred), **self.settings)
        if sample_weight is not None:
            on_host = isinstance(values, numpy.ndarray)
            (sample_weight,) = host_arrays(sample_weight) if on_host else arrays(sample_weight, beside=y_pred)
        self._gather(values, sample_weight, "mean")

    def _arguments(self, y_true: Any, y_pred: Any) -> tuple[Any, Any]:
        predicted = prediction(y_pred)
        return like(y_true, predicted), predicted

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | self.settings


class BuiltIn(MeanMetricWrapper):
    """The mean of a function of this package, which makes of y_true and y_pred what it needs."""

    def _arguments(self, y_true: Any, y_pred: Any) -> tuple[Any, Any]:
        return y_true, y_pred


def arrays(*inputs: Any, beside: Any = None) -> list[Array]:
    """The inputs as arrays, on the backend of `beside` or else of the last tensor among them."""
    tensors = [x for x in (*inputs, beside) if isinstance(x, Tensor)]
    backend = tensors[-1].backend if tensors else get_backend("cpu")
    return [backend.asarray(x.array if isinstance(x, Tensor) else x) for x in inputs]


def host_arrays(*inputs: Any) -> list[NDArray[Any]]:
    """The inputs as NumPy arrays."""
    return [x.numpy() if isinstance(x, Tensor) else numpy.asarray(x) for x in inputs]


def _array(x: Any) -> Array:
    if isinstance(x, Tensor):
        return x.array
    return x if hasattr(x, "astype") else numpy.asarray(x)


def _reduced(x: Array, ndim: int, reduce: str) -> Array:
    """The "mean" or "sum" over all axes from number `ndim` on."""
    return getattr(x, reduce)(tuple(range(ndim, x.ndim)), dtype="float64") if x.ndim > ndim else x
