"""keras.metrics: what people read off a network while it trains, as functions and as objects that gather batches."""

from collections.abc import Mapping, Sequence
from typing import Any

from minidl.keras.losses import (
    binary_crossentropy,
    categorical_crossentropy,
    categorical_hinge,
    hinge,
    huber,
    kind_of_targets,
    kl_divergence,
    log_cosh,
    mean_absolute_error,
    mean_absolute_percentage_error,
    mean_squared_error,
    mean_squared_logarithmic_error,
    poisson,
    sparse_categorical_crossentropy,
    squared_hinge,
)
from minidl.keras.metrics.accuracies import (
    Accuracy,
    BinaryAccuracy,
    CategoricalAccuracy,
    SparseCategoricalAccuracy,
    SparseTopKCategoricalAccuracy,
    TopKCategoricalAccuracy,
    binary_accuracy,
    categorical_accuracy,
    sparse_categorical_accuracy,
    sparse_top_k_categorical_accuracy,
    top_k_categorical_accuracy,
)
from minidl.keras.metrics.confusion import (
    AUC,
    FalseNegatives,
    FalsePositives,
    Precision,
    Recall,
    TrueNegatives,
    TruePositives,
)
from minidl.keras.metrics.errors import (
    BinaryCrossentropy,
    CategoricalCrossentropy,
    CategoricalHinge,
    CosineSimilarity,
    Hinge,
    KLDivergence,
    LogCoshError,
    MeanAbsoluteError,
    MeanAbsolutePercentageError,
    MeanSquaredError,
    MeanSquaredLogarithmicError,
    Poisson,
    RootMeanSquaredError,
    SparseCategoricalCrossentropy,
    SquaredHinge,
)
from minidl.keras.metrics.f_scores import F1Score, FBetaScore
from minidl.keras.metrics.metric import Mean, MeanMetricWrapper, Metric, Sum
from minidl.keras.objects import deserialise, find, names_of, serialise

CLASSES = (
    Mean, Sum, Accuracy, BinaryAccuracy, CategoricalAccuracy, SparseCategoricalAccuracy, TopKCategoricalAccuracy,
    SparseTopKCategoricalAccuracy, AUC, F1Score, FBetaScore, Precision, Recall, TruePositives, FalsePositives,
    TrueNegatives, FalseNegatives, BinaryCrossentropy, CategoricalCrossentropy, SparseCategoricalCrossentropy,
    CategoricalHinge, Hinge, SquaredHinge, CosineSimilarity, KLDivergence, LogCoshError, MeanAbsoluteError,
    MeanAbsolutePercentageError, MeanSquaredError, MeanSquaredLogarithmicError, RootMeanSquaredError, Poisson,
)  # fmt: skip
FUNCTIONS = (
    binary_accuracy, categorical_accuracy, sparse_categorical_accuracy, top_k_categorical_accuracy,
    sparse_top_k_categorical_accuracy, binary_crossentropy, categorical_crossentropy, sparse_categorical_crossentropy,
    categorical_hinge, hinge, squared_hinge, huber, kl_divergence, log_cosh, mean_absolute_error,
    mean_absolute_percentage_error, mean_squared_error, mean_squared_logarithmic_error, poisson,
)  # fmt: skip
SHORT = {
    "bce": BinaryCrossentropy, "mae": MeanAbsoluteError, "mse": MeanSquaredError, "mape": MeanAbsolutePercentageError,
    "msle": MeanSquaredLogarithmicError,
}  # fmt: skip
KNOWN = names_of(*CLASSES) | SHORT | {name.upper(): kind for name, kind in SHORT.items()}
MISSING = [
    "BinaryIoU", "ConcordanceCorrelation", "IoU", "MeanIoU", "OneHotIoU", "OneHotMeanIoU", "PearsonCorrelation",
    "PrecisionAtRecall", "R2Score", "RecallAtPrecision", "SensitivityAtSpecificity", "SpecificityAtSensitivity",
]  # fmt: skip
ACCURACIES = {"binary": BinaryAccuracy, "sparse": SparseCategoricalAccuracy, "rows": CategoricalAccuracy}

__all__ = [
    "AUC", "Accuracy", "BinaryAccuracy", "BinaryCrossentropy", "CategoricalAccuracy", "CategoricalCrossentropy",
    "CategoricalHinge", "CosineSimilarity", "F1Score", "FBetaScore", "FalseNegatives", "FalsePositives", "Hinge",
    "KLDivergence", "LogCoshError", "Mean", "MeanAbsoluteError", "MeanAbsolutePercentageError", "MeanMetricWrapper",
    "MeanSquaredError", "MeanSquaredLogarithmicError", "Metric", "Poisson", "Precision", "Recall",
    "RootMeanSquaredError", "SparseCategoricalAccuracy", "SparseCategoricalCrossentropy",
    "SparseTopKCategoricalAccuracy", "SquaredHinge", "Sum", "TopKCategoricalAccuracy", "TrueNegatives", "TruePositives",
    "binary_accuracy", "binary_crossentropy", "categorical_accuracy", "categorical_crossentropy", "categorical_hinge",
    "deserialize", "get", "hinge", "huber", "kl_divergence", "log_cosh", "mean_absolute_error",
    "mean_absolute_percentage_error", "mean_squared_error", "mean_squared_logarithmic_error", "poisson", "serialize",
    "sparse_categorical_accuracy", "sparse_categorical_crossentropy", "sparse_top_k_categorical_accuracy",
    "squared_hinge", "top_k_categorical_accuracy",
]  # fmt: skip


def get(identifier: Any, y_true_shape: Sequence[int] | None = None, y_pred_shape: Sequence[int] | None = None) -> Any:
    """The metric of a name, of a dict made by serialize(), a class, a function or a metric itself; None stays None.

    With the shapes of targets and predictions, get() does what compile() does: it always returns a Metric, called what
    the name was, and "accuracy" or "acc" is the accuracy that fits them. ValueError for anything else,
    NotImplementedError for a metric that only Keras has.
    """
    if y_true_shape is None or y_pred_shape is None or identifier is None:
        return find("metric", identifier, KNOWN, MISSING)
    if isinstance(identifier, str) and identifier.lower() in ("accuracy", "acc"):
        return ACCURACIES[kind_of_targets(y_true_shape, y_pred_shape)](name=identifier)
    found = find("metric", identifier, KNOWN, MISSING)
    if not isinstance(found, Metric):
        found = MeanMetricWrapper(found)
    if isinstance(identifier, str):
        found.name = identifier
    return found


def serialize(metric: Any) -> dict[str, Any]:
    """A dict that deserialize(), here and in Keras, makes an equal, empty metric of."""
    return serialise("keras.metrics", metric)


def deserialize(config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None) -> Any:
    """The metric that serialize() described."""
    return deserialise("metric", config, KNOWN, custom_objects)
