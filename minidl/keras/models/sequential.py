"""Sequential: layers one behind the other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from minidl.keras.layers.input import Input, InputLayer
from minidl.keras.layers.layer import Layer
from minidl.keras.models.model import Model
from minidl.keras.symbolic import KerasTensor, Shape


class Sequential(Model):
    """Sequential([Input((32, 32, 3)), Flatten(), Dense(10)]), or empty, with layers added by add().

    Without an Input, and without input_shape in the first layer, the weights are made when the first data come.
    """

    def __init__(self, layers: Sequence[Any] | None = None, trainable: bool = True, name: str | None = None) -> None:
        super().__init__(name=name)
        self._stack: list[Layer] = []
        self._start: KerasTensor | None = None
        self._end: KerasTensor | None = None
        self._several_outputs = False
        for layer in layers or []:
            self._append(layer)
        self._rejoin()
        if not trainable:
            self.trainable = False

    def add(self, layer: Any) -> None:
        """Put a layer, or an Input, behind the others."""
        self._append(layer)
        self._rejoin()

    def pop(self) -> Layer:
        """Take the last layer away."""
        if not self._stack:
            raise ValueError(f"{self.name}: there is no layer to pop")
        last = self._stack.pop()
        if self._end is not None:
            self._end = self._end.node.inputs[0]
        self._rejoin()
        return last

    def _append(self, layer: Any) -> None:
        if isinstance(layer, KerasTensor | InputLayer):
            self._begin(layer if isinstance(layer, KerasTensor) else layer.output)
            return
        if not isinstance(layer, Layer):
            raise TypeError(f"{self.name}: expected a layer, got {layer!r}; for a function use Activation(function)")
        if any(layer.name == other.name for other in self._stack):
            raise ValueError(f"{self.name}: expected layers of different names, got another one called {layer.name!r}")
        if not self._stack and self._start is None:
            if isinstance(layer, Model) and layer.built:
                self._begin(Input(batch_shape=layer.input_shape))
            elif layer._first_shape is not None:
                self._begin(Input(batch_shape=layer._first_shape))
        if self._end is not None:
            self._end = layer(self._end)
        self._stack.append(layer)

    def _begin(self, start: KerasTensor) -> None:
        if self._stack or self._start is not None:
            raise ValueError(f"{self.name}: an Input comes first, and once")
        self._start = self._end = start

    def _rejoin(self) -> None:
        if self._start is not None and self._end is not None and self._stack:
            self._join(self._start, self._end)
        else:
            self._graph, self.built = None, False

    def build(self, input_shape: Any = None) -> None:
        """Make the weights, for inputs of that shape, batch included."""
        if not self._stack:
            raise ValueError(f"{self.name}: expected at least one layer; add() one")
        if self._start is not None:
            return
        if input_shape is None:
            raise ValueError(f"{self.name}: expected an input_shape, batch included, such as (None, 32, 32, 3)")
        self._start = end = Input(batch_shape=(None, *input_shape[1:]))
        for layer in self._stack:
            end = layer(end)
        self._end = end
        self._rejoin()

    @property
    def layers(self) -> list[Layer]:
        """The layers in order, without the InputLayer."""
        return list(self._stack)

    def layers_inside(self) -> Iterator[Layer]:
        return iter(self._stack)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        if type(self).call is not Model.call:
            return super().compute_output_shape(input_shape)
        shape = input_shape
        for layer in self._stack:
            shape = layer.compute_output_shape(shape)
        return shape
