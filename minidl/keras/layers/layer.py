"""What all layers of Keras's front door share.

A layer here is a description, from which build() makes minidl's layers and functions, once the shape of the input is
known: Dense(10, activation="softmax") becomes [minidl.Dense(512, 10), softmax]. These parts do the work. A model puts
the parts of all its layers into one Chain, so that both front doors run the same code.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from inspect import Parameter, signature
from itertools import count
from typing import Any

import numpy

from minidl.backend import Backend, default_backend
from minidl.keras import activations
from minidl.keras.layers.arguments import check_unsupported
from minidl.keras.layers.floats import as_tensor, dtype_name
from minidl.keras.layers.weights import Weighted
from minidl.keras.objects import auto_name, plain
from minidl.keras.symbolic import KerasTensor, Node, Shape
from minidl.modes import evaluation_mode, no_grad, training_mode, training_step
from minidl.tensor import Tensor

Part = Callable[..., Any]
_steps_outside_fit = count()  # so that layer(x, training=True) draws new masks in each call


class Layer(Weighted):
    """A layer of Keras, or yours: define build(input_shape), which calls add_weight(), and call(inputs).

    Arguments that all layers take: `name`; `trainable`; `input_shape`, without the batch, of the first layer of a
    Sequential, or `input_dim`, if that is one number; `dtype`, which is "float32".
    """

    _given: dict[str, Any]
    __signature__: Any
    takes_several = False  # whether it is called on a list of inputs
    configured: tuple[str, ...] = ()  # the arguments of a layer of Keras, which are its attributes too

    def __init_subclass__(cls) -> None:
        """What inspect and help() show are the arguments of __init__(), not those of __new__()."""
        rules = signature(cls.__init__)
        cls.__signature__ = rules.replace(parameters=list(rules.parameters.values())[1:])

    def __new__(cls, *given: Any, **named: Any) -> Any:
        """Keeps what a layer is made with, for get_config()."""
        layer = super().__new__(cls)
        layer._given = _arguments(cls, given, named)
        return layer

    def __init__(
        self,
        *,
        name: str | None = None,
        trainable: bool = True,
        dtype: object = None,
        input_shape: Sequence[int | None] | None = None,
        input_dim: int | None = None,
        **unknown: object,
    ) -> None:
        kind = type(self).__name__
        check_unsupported(kind, unknown)
        if dtype_name(dtype) != "float32":
            raise NotImplementedError(
                f"{kind}: expected dtype float32, got {dtype!r}; minidl.keras computes in float32"
            )
        super().__init__(auto_name(kind) if name is None else str(name), trainable)
        if input_dim is not None:
            input_shape = (input_dim,)
        self._first_shape: Shape | None = None if input_shape is None else (None, *input_shape)
        self._parts: list[Part] = []
        self._nodes: list[Node] = []

    # To be defined by layers ------------------------------------------------------------------------------------------

    def make(self, shape: Any) -> tuple[list[Part], dict[str, Tensor]]:
        """minidl's layers and functions for inputs of that shape, and their weights by Keras's names."""
        raise NotImplementedError(f"{type(self).__name__} does not define make()")

    def call(self, inputs: Any) -> Any:
        """What comes out for tensors that come in; layers of Keras leave it to their parts."""
        if type(self).make is Layer.make:
            raise NotImplementedError(f"{type(self).__name__} does not define call(self, inputs)")
        for part in self._parts:
            inputs = part(inputs)
        return inputs

    def compute_output_shape(self, input_shape: Any) -> Shape:
        """The shape of what comes out, batch included; found by trying when a layer does not define it.

        Where a size is unknown, two are tried: what differs in the results is unknown, too.
        """
        shapes = input_shape if self.takes_several else [input_shape]
        first = self._tried(shapes, 32)[1:]
        if not any(None in shape[1:] for shape in shapes):
            return (None, *first)
        return (None, *(a if a == b else None for a, b in zip(first, self._tried(shapes, 33)[1:], strict=True)))

    def _tried(self, shapes: Sequence[Shape], unknown: int) -> tuple[int, ...]:
        """The shape of what comes out for zeros; `unknown` stands for sizes that are None."""
        sizes = [[1, *(unknown if size is None else size for size in shape[1:])] for shape in shapes]
        zeros = [Tensor(numpy.zeros(size, numpy.float32), self._backend()) for size in sizes]
        with no_grad(), evaluation_mode():
            self._build_once(list(shapes) if self.takes_several else shapes[0])
            shape: tuple[int, ...] = self._called(zeros if self.takes_several else zeros[0]).shape
        return shape

    def get_config(self) -> dict[str, Any]:
        """The arguments that make such a layer, as JSON can hold them; of a layer of yours, those it was made with."""
        own = {name: plain(getattr(self, name)) for name in self.configured if name != "activation"}
        if not type(self).__module__.startswith("minidl.keras."):
            own |= {name: plain(value) for name, value in self._given.items()}
        if "activation" in self.configured:
            own["activation"] = activations.serialize(self.activation)
        return {"name": self.name, "trainable": self.trainable, "dtype": "float32", **own}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Layer:
        """The inverse of get_config()."""
        return cls(**config)

    def build(self, input_shape: Any) -> None:
        """Make the weights, for inputs of that shape."""
        if type(self).make is not Layer.make:
            self._parts, self._own = self.make(input_shape)

    # Calling ----------------------------------------------------------------------------------------------------------

    def __call__(self, inputs: Any, training: bool | None = None) -> Any:
        """On arrays or tensors: compute. On KerasTensors: note it down, and give the KerasTensor that will come out."""
        several = list(inputs) if isinstance(inputs, list | tuple) else [inputs]
        if len(several) > 1 and self._defines_call():
            self.takes_several = True
        symbolic = [isinstance(x, KerasTensor) for x in several]
        if any(symbolic):
            if not all(symbolic):
                raise TypeError(f"{self.name}: expected KerasTensors, got also numbers: {several}")
            return self._note_call(several, training)
        tensors = [as_tensor(x, self._backend()) for x in several]
        given = self._as_taken(tensors)
        self._build_once(self._as_taken([x.shape for x in tensors]))
        with in_mode(training):
            return self._called(given)

    def _as_taken(self, things: list[Any]) -> Any:
        """A list for layers that take one, else the only thing in it."""
        if self.takes_several:
            return things
        if len(things) != 1:
            raise ValueError(f"{self.name}: expected one input, got {len(things)}")
        return things[0]

    def _note_call(self, inputs: list[KerasTensor], training: bool | None) -> KerasTensor:
        shape = self._as_taken([x.shape for x in inputs])
        self._build_once(shape)
        node = Node(self, inputs, training)
        node.output = KerasTensor(self.compute_output_shape(shape), node)
        self._nodes.append(node)
        return node.output

    def _build_once(self, shape: Any) -> None:
        """Make the weights; those of layers that your call() uses, too, which are found by trying it."""
        if self.built:
            return
        self.build(shape)
        self.built = True
        if self._defines_call() and not all(layer.built for layer in self.layers_inside()):
            self._tried(shape if self.takes_several else [shape], 32)
        self._mark_trained()

    def _defines_call(self) -> bool:
        return type(self).call is not Layer.call

    def parts(self) -> list[Part]:
        """What does the work, for a Chain; a layer that defines call() is one part by itself."""
        return [self._called] if self._defines_call() else self._parts

    def named_parts(self) -> list[tuple[str, Part]]:
        """The parts, each with the name of the layer it belongs to."""
        return [(self.name, part) for part in self.parts()]

    def _called(self, inputs: Any) -> Any:
        """call(), told whether this is training if it wants to know."""
        told: dict[str, Any] = {}
        if "training" in signature(self.call).parameters:
            told["training"] = training_step() is not None
        return self.call(inputs, **told)

    def _backend(self) -> Backend:
        return next((x.backend for x in self.weights), default_backend())

    @property
    def input(self) -> Any:
        """The KerasTensor that the layer was first called on."""
        inputs = self._first_node().inputs
        return inputs if self.takes_several else inputs[0]

    @property
    def output(self) -> KerasTensor:
        """The KerasTensor that the layer gave when it was first called on one."""
        return self._first_node().output

    def _first_node(self) -> Node:
        if not self._nodes:
            raise AttributeError(f"{self.name} has no input and output: it has not been called on a KerasTensor")
        return self._nodes[0]

    def __repr__(self) -> str:
        return f"<{type(self).__name__} name={self.name}, built={self.built}>"


class SameShape(Layer):
    """A layer that leaves the shape as it is."""

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return input_shape


def _arguments(cls: type, given: Sequence[Any], named: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of a call of the class by name; none for a call that __init__() is going to refuse."""
    rules = signature(cls.__init__)  # type: ignore[misc]
    try:
        bound = rules.bind(None, *given, **named).arguments
    except TypeError:
        return {}
    found: dict[str, Any] = {}
    for name, value in list(bound.items())[1:]:  # the first is self
        found |= value if rules.parameters[name].kind is Parameter.VAR_KEYWORD else {name: value}
    return found


def in_mode(training: bool | None) -> AbstractContextManager[Any]:
    """A block in which layers do what they do in training (True) or in evaluation (False); None: as around it."""
    if training is None or (training and training_step() is not None):
        return nullcontext()
    return training_mode(next(_steps_outside_fit)) if training else evaluation_mode()


def restart_steps() -> None:
    """Draw the masks of calls with training=True from the start again."""
    global _steps_outside_fit
    _steps_outside_fit = count()
