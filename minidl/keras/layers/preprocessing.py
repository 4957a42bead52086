"""Layers of Keras that prepare images: scaling always, random changes in training only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy

from minidl.keras.layers.layer import Part, SameShape
from minidl.keras.layers.normalisation import only_axis
from minidl.keras.layers.windows import check_channels_last, images_shape
from minidl.keras.symbolic import Shape
from minidl.modes import training_step
from minidl.ops.elementwise import clip, maximum, where
from minidl.ops.shaping import getitem
from minidl.randomness import current_seed
from minidl.tensor import Tensor


class Rescaling(SameShape):
    """x * scale + offset: Rescaling(1 / 255) brings pixels into 0...1."""

    configured = ("scale", "offset")

    def __init__(self, scale: Any, offset: Any = 0.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.scale, self.offset = scale, offset

    def make(self, shape: Shape) -> tuple[list[Part], dict[str, Tensor]]:
        return [self._scaled], {}

    def _scaled(self, x: Tensor) -> Tensor:
        scale, offset = (Tensor(numpy.asarray(value, x.dtype), x.backend) for value in (self.scale, self.offset))
        return x * scale + offset


class Normalization(SameShape):
    """(x - mean) / sqrt(variance), for given numbers or those of data: adapt(data). Each channel by itself."""

    configured = ("axis", "mean", "variance", "invert")

    def __init__(self, axis: int | None = -1, mean: Any = None, variance: Any = None, invert: bool = False,
                 **kwargs: Any) -> None:  # fmt: skip
        super().__init__(**kwargs)
        self.axis = only_axis(axis)
        if self.axis not in (-1, None):
            raise NotImplementedError(
                f"Normalization: axis {axis} is not supported; use -1 (each channel) or None (all)"
            )
        if (mean is None) != (variance is None):
            raise ValueError("Normalization: expected both mean and variance, or neither and a call of adapt(data)")
        self.mean, self.variance, self.invert = mean, variance, invert

    def adapt(self, data: Any) -> None:
        """Take mean and variance from the data (n, ..., channels)."""
        data = numpy.asarray(data, numpy.float64)
        self._build_once((None, *data.shape[1:]))
        if self.mean is not None:
            raise ValueError(f"{self.name}: mean and variance were given; there is nothing to adapt")
        axes = None if self.axis is None else tuple(range(data.ndim - 1))
        mean, variance = data.mean(axes, dtype=numpy.float64), data.var(axes, dtype=numpy.float64)
        numbers = {"mean": mean, "variance": variance, "count": len(data)}
        for name, number in numbers.items():
            self._own[name].array = numpy.asarray(number, numpy.float32)

    def make(self, shape: Shape) -> tuple[list[Part], dict[str, Tensor]]:
        if self.mean is not None:
            return [self._normalised], {}
        size: Any = () if self.axis is None else (shape[-1],)
        zeros, ones, none = numpy.zeros(size), numpy.ones(size), numpy.zeros(())
        numbers = {"mean": zeros, "variance": ones, "count": none}
        self._fixed = set(numbers)
        return [self._normalised], {name: Tensor(x.astype(numpy.float32)) for name, x in numbers.items()}

    def _normalised(self, x: Tensor) -> Tensor:
        if self.mean is not None:
            mean, variance = (Tensor(numpy.asarray(value, x.dtype), x.backend) for value in (self.mean, self.variance))
        else:
            mean, variance = self._own["mean"], self._own["variance"]
        width = maximum(variance.sqrt(), float(numpy.finfo(x.dtype).eps))
        return x * width + mean if self.invert else (x - mean) / width


class _Random(SameShape):
    """Changes images in training. What is drawn follows utils.set_random_seed() and the step; `seed` adds to it."""

    seed: int | None

    def make(self, shape: Shape) -> tuple[list[Part], dict[str, Tensor]]:
        images_shape(self.name, shape)
        return [self._changed_in_training], {}

    def _changed_in_training(self, x: Tensor) -> Tensor:
        step = training_step()
        if step is None:
            return self.unchanged(x)
        return self.changed(x, numpy.random.default_rng([current_seed(), self.seed or 0, *step.next_mask()]))

    def unchanged(self, x: Tensor) -> Tensor:
        """What comes out in evaluation."""
        return x

    def changed(self, x: Tensor, generator: numpy.random.Generator) -> Tensor:
        """What comes out in training."""
        raise NotImplementedError


class RandomFlip(_Random):
    """Mirror each image with probability one half: "horizontal", "vertical" or both."""

    configured = ("mode", "seed", "data_format")

    def __init__(self, mode: str = "horizontal_and_vertical", seed: int | None = None, data_format: str | None = None,
                 **kwargs: Any) -> None:  # fmt: skip
        super().__init__(**kwargs)
        check_channels_last("RandomFlip", data_format)
        if mode not in ("horizontal", "vertical", "horizontal_and_vertical"):
            raise ValueError(f"RandomFlip: expected mode horizontal, vertical or horizontal_and_vertical, got {mode!r}")
        self.mode, self.seed, self.data_format = mode, seed, "channels_last"

    def changed(self, x: Tensor, generator: numpy.random.Generator) -> Tensor:
        everything, mirrored = slice(None), slice(None, None, -1)
        for direction, key in (
            ("horizontal", (everything, everything, mirrored)),
            ("vertical", (everything, mirrored)),
        ):
            if direction in self.mode:
                chosen = generator.random((x.shape[0], 1, 1, 1)) < 0.5
                x = where(x.backend.asarray(chosen), getitem(x, key), x)
        return x


class RandomCrop(_Random):
    """A window of height x width pixels: anywhere in training, one place for the whole batch; else in the middle."""

    configured = ("height", "width", "seed", "data_format")

    def __init__(self, height: int, width: int, seed: int | None = None, data_format: str | None = None,
                 **kwargs: Any) -> None:  # fmt: skip
        super().__init__(**kwargs)
        check_channels_last("RandomCrop", data_format)
        self.height, self.width, self.seed, self.data_format = height, width, seed, "channels_last"

    def make(self, shape: Shape) -> tuple[list[Part], dict[str, Tensor]]:
        self._check(images_shape(self.name, shape)[:2])
        return super().make(shape)

    def _check(self, sizes: Sequence[int | None]) -> None:
        for pixels, wanted in zip(sizes, (self.height, self.width), strict=True):
            if pixels is not None and pixels < wanted:
                raise ValueError(f"{self.name}: expected images of at least {self.height, self.width} pixels, got "
                                 f"{tuple(sizes)}; put ZeroPadding2D in front")  # fmt: skip

    def unchanged(self, x: Tensor) -> Tensor:
        _, h, w, _ = x.shape
        return self._cut(x, (h - self.height) // 2, (w - self.width) // 2)

    def changed(self, x: Tensor, generator: numpy.random.Generator) -> Tensor:
        _, h, w, _ = x.shape
        self._check((h, w))
        return self._cut(x, *(int(generator.integers(free + 1)) for free in (h - self.height, w - self.width)))

    def _cut(self, x: Tensor, top: int, left: int) -> Tensor:
        return getitem(x, (slice(None), slice(top, top + self.height), slice(left, left + self.width)))

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return input_shape[0], self.height, self.width, input_shape[3]


class RandomBrightness(_Random):
    """Add a number to each image, drawn from -factor...factor (or a pair) times the range; then clip to that."""

    configured = ("factor", "value_range", "seed")

    def __init__(self, factor: Any, value_range: Sequence[float] = (0, 255), seed: int | None = None,
                 **kwargs: Any) -> None:  # fmt: skip
        check_channels_last("RandomBrightness", kwargs.pop("data_format", None))
        super().__init__(**kwargs)
        self.factor = tuple(factor) if isinstance(factor, list | tuple) else (-abs(factor), abs(factor))
        if len(self.factor) != 2 or not -1 <= self.factor[0] <= self.factor[1] <= 1:
            raise ValueError(f"RandomBrightness: expected a factor or a pair of them within -1...1, got {factor!r}")
        self.value_range, self.seed = tuple(value_range), seed

    def changed(self, x: Tensor, generator: numpy.random.Generator) -> Tensor:
        low, high = self.value_range
        least, most = self.factor
        added = generator.uniform(least, most, (x.shape[0], 1, 1, 1)) * (high - low)
        return clip(x + Tensor(added.astype(x.dtype), x.backend), low, high)
