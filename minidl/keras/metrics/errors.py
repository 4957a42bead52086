"""Losses as metrics: how far predictions are off."""

import math
from typing import Any, ClassVar

from minidl.interchange.keras_files import snake_case
from minidl.keras import losses
from minidl.keras.losses.pairs import pair
from minidl.keras.metrics.metric import BuiltIn
from minidl.tensor import Tensor


class _Plain(BuiltIn):
    """The mean of a loss without settings."""

    function: ClassVar[Any]

    def __init__(self, name: str | None = None, dtype: Any = None) -> None:
        super().__init__(type(self).function, name or snake_case(type(self).__name__), dtype)


class MeanSquaredError(_Plain):
    """The mean of (y_true - y_pred) ** 2."""

    function = losses.mean_squared_error


class MeanAbsoluteError(_Plain):
    """The mean of |y_true - y_pred|."""

    function = losses.mean_absolute_error


class MeanAbsolutePercentageError(_Plain):
    """100 * the mean of |y_true - y_pred| / |y_true|."""

    function = losses.mean_absolute_percentage_error


class MeanSquaredLogarithmicError(_Plain):
    """The mean of (log(1 + y_true) - log(1 + y_pred)) ** 2."""

    function = losses.mean_squared_logarithmic_error


class KLDivergence(_Plain):
    """The mean of the sum of y_true * log(y_true / y_pred)."""

    function = losses.kl_divergence


class Poisson(_Plain):
    """The mean of y_pred - y_true * log(y_pred)."""

    function = losses.poisson


class Hinge(_Plain):
    """The mean of max(1 - y_true * y_pred, 0)."""

    function = losses.hinge


class SquaredHinge(_Plain):
    """The mean of max(1 - y_true * y_pred, 0) ** 2."""

    function = losses.squared_hinge


class CategoricalHinge(_Plain):
    """The mean of how much the best wrong class comes within 1 of the right one."""

    function = losses.categorical_hinge


class LogCoshError(BuiltIn):
    """The mean of log(cosh(y_pred - y_true))."""

    def __init__(self, name: str = "logcosh", dtype: Any = None) -> None:
        super().__init__(losses.log_cosh, name, dtype)


class CosineSimilarity(BuiltIn):
    """The mean cosine of the angle between y_true and y_pred: 1 where they point the same way."""

    def __init__(self, name: str = "cosine_similarity", dtype: Any = None, axis: int = -1) -> None:
        super().__init__(_cosine, name, dtype, axis=axis)


class BinaryCrossentropy(BuiltIn):
    """The mean of losses.binary_crossentropy."""

    def __init__(
        self,
        name: str = "binary_crossentropy",
        dtype: Any = None,
        from_logits: bool = False,
        label_smoothing: float = 0,
    ) -> None:
        settings = {"from_logits": from_logits, "label_smoothing": label_smoothing}
        super().__init__(losses.binary_crossentropy, name, dtype, **settings)


class CategoricalCrossentropy(BuiltIn):
    """The mean of losses.categorical_crossentropy, for one-hot rows."""

    def __init__(
        self,
        name: str = "categorical_crossentropy",
        dtype: Any = None,
        from_logits: bool = False,
        label_smoothing: float = 0,
        axis: int = -1,
    ) -> None:
        settings = {"from_logits": from_logits, "label_smoothing": label_smoothing, "axis": axis}
        super().__init__(losses.categorical_crossentropy, name, dtype, **settings)


class SparseCategoricalCrossentropy(BuiltIn):
    """The mean of losses.sparse_categorical_crossentropy, for labels; those of ignore_class count as 0, as in Keras."""

    def __init__(
        self,
        name: str = "sparse_categorical_crossentropy",
        dtype: Any = None,
        from_logits: bool = False,
        ignore_class: int | None = None,
        axis: int = -1,
    ) -> None:
        settings = {"from_logits": from_logits, "ignore_class": ignore_class, "axis": axis}
        super().__init__(losses.sparse_categorical_crossentropy, name, dtype, **settings)


class RootMeanSquaredError(BuiltIn):
    """The square root of the mean of (y_true - y_pred) ** 2."""

    def __init__(self, name: str = "root_mean_squared_error", dtype: Any = None) -> None:
        super().__init__(_squares, name, dtype)

    def result(self) -> float:
        return math.sqrt(super().result())


def _cosine(y_true: Any, y_pred: Any, axis: int) -> Tensor:
    return -losses.cosine_similarity(y_true, y_pred, axis)


def _squares(y_true: Any, y_pred: Any) -> Tensor:
    target, predicted = pair("root_mean_squared_error", y_true, y_pred)
    return (target - predicted) ** 2
