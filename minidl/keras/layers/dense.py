"""Dense layers, activations as layers, and dropout."""

from __future__ import annotations

from functools import partial
from typing import Any

from minidl import layers as minidl_layers
from minidl.keras import activations, initializers, regularizers
from minidl.keras.layers.kernel_layer import KernelLayer
from minidl.keras.layers.layer import Part, SameShape
from minidl.keras.layers.windows import check_channels_last, images_shape
from minidl.keras.symbolic import Shape
from minidl.modes import training_step
from minidl.operands import is_whole_number
from minidl.ops.dropout.op import dropout
from minidl.ops.elementwise import identity, leakyrelu, where
from minidl.ops.softmax.op import softmax
from minidl.randomness import current_seed
from minidl.tensor import Tensor


class Dense(KernelLayer):
    """x (..., in) @ kernel (in, units) + bias (units,), then the activation."""

    configured = ("units", *KernelLayer.last_configured)

    def __init__(
        self,
        units: int,
        activation: object = None,
        use_bias: bool = True,
        kernel_initializer: object = "glorot_uniform",
        bias_initializer: object = "zeros",
        kernel_regularizer: object = None,
        bias_regularizer: object = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            activation, use_bias, kernel_initializer, bias_initializer, kernel_regularizer, bias_regularizer, **kwargs
        )
        if not is_whole_number(units) or units < 1:
            raise ValueError(f"Dense: expected units to be a whole number from 1, got {units!r}")
        self.units = units

    def make(self, shape: Shape) -> tuple[list[Part], dict[str, Tensor]]:
        if len(shape) < 2 or shape[-1] is None:
            raise ValueError(f"{self.name}: expected inputs (n, ..., features), got shape {shape}; if these are images "
                             f"put Flatten() or GlobalAveragePooling2D() in front")  # fmt: skip
        dense = minidl_layers.Dense(shape[-1], self.units, bias=self.use_bias, init=self.drawn())

        part = dense if len(shape) == 2 else partial(_over_rows, dense)
        return self.activated(part), self.kernel_and_bias(dense)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return (*input_shape[:-1], self.units)


def _over_rows(dense: minidl_layers.Dense, x: Tensor) -> Tensor:
    return dense(x.reshape(-1, x.shape[-1])).reshape(*x.shape[:-1], dense.weight.shape[1])


class _WithoutWeights(SameShape):
    """A layer without weights that leaves the shape as it is."""

    def make(self, shape: Shape) -> tuple[list[Part], dict[str, Tensor]]:
        return self.functions(), {}

    def functions(self) -> list[Part]:
        raise NotImplementedError


class Activation(_WithoutWeights):
    """A function by itself: Activation("relu")."""

    configured = ("activation",)

    def __init__(self, activation: object, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.activation = activations.get(activation)

    def functions(self) -> list[Part]:
        return [] if self.activation is identity else [self.activation]


class ReLU(_WithoutWeights):
    """max(x, 0); with max_value, negative_slope and threshold as activations.relu has them."""

    configured = ("max_value", "negative_slope", "threshold")

    def __init__(
        self, max_value: float | None = None, negative_slope: float = 0.0, threshold: float = 0.0, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.max_value, self.negative_slope, self.threshold = max_value, negative_slope, threshold

    def functions(self) -> list[Part]:
        if (self.max_value, self.negative_slope, self.threshold) == (None, 0, 0):
            return [activations.get("relu")]
        part = partial(
            activations.relu, negative_slope=self.negative_slope, max_value=self.max_value, threshold=self.threshold
        )
        return [part]


class LeakyReLU(_WithoutWeights):
    """x for x > 0, else negative_slope * x."""

    configured = ("negative_slope",)

    def __init__(self, negative_slope: float = 0.3, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.negative_slope = negative_slope

    def functions(self) -> list[Part]:
        return [partial(leakyrelu, slope=self.negative_slope)]


class ELU(_WithoutWeights):
    """x for x > 0, else alpha * (e ** x - 1)."""

    configured = ("alpha",)

    def __init__(self, alpha: float = 1.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.alpha = alpha

    def functions(self) -> list[Part]:
        return [partial(activations.elu, alpha=self.alpha)]


class PReLU(SameShape):
    """x for x > 0, else alpha * x with an alpha for each feature, which is trained (He et al. 2015)."""

    configured = ("alpha_initializer", "alpha_regularizer", "shared_axes")

    def __init__(
        self, alpha_initializer: object = "Zeros", alpha_regularizer: object = None,
        shared_axes: list[int] | None = None, **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(**kwargs)
        self.alpha_initializer = initializers.get(alpha_initializer)
        self.alpha_regularizer = regularizers.get(alpha_regularizer)
        self.shared_axes = shared_axes

    def make(self, shape: Shape) -> tuple[list[Part], dict[str, Tensor]]:
        sizes = [1 if axis in (self.shared_axes or ()) else size for axis, size in enumerate(shape)][1:]
        if None in sizes:
            raise ValueError(f"{self.name}: expected inputs of known size, got {shape}; name axes to share an alpha "
                             f"along in shared_axes")  # fmt: skip
        alpha = Tensor(self.alpha_initializer(tuple(sizes)), requires_grad=True)
        return [partial(_prelu, alpha)], {"alpha": alpha}


def _prelu(alpha: Tensor, x: Tensor) -> Tensor:
    return where(x > 0, x, alpha * x)


class Softmax(_WithoutWeights):
    """Probabilities of scores along the last axis."""

    configured = ("axis",)

    def __init__(self, axis: int = -1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if axis != -1:
            raise NotImplementedError(f"Softmax: axis {axis} is not supported; put the classes last, axis=-1")
        self.axis = axis

    def functions(self) -> list[Part]:
        return [softmax]


class Dropout(_WithoutWeights):
    """In training, set each number to 0 with probability `rate` and divide the others by 1 - rate.

    The masks follow utils.set_random_seed(); `seed` is kept and does not change them.
    """

    configured = ("rate", "seed", "noise_shape")

    def __init__(self, rate: float, noise_shape: object = None, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if noise_shape is not None:
            raise NotImplementedError("Dropout: noise_shape is not supported; SpatialDropout2D drops whole channels")
        self.noise_shape, self.rate, self.seed = noise_shape, rate, seed
        minidl_layers.Dropout(rate)  # for its check

    def functions(self) -> list[Part]:
        return [minidl_layers.Dropout(self.rate)]


class SpatialDropout2D(_WithoutWeights):
    """Dropout that sets whole channels of an image to 0 (Tompson et al. 2014)."""

    configured = ("rate", "seed", "data_format")

    def __init__(self, rate: float, data_format: str | None = None, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        minidl_layers.Dropout(rate)  # for its check
        check_channels_last("SpatialDropout2D", data_format)
        self.rate, self.seed, self.data_format = rate, seed, "channels_last"

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        del config["trainable"]  # which Keras's does not take
        return config

    def make(self, shape: Shape) -> tuple[list[Part], dict[str, Tensor]]:
        images_shape(self.name, shape)
        return super().make(shape)

    def functions(self) -> list[Part]:
        return [self._without_some_channels]

    def _without_some_channels(self, x: Tensor) -> Tensor:
        step = training_step()
        if step is None:
            return x
        n, _, _, channels = x.shape
        ones = Tensor(x.backend.xp.ones((n, 1, 1, channels), x.dtype), x.backend)
        return x * dropout(ones, self.rate, (current_seed(), *step.next_mask()))
