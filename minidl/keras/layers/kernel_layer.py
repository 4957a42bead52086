"""What layers with a kernel and a bias share: convolutions and Dense."""

from __future__ import annotations

from typing import Any

from minidl.keras import activations, initializers, regularizers
from minidl.keras.layers.layer import Layer, Part
from minidl.layers.initialisers import Initialiser
from minidl.ops.elementwise import identity
from minidl.tensor import Tensor


class KernelLayer(Layer):
    """Their last arguments."""

    last_configured: tuple[str, ...] = (
        "activation", "use_bias", "kernel_initializer", "bias_initializer", "kernel_regularizer", "bias_regularizer",
    )  # fmt: skip

    def __init__(
        self, activation: object, use_bias: bool, kernel_initializer: object, bias_initializer: object,
        kernel_regularizer: object, bias_regularizer: object, **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(**kwargs)
        self.activation, self.use_bias = activations.get(activation), use_bias
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.bias_initializer = initializers.get(bias_initializer)
        self.kernel_regularizer = regularizers.get(kernel_regularizer)
        self.bias_regularizer = regularizers.get(bias_regularizer)

    def activated(self, part: Part) -> list[Part]:
        """The part, and the activation behind it if there is one."""
        return [part] if self.activation is identity else [part, self.activation]

    def drawn(self) -> Initialiser:
        """The kernel's initializer, which knows its generator, as minidl's layers call it, which pass theirs."""
        return lambda shape, _: self.kernel_initializer(tuple(shape))

    def kernel_and_bias(self, layer: Any) -> dict[str, Tensor]:
        """A minidl layer's weight and bias by Keras's names, the bias set to what its initializer gives."""
        if layer.bias is None:
            return {"kernel": layer.weight}
        layer.bias.array = self.bias_initializer(layer.bias.shape)
        return {"kernel": layer.weight, "bias": layer.bias}
