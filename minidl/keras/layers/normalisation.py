"""Normalisation layers of Keras."""

from __future__ import annotations

from typing import Any

from minidl import layers as minidl_layers
from minidl.keras import initializers, regularizers
from minidl.keras.layers.layer import Part, SameShape
from minidl.keras.symbolic import Shape
from minidl.tensor import Tensor


class _Normalization(SameShape):
    """gamma and beta, which all of them have."""

    configured: tuple[str, ...] = (
        "axis", "epsilon", "center", "scale", "beta_initializer", "gamma_initializer", "beta_regularizer",
        "gamma_regularizer",
    )  # fmt: skip

    def __init__(
        self, axis: int = -1, epsilon: float = 1e-3, center: bool = True, scale: bool = True,
        beta_initializer: object = "zeros", gamma_initializer: object = "ones", beta_regularizer: object = None,
        gamma_regularizer: object = None, **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(**kwargs)
        self.axis, self.epsilon, self.center, self.scale = only_axis(axis), epsilon, center, scale
        self.beta_initializer = initializers.get(beta_initializer)
        self.gamma_initializer = initializers.get(gamma_initializer)
        self.beta_regularizer = regularizers.get(beta_regularizer)
        self.gamma_regularizer = regularizers.get(gamma_regularizer)

    def channels(self, shape: Shape) -> int:
        """The size of the last axis, which is the one to normalise."""
        if len(shape) < 2 or shape[-1] is None:
            raise ValueError(f"{self.name}: expected inputs (n, ..., channels), got shape {shape}")
        if self.axis not in (-1, len(shape) - 1):
            raise NotImplementedError(f"{self.name}: axis {self.axis} is not supported; channels are the last axis, "
                                      f"axis=-1")  # fmt: skip
        return shape[-1]

    def gamma_and_beta(self, norm: Any) -> dict[str, Tensor]:
        """scale and shift of a minidl layer by Keras's names. What the layer goes without stays 1 or 0."""
        weights = {}
        for name, x, used, initializer in (
            ("gamma", norm.scale, self.scale, self.gamma_initializer),
            ("beta", norm.shift, self.center, self.beta_initializer),
        ):
            x.requires_grad = used
            if used:
                x.array = initializer(x.shape)
                weights[name] = x
        return weights


class BatchNormalization(_Normalization):
    """Normalise each channel over the batch in training, with running averages in evaluation.

    moving = momentum * moving + (1 - momentum) * batch, the variance divided by n (minidl's BatchNorm: by n - 1).
    Not trained (trainable = False), it does in training what it does in evaluation.
    """

    configured = (
        *_Normalization.configured, "momentum", "moving_mean_initializer", "moving_variance_initializer",
    )  # fmt: skip

    def __init__(
        self, axis: int = -1, momentum: float = 0.99, epsilon: float = 1e-3, center: bool = True, scale: bool = True,
        beta_initializer: object = "zeros", gamma_initializer: object = "ones",
        moving_mean_initializer: object = "zeros", moving_variance_initializer: object = "ones",
        beta_regularizer: object = None, gamma_regularizer: object = None, **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(
            axis, epsilon, center, scale, beta_initializer, gamma_initializer, beta_regularizer, gamma_regularizer,
            **kwargs,
        )  # fmt: skip
        self.momentum = momentum
        self.moving_mean_initializer = initializers.get(moving_mean_initializer)
        self.moving_variance_initializer = initializers.get(moving_variance_initializer)

    def make(self, shape: Shape) -> tuple[list[Part], dict[str, Tensor]]:
        norm = minidl_layers.BatchNorm(
            self.channels(shape), eps=self.epsilon, momentum=1 - self.momentum, unbiased=False
        )
        norm.mean.array = self.moving_mean_initializer(norm.mean.shape)
        norm.variance.array = self.moving_variance_initializer(norm.variance.shape)
        self._fixed = {"moving_mean", "moving_variance"}
        averages = {"moving_mean": norm.mean, "moving_variance": norm.variance}
        return [norm], self.gamma_and_beta(norm) | averages

    def _mark_trained(self) -> None:
        super()._mark_trained()
        for norm in self._parts:
            norm.active = None if self.trainable else False  # type: ignore[attr-defined]


def only_axis(axis: Any) -> Any:
    """A number, which Keras writes as a list of one into some files."""
    return axis[0] if isinstance(axis, list | tuple) and len(axis) == 1 else axis


class LayerNormalization(_Normalization):
    """Normalise the last axis of each sample (Ba et al. 2016)."""

    def __init__(self, axis: int = -1, epsilon: float = 1e-3, center: bool = True, scale: bool = True,
                 **kwargs: Any) -> None:  # fmt: skip
        super().__init__(axis, epsilon, center, scale, **kwargs)

    def make(self, shape: Shape) -> tuple[list[Part], dict[str, Tensor]]:
        norm = minidl_layers.LayerNorm(self.channels(shape), eps=self.epsilon)
        return [norm], self.gamma_and_beta(norm)


class GroupNormalization(_Normalization):
    """Normalise each image by itself, in groups of channels (Wu and He 2018); groups=-1: each channel by itself."""

    configured = ("groups", *_Normalization.configured)

    def __init__(self, groups: int = 32, axis: int = -1, epsilon: float = 1e-3, center: bool = True,
                 scale: bool = True, **kwargs: Any) -> None:  # fmt: skip
        super().__init__(axis, epsilon, center, scale, **kwargs)
        self.groups = groups

    def make(self, shape: Shape) -> tuple[list[Part], dict[str, Tensor]]:
        channels = self.channels(shape)
        norm = minidl_layers.GroupNorm(channels, channels if self.groups == -1 else self.groups, eps=self.epsilon)
        return [norm], self.gamma_and_beta(norm)
