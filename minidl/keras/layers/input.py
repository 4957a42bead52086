"""Where a network begins."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from minidl.keras.layers.floats import dtype_name
from minidl.keras.layers.layer import Layer, Part
from minidl.keras.symbolic import KerasTensor, Node, Shape
from minidl.operands import is_whole_number
from minidl.tensor import Tensor


class InputLayer(Layer):
    """A place for the input, of known shape, without the batch: InputLayer((32, 32, 3))."""

    def __init__(
        self, shape: Sequence[int | None] | None = None, batch_size: int | None = None, dtype: Any = None,
        batch_shape: Sequence[int | None] | None = None, sparse: bool = False, ragged: bool = False,
        name: str | None = None, **kwargs: Any,
    ) -> None:  # fmt: skip
        if sparse or ragged:
            raise NotImplementedError("Input: sparse and ragged inputs are not supported; use arrays")
        if (shape is None) == (batch_shape is None):
            raise ValueError("Input: expected shape, without the batch, such as Input(shape=(32, 32, 3))")
        super().__init__(name=name, **{key: value for key, value in kwargs.items() if key not in ("optional",)})
        if shape is not None and not isinstance(shape, Iterable):
            raise ValueError(f"Input: expected shape as a tuple, got {shape!r}; write Input(({shape},))")
        given = (batch_size, *shape) if shape is not None else tuple(batch_shape or ())
        self.batch_shape: Shape = tuple(int(size) if is_whole_number(size) else size for size in given)
        for size in self.batch_shape:
            if size is not None and (not is_whole_number(size) or size < 1):
                raise ValueError(f"Input: expected sizes from 1, or None for any, got {self.batch_shape[1:]}")
        self.dtype = dtype_name(dtype)
        node = Node(self, [])
        node.output = KerasTensor(self.batch_shape, node, self.dtype)
        self._nodes.append(node)
        self.built = True

    def make(self, shape: Any) -> tuple[list[Part], dict[str, Tensor]]:
        return [], {}

    def get_config(self) -> dict[str, Any]:
        return {"batch_shape": list(self.batch_shape), "dtype": self.dtype, "sparse": False, "ragged": False,
                "name": self.name}  # fmt: skip

    @property
    def input(self) -> KerasTensor:
        return self.output


def Input(
    shape: Sequence[int | None] | None = None, batch_size: int | None = None, dtype: Any = None,
    name: str | None = None, batch_shape: Sequence[int | None] | None = None, **kwargs: Any,
) -> KerasTensor:  # fmt: skip
    """The KerasTensor that a functional model begins with; None in `shape` stands for any size."""
    return InputLayer(shape, batch_size, dtype, batch_shape, name=name, **kwargs).output
