"""minidl: a deep-learning framework to read in an afternoon.

Reading order is dependency order: backend, modes, tensor, ops/, functions, layers/, losses, optimisers, training/.
"""

from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING

from minidl import displays as displays  # gives tensors and networks what they show themselves with
from minidl import numpy_functions as numpy_functions  # says what NumPy's functions do with tensors
from minidl.backend import use_backend
from minidl.dlpack import from_dlpack
from minidl.functions import (
    elu,
    flatten,
    gelu,
    identity,
    leakyrelu,
    logsoftmax,
    relu,
    sigmoid,
    softmax,
    softplus,
    swish,
    tanh,
)
from minidl.gradient_check import GradientError, UndecidedError, check_gradients
from minidl.layers import (
    AdaptiveMaxPool,
    AdaptiveMeanPool,
    BatchNorm,
    Chain,
    Conv,
    ConvTranspose,
    Dense,
    Dropout,
    GlobalMaxPool,
    GlobalMeanPool,
    GroupNorm,
    Layer,
    LayerNorm,
    MaxPool,
    MeanPool,
    Parallel,
    SamePad,
    SkipConnection,
    Upsample,
    activations,
    freeze,
    testmode,
    thaw,
    trainmode,
)
from minidl.layers.moving import cpu, gpu
from minidl.modes import exact_convolution, no_grad, training_mode, unfused
from minidl.ops.threads import set_threads
from minidl.randomness import seed
from minidl.tensor import Tensor, grad

__version__ = "0.1.0"

__all__ = [
    "AdaptiveMaxPool", "AdaptiveMeanPool", "BatchNorm", "Chain", "Conv", "ConvTranspose", "Dense", "Dropout",
    "GlobalMaxPool", "GlobalMeanPool", "GradientError", "GroupNorm", "Layer", "LayerNorm", "MaxPool", "MeanPool",
    "Parallel", "SamePad", "SkipConnection", "Tensor", "UndecidedError", "Upsample", "activations",
    "check_gradients", "cpu", "elu", "exact_convolution", "flatten", "freeze", "from_dlpack", "gelu", "gpu", "grad",
    "identity", "leakyrelu", "logsoftmax", "no_grad", "relu", "seed", "set_threads", "sigmoid", "softmax", "softplus",
    "swish", "tanh", "testmode", "thaw", "training_mode", "trainmode", "unfused", "use_backend",
]  # fmt: skip

if TYPE_CHECKING:
    from minidl import data as data
    from minidl import exercises as exercises
    from minidl import explain as explain
    from minidl import functions as functions
    from minidl import gradient_rules as gradient_rules
    from minidl import interchange as interchange
    from minidl import keras as keras
    from minidl import layers as layers
    from minidl import losses as losses
    from minidl import metrics as metrics
    from minidl import models as models
    from minidl import optimisers as optimisers
    from minidl import prediction as prediction
    from minidl import schedules as schedules
    from minidl import summary as summary
    from minidl import training as training

# Loaded when first asked for: `import minidl` is enough for minidl.losses.mse
MODULES = (
    "data", "exercises", "explain", "functions", "gradient_rules", "interchange", "keras", "layers",
    "losses", "metrics", "models", "optimisers", "prediction", "schedules", "summary", "training",
)  # fmt: skip


def __getattr__(name: str) -> ModuleType:
    if name in MODULES:
        return import_module(f"minidl.{name}")
    raise AttributeError(f"module 'minidl' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *MODULES})
