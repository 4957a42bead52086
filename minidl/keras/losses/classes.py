"""Losses as objects, each named like the function it calls."""

from collections.abc import Callable
from typing import Any, ClassVar

from minidl.keras.losses import crossentropy, functions
from minidl.keras.losses.loss import LossFunctionWrapper
from minidl.tensor import Tensor

Reduction = str | None
BATCH = "sum_over_batch_size"


class _Plain(LossFunctionWrapper):
    """A loss without settings."""

    function: ClassVar[Callable[..., Tensor]]

    def __init__(self, reduction: Reduction = BATCH, name: str | None = None, dtype: Any = None) -> None:
        super().__init__(type(self).function, reduction, name, dtype)


class MeanSquaredError(_Plain):
    """The mean of (y_true - y_pred) ** 2."""

    function = functions.mean_squared_error


class MeanAbsoluteError(_Plain):
    """The mean of |y_true - y_pred|."""

    function = functions.mean_absolute_error


class MeanAbsolutePercentageError(_Plain):
    """100 * the mean of |y_true - y_pred| / max(|y_true|, 1e-7)."""

    function = functions.mean_absolute_percentage_error


class MeanSquaredLogarithmicError(_Plain):
    """The mean of (log(1 + y_true) - log(1 + y_pred)) ** 2."""

    function = functions.mean_squared_logarithmic_error


class LogCosh(_Plain):
    """The mean of log(cosh(y_pred - y_true))."""

    function = functions.log_cosh


class KLDivergence(_Plain):
    """The sum of y_true * log(y_true / y_pred)."""

    function = functions.kl_divergence


class Poisson(_Plain):
    """The mean of y_pred - y_true * log(y_pred)."""

    function = functions.poisson


class Hinge(_Plain):
    """The mean of max(1 - y_true * y_pred, 0)."""

    function = functions.hinge


class SquaredHinge(_Plain):
    """The mean of max(1 - y_true * y_pred, 0) ** 2."""

    function = functions.squared_hinge


class CategoricalHinge(_Plain):
    """How much the best wrong class comes within 1 of the right one."""

    function = functions.categorical_hinge


class Huber(LossFunctionWrapper):
    """Squared for errors up to delta, straight beyond (Huber 1964)."""

    def __init__(
        self, delta: float = 1.0, reduction: Reduction = BATCH, name: str = "huber_loss", dtype: Any = None
    ) -> None:
        super().__init__(functions.huber, reduction, name, dtype, delta=delta)


class CosineSimilarity(LossFunctionWrapper):
    """Minus the cosine of the angle between y_true and y_pred."""

    def __init__(
        self, axis: int = -1, reduction: Reduction = BATCH, name: str = "cosine_similarity", dtype: Any = None
    ) -> None:
        super().__init__(functions.cosine_similarity, reduction, name, dtype, axis=axis)


class CategoricalCrossentropy(LossFunctionWrapper):
    """For one-hot rows; see categorical_crossentropy."""

    def __init__(
        self,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: Reduction = BATCH,
        name: str = "categorical_crossentropy",
        dtype: Any = None,
    ) -> None:
        settings = {"from_logits": from_logits, "label_smoothing": label_smoothing, "axis": axis}
        super().__init__(crossentropy.categorical_crossentropy, reduction, name, dtype, **settings)


class SparseCategoricalCrossentropy(LossFunctionWrapper):
    """For labels; samples of ignore_class do not count, in means either. See sparse_categorical_crossentropy."""

    def __init__(
        self,
        from_logits: bool = False,
        ignore_class: int | None = None,
        reduction: Reduction = BATCH,
        axis: int = -1,
        name: str = "sparse_categorical_crossentropy",
        dtype: Any = None,
    ) -> None:
        settings: dict[str, Any] = {"from_logits": from_logits, "ignore_class": ignore_class}
        settings |= {} if axis == -1 else {"axis": axis}  # Keras before 3.15 does not know it
        super().__init__(crossentropy.sparse_categorical_crossentropy, reduction, name, dtype, **settings)


class BinaryCrossentropy(LossFunctionWrapper):
    """For targets from 0 to 1, one for each output; see binary_crossentropy."""

    def __init__(
        self,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: Reduction = BATCH,
        name: str = "binary_crossentropy",
        dtype: Any = None,
    ) -> None:
        settings = {"from_logits": from_logits, "label_smoothing": label_smoothing, "axis": axis}
        super().__init__(crossentropy.binary_crossentropy, reduction, name, dtype, **settings)
