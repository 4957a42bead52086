"""The weights of a layer and of the layers inside it: names, order, what is trained."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy

from minidl.interchange.keras_files import numbered_names
from minidl.keras.layers.floats import dtype_name
from minidl.tensor import Tensor


class Weighted:
    """A layer, as far as its weights are concerned."""

    def __init__(self, name: str, trainable: bool) -> None:
        self.name = name
        self.built = False
        self._trainable = trainable
        self._own: dict[str, Tensor] = {}  # weights by Keras's names
        self._fixed: set[str] = set()  # those of them that are never trained

    def add_weight(
        self, shape: Sequence[int] = (), initializer: object = None, dtype: object = None, trainable: bool = True,
        name: str | None = None, regularizer: object = None, **unknown: object,
    ) -> Tensor:  # fmt: skip
        """A new weight of your layer, for use in its build(); drawn as Glorot's unless `initializer` is given."""
        from minidl.keras import initializers

        refused = [key for key, value in {"regularizer": regularizer, **unknown}.items() if value is not None]
        if refused:
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

    def own_weights(self) -> dict[str, Tensor]:
        """By name, in Keras's order: those that can be trained first."""
        return dict(sorted(self._own.items(), key=lambda item: item[0] in self._fixed))

    def named_weights(self) -> dict[str, Tensor]:
        """Every weight by layer and name, such as "conv2d_1/kernel"; one that is shared once."""
        named = {id(x): (f"{self.name}/{name}", x) for name, x in self.own_weights().items()}
        for layer in self.layers_inside():
            for name, x in layer.named_weights().items():
                named.setdefault(id(x), (name, x))
        return dict(named.values())

    def weights_by_place(self, place: str = "") -> dict[str, dict[str, Tensor]]:
        """The weights of each layer inside by its place, such as "conv2d_1": its class, counted, as in Keras's files.

        Unlike names, places are the same for every network built alike. A layer that is at two places is at the first.
        """
        return self._placed(place, set())

    def _placed(self, place: str, seen: set[int]) -> dict[str, dict[str, Tensor]]:
        if id(self) in seen:
            return {}
        seen.add(id(self))
        found = {place: self.own_weights()} if self._own else {}
        inside = list(self.layers_inside())
        for name, layer in zip(numbered_names(layer.class_name() for layer in inside), inside, strict=True):
            found |= layer._placed(f"{place}/layers/{name}" if place else name, seen)
        return found

    def placed_weights(self) -> dict[str, Tensor]:
        """Every weight by place and name: "conv2d_1/kernel"."""
        return {f"{place}/{name}": x for place, own in self.weights_by_place().items() for name, x in own.items()}

    def class_name(self) -> str:
        """What Keras's files call the class."""
        return type(self).__name__

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
        for layer in self.layers_inside():
            layer.trainable = trainable

    def _mark_trained(self) -> None:
        for name, x in self._own.items():
            x.requires_grad = self._trainable and name not in self._fixed

    def penalties(self) -> list[tuple[Callable[[Tensor], Tensor], Tensor]]:
        """(regularizer, weight) for each weight that has one, each once: kernel_regularizer is for "kernel"."""
        mine = [(vars(self).get(f"{name}_regularizer"), x) for name, x in self._own.items()]
        found = {id(x): (regularizer, x) for regularizer, x in mine if regularizer is not None}
        for layer in self.layers_inside():
            found |= {id(x): (regularizer, x) for regularizer, x in layer.penalties()}
        return list(found.values())

    @property
    def losses(self) -> list[Tensor]:
        """Penalties for weights, one for each regularizer, which are added to the loss in training."""
        return [regularizer(x) for regularizer, x in self.penalties()]

    def layers_inside(self) -> Iterator[Any]:
        """Layers that are attributes, in lists and dicts too, of yours."""
        for value in list(vars(self).values()):
            yield from _layers_in(value)

    def __getattr__(self, name: str) -> Any:
        """Weights by name, as layer.kernel."""
        own = self.__dict__.get("_own", {})
        if name in own:
            return own[name]
        raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")


def _layers_in(value: Any) -> Iterator[Weighted]:
    if isinstance(value, Weighted):
        yield value
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _layers_in(inner)
    elif isinstance(value, dict):
        for inner in value.values():
            yield from _layers_in(inner)
