"""keras.losses: what training makes small, as functions loss(y_true, y_pred) and as objects with a reduction."""

from collections.abc import Mapping, Sequence
from typing import Any

from minidl.keras.losses.classes import (
    BinaryCrossentropy,
    CategoricalCrossentropy,
    CategoricalHinge,
    CosineSimilarity,
    Hinge,
    Huber,
    KLDivergence,
    LogCosh,
    MeanAbsoluteError,
    MeanAbsolutePercentageError,
    MeanSquaredError,
    MeanSquaredLogarithmicError,
    Poisson,
    SparseCategoricalCrossentropy,
    SquaredHinge,
)
from minidl.keras.losses.crossentropy import (
    binary_crossentropy,
    categorical_crossentropy,
    sparse_categorical_crossentropy,
)
from minidl.keras.losses.functions import (
    categorical_hinge,
    cosine_similarity,
    hinge,
    huber,
    kl_divergence,
    log_cosh,
    mean_absolute_error,
    mean_absolute_percentage_error,
    mean_squared_error,
    mean_squared_logarithmic_error,
    poisson,
    squared_hinge,
)
from minidl.keras.losses.loss import Loss, LossFunctionWrapper
from minidl.keras.objects import deserialise, find, serialise

CLASSES = (
    BinaryCrossentropy, CategoricalCrossentropy, CategoricalHinge, CosineSimilarity, Hinge, Huber, KLDivergence,
    LogCosh, MeanAbsoluteError, MeanAbsolutePercentageError, MeanSquaredError, MeanSquaredLogarithmicError, Poisson,
    SparseCategoricalCrossentropy, SquaredHinge,
)  # fmt: skip
FUNCTIONS = (
    binary_crossentropy, categorical_crossentropy, sparse_categorical_crossentropy, categorical_hinge,
    cosine_similarity, hinge, huber, kl_divergence, log_cosh, mean_absolute_error, mean_absolute_percentage_error,
    mean_squared_error, mean_squared_logarithmic_error, poisson, squared_hinge,
)  # fmt: skip
SHORT = {
    "bce": binary_crossentropy, "kld": kl_divergence, "mae": mean_absolute_error, "mse": mean_squared_error,
    "mape": mean_absolute_percentage_error, "msle": mean_squared_logarithmic_error,
}  # fmt: skip
KNOWN: dict[str, Any] = {
    **{thing.__name__: thing for thing in (*CLASSES, *FUNCTIONS)},
    **SHORT,
    **{name.upper(): function for name, function in SHORT.items()},
}
CROSSENTROPIES = {
    "binary": binary_crossentropy, "sparse": sparse_categorical_crossentropy, "rows": categorical_crossentropy,
}  # fmt: skip
MISSING = [
    "BinaryFocalCrossentropy", "CategoricalFocalCrossentropy", "CategoricalGeneralizedCrossEntropy", "Circle", "CTC",
    "Dice", "Tversky",
]  # fmt: skip

__all__ = [
    "BinaryCrossentropy", "CategoricalCrossentropy", "CategoricalHinge", "CosineSimilarity", "Hinge", "Huber",
    "KLDivergence", "LogCosh", "Loss", "LossFunctionWrapper", "MeanAbsoluteError", "MeanAbsolutePercentageError",
    "MeanSquaredError", "MeanSquaredLogarithmicError", "Poisson", "SparseCategoricalCrossentropy", "SquaredHinge",
    "binary_crossentropy", "categorical_crossentropy", "categorical_hinge", "cosine_similarity", "deserialize", "get",
    "hinge", "huber", "kl_divergence", "log_cosh", "mean_absolute_error", "mean_absolute_percentage_error",
    "mean_squared_error", "mean_squared_logarithmic_error", "poisson", "serialize", "sparse_categorical_crossentropy",
    "squared_hinge",
]  # fmt: skip


def get(identifier: Any, y_true_shape: Sequence[int] | None = None, y_pred_shape: Sequence[int] | None = None) -> Any:
    """The loss of a name, of a dict made by serialize(), a class, a function or a loss itself; None stays None.

    Names in snake case and short ones ("mse") mean functions, as in Keras. With the shapes of targets and predictions,
    get() does what compile() does: it always returns a Loss, and "crossentropy" or "ce" is the one that fits them.
    ValueError for anything else, NotImplementedError for a loss that only Keras has.
    """
    if y_true_shape is None or y_pred_shape is None or identifier is None:
        return find("loss", identifier, KNOWN, MISSING)
    if isinstance(identifier, str) and identifier.lower() in ("crossentropy", "ce"):
        found: Any = CROSSENTROPIES[kind_of_targets(y_true_shape, y_pred_shape)]
    else:
        found = find("loss", identifier, KNOWN, MISSING)
    if isinstance(found, Loss):
        return found
    return LossFunctionWrapper(found, name=identifier if isinstance(identifier, str) else None)


def serialize(loss: Any) -> Any:
    """A dict that deserialize(), here and in Keras, makes an equal loss of; for a function of this module, its name."""
    if loss in FUNCTIONS:
        return loss.__name__
    return serialise("keras.losses", loss)


def deserialize(config: Mapping[str, Any] | str, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """The loss that serialize() described."""
    if isinstance(config, str):
        return find("loss", config, {**KNOWN, **(custom_objects or {})}, MISSING)
    return deserialise("loss", config, KNOWN, custom_objects)


def kind_of_targets(y_true_shape: Sequence[int], y_pred_shape: Sequence[int]) -> str:
    """'binary' for one output, 'sparse' for labels, which lack the axis of classes, otherwise 'rows'."""
    if y_pred_shape[-1] == 1:
        return "binary"
    return "sparse" if len(y_true_shape) < len(y_pred_shape) or y_true_shape[-1] == 1 else "rows"
