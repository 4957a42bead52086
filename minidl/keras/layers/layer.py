"""What all layers of Keras's front door share.

A layer here is a description, from which build() makes minidl's layers and functions, once the shape of the input is
known: Dense(10, activation="softmax") becomes [minidl.Dense(512, 10), softmax]. These parts do the work. A model puts
the parts of all its layers into one Chain, so that both front doors run the same code.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from inspect import signature
from itertools import count
from typing import Any

import numpy

from minidl.backend import Backend, default_backend
from minidl.interchange.keras_files import numbered_names
from minidl.keras import activations
from minidl.keras.layers.arguments import check_unsupported
from minidl.keras.layers.floats import as_tensor, dtype_name
from minidl.keras.objects import auto_name, plain
from minidl.keras.symbolic import KerasTensor, Node, Shape
from minidl.modes import evaluation_mode, no_grad, training_mode, training_step
from minidl.tensor import Tensor

Part = Callable[..., Any]
_step_outside_fit = count()  # so that layer(x, training=True) draws new masks in each call


class Layer:
    """A layer of Keras, or yours: define build(input_shape), which calls add_weight(), and call(inputs).

    Arguments that all layers take: `name`; `trainable`; `input_shape`, without the batch, of the first layer of a
    Sequential, or `input_dim`, if that is one number; `dtype`, which is "float32".
    """

    takes_several = False  # whether it is called on a list of inputs
    configured: tuple[str, ...] = ()  # the arguments of a layer of Keras, which are its attributes too

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
        self.name = auto_name(kind) if name is None else str(name)
        self.built = False
        if input_dim is not None:
            input_shape = (input_dim,)
        self._first_shape: Shape | None = None if input_shape is None else (None, *input_shape)
        self._trainable = trainable
        self._parts: list[Part] = []
        self._own: dict[str, Tensor] = {}  # weights by Keras's names
        self._fixed: set[str] = set()  # those of them that are never trained
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
        """The shape of what comes out, batch included; found by trying when a layer does not define it."""
        shapes = input_shape if self.takes_several else [input_shape]
        zeros = [
            Tensor(numpy.zeros([1 if size is None else size for size in shape], numpy.float32)) for shape in shapes
        ]
        with no_grad(), evaluation_mode():
            self._build_once(input_shape)
            y = self._called(zeros if self.takes_several else zeros[0])
        return (None, *y.shape[1:])

    def get_config(self) -> dict[str, Any]:
        """The arguments that make such a layer, as JSON can hold them."""
        own = {name: plain(getattr(self, name)) for name in self.configured if name != "activation"}
        if "activation" in self.configured:
            own["activation"] = activations.serialize(self.activation)
        return {"name": self.name, "trainable": self.trainable, "dtype": "float32", **own}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Layer:
        """The inverse of get_config()."""
        return cls(**config)

    # Weights ----------------------------------------------------------------------------------------------------------

    def build(self, input_shape: Any) -> None:
        """Make the weights, for inputs of that shape."""
        if type(self).make is not Layer.make:
            self._parts, self._own = self.make(input_shape)

    def add_weight(
        self, shape: Sequence[int] = (), initializer: object = None, dtype: object = None, trainable: bool = True,
        name: str | None = None, regularizer: object = None, **unknown: object,
    ) -> Tensor:  # fmt: skip
        """A new weight of your layer, for use in its build(); drawn as Glorot's unless `initializer` is given."""
        from minidl.keras import initializers

        if regularizer is not None or unknown:
            refused = ["regularizer"] if regularizer is not None else sorted(unknown)
            raise NotImplementedError(f"add_weight: {', '.join(refused)} is not supported; add the penalty to the loss")
        if dtype_name(dtype) != "float32":
            raise NotImplementedError(f"add_weight: expected dtype float32, got {dtype!r}")
        numbers = initializers.get("glorot_uniform" if initializer is None else initializer)(tuple(shape))
        weight = Tensor(numbers, requires_grad=trainable and self.trainable)
        name = name or f"variable_{len(self._own)}"
        if name in self._own:
            raise ValueError(f"add_weight: {self.name} has a weight called {name!r} already")
        self._own[name] = weight
        if not trainable:
            self._fixed.add(name)
        return weight

    def named_weights(self) -> dict[str, Tensor]:
        """Every weight by layer and name, such as "conv2d_1/kernel"; one that is shared once."""
        named = {id(x): (f"{self.name}/{name}", x) for name, x in self._own.items()}
        for layer in self._layers_inside():
            for name, x in layer.named_weights().items():
                named.setdefault(id(x), (name, x))
        return dict(named.values())

    def weights_by_place(self, place: str = "") -> dict[str, dict[str, Tensor]]:
        """The weights of each layer inside by its place, such as "conv2d_1": its class, counted, as in Keras's files.

        Unlike names, places are the same for every network built alike.
        """
        found = {place: self._own} if self._own else {}
        inside = list(self._layers_inside())
        for name, layer in zip(numbered_names(type(layer).__name__ for layer in inside), inside, strict=True):
            found |= layer.weights_by_place(f"{place}/layers/{name}" if place else name)
        return found

    @property
    def weights(self) -> list[Tensor]:
        return list(self.named_weights().values())

    @property
    def trainable_weights(self) -> list[Tensor]:
        return [x for x in self.weights if x.requires_grad]

    @property
    def non_trainable_weights(self) -> list[Tensor]:
        return [x for x in self.weights if not x.requires_grad]

    variables, trainable_variables, non_trainable_variables = weights, trainable_weights, non_trainable_weights

    def get_weights(self) -> list[numpy.ndarray[Any, Any]]:
        """Copies of the weights, in Keras's order."""
        return [x.numpy().copy() for x in self.weights]

    def set_weights(self, weights: Sequence[Any]) -> None:
        """Copy these arrays into the weights; ValueError unless number and shapes fit, and then nothing is changed."""
        mine = self.weights
        if len(weights) != len(mine):
            state = "" if self.built else ", and is not built: call it on data first, or give its first layer an Input"
            raise ValueError(f"{self.name} has {len(mine)} weights, got {len(weights)}{state}")
        arrays = [numpy.asarray(array) for array in weights]
        for (name, x), array in zip(self.named_weights().items(), arrays, strict=True):
            if x.shape != array.shape:
                raise ValueError(f"{name} has shape {x.shape}, got {array.shape}")
        for x, array in zip(mine, arrays, strict=True):
            x.array = x.backend.asarray(array, x.dtype).copy()

    def count_params(self) -> int:
        return sum(x.size for x in self.weights)

    @property
    def trainable(self) -> bool:
        return self._trainable

    @trainable.setter
    def trainable(self, trainable: bool) -> None:
        """From the next epoch on, a layer that is not trained keeps its weights and running averages."""
        self._trainable = bool(trainable)
        self._mark_trained()
        for layer in self._layers_inside():
            layer.trainable = trainable

    def _mark_trained(self) -> None:
        for name, x in self._own.items():
            x.requires_grad = self._trainable and name not in self._fixed

    def penalties(self) -> list[tuple[Callable[[Tensor], Tensor], Tensor]]:
        """(regularizer, weight) for each weight that has one: kernel_regularizer is for "kernel"."""
        mine = [(vars(self).get(f"{name}_regularizer"), x) for name, x in self._own.items()]
        own = [(regularizer, x) for regularizer, x in mine if regularizer is not None]
        return own + [penalty for layer in self._layers_inside() for penalty in layer.penalties()]

    @property
    def losses(self) -> list[Tensor]:
        """Penalties for weights, one for each regularizer, which are added to the loss in training."""
        return [regularizer(x) for regularizer, x in self.penalties()]

    def _layers_inside(self) -> Iterator[Layer]:
        """Layers that are attributes, in lists too, of yours."""
        for name, value in vars(self).items():
            if not name.startswith("_"):
                yield from _layers_in(value)

    def __getattr__(self, name: str) -> Any:
        """Weights by name, as layer.kernel."""
        own = self.__dict__.get("_own", {})
        if name in own:
            return own[name]
        raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")

    # Calling ----------------------------------------------------------------------------------------------------------

    def __call__(self, inputs: Any, training: bool | None = None) -> Any:
        """On arrays or tensors: compute. On KerasTensors: note it down, and give the KerasTensor that will come out."""
        several = list(inputs) if isinstance(inputs, list | tuple) else [inputs]
        symbolic = [isinstance(x, KerasTensor) for x in several]
        if any(symbolic):
            if not all(symbolic):
                raise TypeError(f"{self.name}: expected KerasTensors, got also numbers: {several}")
            return self._note_call(several, training)
        if len(several) > 1 and not self.takes_several:
            raise ValueError(f"{self.name}: expected one input, got {len(several)}")
        tensors = [as_tensor(x, self._backend()) for x in several]
        given = tensors if self.takes_several else tensors[0]
        self._build_once([x.shape for x in tensors] if self.takes_several else tensors[0].shape)
        with in_mode(training):
            return self._called(given)

    def _note_call(self, inputs: list[KerasTensor], training: bool | None) -> KerasTensor:
        if len(inputs) > 1 and not self.takes_several:
            raise ValueError(f"{self.name}: expected one input, got {len(inputs)}")
        shape = [x.shape for x in inputs] if self.takes_several else inputs[0].shape
        self._build_once(shape)
        node = Node(self, inputs, training)
        node.output = KerasTensor(self.compute_output_shape(shape), node)
        self._nodes.append(node)
        return node.output

    def _build_once(self, shape: Any) -> None:
        if not self.built:
            self.build(shape)
            self.built = True
            self._mark_trained()

    def parts(self) -> list[Part]:
        """What does the work, for a Chain; a layer that defines call() is one part by itself."""
        return [self._called] if type(self).call is not Layer.call else self._parts

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


def in_mode(training: bool | None) -> AbstractContextManager[Any]:
    """A block in which layers do what they do in training (True) or in evaluation (False); None: as around it."""
    if training is None:
        return nullcontext()
    return training_mode(next(_step_outside_fit)) if training else evaluation_mode()


def _layers_in(value: Any) -> Iterator[Layer]:
    if isinstance(value, Layer):
        yield value
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _layers_in(inner)
    elif isinstance(value, dict):
        for inner in value.values():
            yield from _layers_in(inner)
