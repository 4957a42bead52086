"""minidl: a deep-learning framework to read in an afternoon.

Reading order is dependency order: backend, modes, tensor, ops/, functions, layers/, losses, optimisers, training/.
"""

from minidl import displays as displays  # gives tensors and networks what they show themselves with
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
from minidl.gradient_check import check_gradients
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
    "GlobalMaxPool", "GlobalMeanPool", "GroupNorm", "Layer", "LayerNorm", "MaxPool", "MeanPool", "Parallel", "SamePad",
    "SkipConnection", "Tensor", "Upsample", "activations", "check_gradients", "cpu", "elu", "exact_convolution",
    "flatten", "freeze", "from_dlpack", "gelu", "gpu", "grad", "identity", "leakyrelu", "logsoftmax", "no_grad", "relu",
    "seed", "set_threads", "sigmoid", "softmax", "softplus", "swish", "tanh", "testmode", "thaw", "training_mode",
    "trainmode", "unfused", "use_backend",
]  # fmt: skip
