"""Models: networks made of layers, by naming inputs and outputs, or by defining call()."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from minidl.keras.layers.input import Input, InputLayer
from minidl.keras.layers.layer import Layer, Part
from minidl.keras.models.graph import Graph, make_graph, nodes_between
from minidl.keras.models.training import Trainer
from minidl.keras.objects import auto_name
from minidl.keras.symbolic import KerasTensor, Shape
from minidl.tensor import Tensor


class Model(Trainer):
    """Model(inputs, outputs): the layers between two KerasTensors, or lists of them. A model is a layer too.

    Or yours: a subclass that makes its layers in __init__() and defines call(inputs), or call(inputs, training).
    """

    def __init__(
        self, inputs: Any = None, outputs: Any = None, name: str | None = None, trainable: bool = True
    ) -> None:
        functional = inputs is not None or outputs is not None
        super().__init__(
            name=name if name or type(self) is not Model else auto_name("Functional" if functional else "Model")
        )
        self._graph: Graph | None = None
        if functional:
            if inputs is None or outputs is None:
                raise ValueError("Model: expected both inputs and outputs")
            self._join(inputs, outputs)
        if not trainable:
            self.trainable = False

    def _join(self, inputs: Any, outputs: Any) -> None:
        """Find the layers between inputs and outputs."""
        self._several_outputs = isinstance(outputs, list | tuple)
        self._begins, self._symbolic_outputs = _listed("inputs", inputs), _listed("outputs", outputs)
        self.takes_several = isinstance(inputs, list | tuple)
        self._inputs = [x if isinstance(x.node.layer, InputLayer) else Input(batch_shape=x.shape) for x in self._begins]
        self._calls = nodes_between(self._begins, self._symbolic_outputs)
        calls = [x.node for x in self._inputs] + self._calls
        self._members = list({id(node.layer): node.layer for node in calls}.values())
        repeated = [name for name, count in Counter(layer.name for layer in self._members).items() if count > 1]
        if repeated:
            raise ValueError(f"{self.name}: expected layers of different names, got several called {repeated[0]!r}")
        self._graph = make_graph(self._begins, self._symbolic_outputs)
        self.built = True

    # What is inside ---------------------------------------------------------------------------------------------------

    @property
    def layers(self) -> list[Layer]:
        """The layers in order, InputLayers included."""
        return list(self.layers_inside())

    def layers_inside(self) -> Iterator[Layer]:
        return super().layers_inside() if self._graph is None else iter(self._members)

    def get_layer(self, name: str | None = None, index: int | None = None) -> Layer:
        """A layer by its name or its position."""
        if (name is None) == (index is None):
            raise ValueError("get_layer: expected a name or an index")
        layers = self.layers
        if index is not None:
            if not -len(layers) <= index < len(layers):
                raise ValueError(f"get_layer: expected an index below {len(layers)}, got {index}")
            return layers[index]
        for layer in layers:
            if layer.name == name:
                return layer
        raise ValueError(f"get_layer: {self.name} has no layer called {name!r}; it has "
                         f"{', '.join(layer.name for layer in layers)}")  # fmt: skip

    @property
    def inputs(self) -> list[KerasTensor]:
        """The symbolic tensors that stand for what goes in."""
        return self._inputs

    @property
    def outputs(self) -> list[KerasTensor]:
        """The symbolic tensors that stand for what comes out."""
        return self._symbolic_outputs

    @property
    def input(self) -> Any:
        return self.inputs if self.takes_several else self.inputs[0]

    @property
    def output(self) -> Any:
        return self.outputs if self._several_outputs else self.outputs[0]

    @property
    def input_shape(self) -> Any:
        """(None, h, w, c) or the like, None standing for the batch; a list of them for several inputs."""
        shapes = [x.shape for x in self.inputs]
        return shapes if self.takes_several else shapes[0]

    @property
    def output_shape(self) -> Any:
        """The same for what comes out."""
        shapes = [x.shape for x in self.outputs]
        return shapes if self._several_outputs else shapes[0]

    # Computing --------------------------------------------------------------------------------------------------------

    def call(self, inputs: Any) -> Any:
        """What comes out for tensors; subclasses define it."""
        if self._graph is None:
            raise NotImplementedError(f"{type(self).__name__} does not define call(self, inputs)")
        outputs = self._graph(self._checked(list(inputs) if isinstance(inputs, list | tuple) else [inputs]))
        return outputs if self._several_outputs else outputs[0]

    def _plain_graph(self) -> Graph | None:
        """The graph, where it is all that the model does: a subclass may define call()."""
        return self._graph if type(self).call is Model.call else None

    def _outputs(self, inputs: list[Tensor]) -> list[Tensor]:
        graph = self._plain_graph()
        if graph is not None:
            return graph(self._checked(inputs))
        outputs = self._called(inputs[0] if len(inputs) == 1 else inputs)
        return list(outputs) if isinstance(outputs, list | tuple) else [outputs]

    def _checked(self, inputs: list[Tensor]) -> list[Tensor]:
        """The inputs, with a last axis of size 1 added or taken away where that is what is asked for, as in Keras."""
        if len(inputs) != len(self._inputs):
            raise ValueError(f"{self.name}: expected {len(self._inputs)} inputs, got {len(inputs)}")
        checked = []
        for x, symbolic in zip(inputs, self._inputs, strict=True):
            expected = symbolic.shape
            if x.ndim + 1 == len(expected) and expected[-1] == 1:
                x = x.reshape(*x.shape, 1)
            elif x.ndim - 1 == len(expected) and x.shape[-1] == 1:
                x = x.reshape(*x.shape[:-1])
            if x.ndim != len(expected) or any(
                b not in (None, a) for a, b in zip(x.shape[1:], expected[1:], strict=True)
            ):
                hint = "; the first axis is the batch" if x.ndim + 1 == len(expected) else ""
                raise ValueError(f"{self.name}: expected {symbolic.name} of shape {expected}, got {x.shape}{hint}")
            checked.append(x)
        return checked

    def _head(self) -> tuple[Callable[[list[Tensor]], list[Tensor]], Any]:
        whole = self._plain_graph()
        if whole is None or len(whole.outputs) != 1:
            return self._outputs, None
        split = whole.without_last_activation()
        if split is None:
            return self._outputs, None
        graph, activation = split

        def scores(inputs: list[Tensor]) -> list[Tensor]:
            return graph(self._checked(inputs))

        return scores, activation

    def named_parts(self) -> list[tuple[str, Part]]:
        """Of a model that is one chain, the parts of its layers, so that others can compute some together."""
        graph = self._plain_graph()
        chain = graph.only_chain() if graph is not None else None
        if chain is None:
            return super().named_parts()
        return [(f"{self.name}/{name}", part) for name, part in zip(chain.names, chain.layers, strict=True)]

    def compute_output_shape(self, input_shape: Any) -> Shape:
        if self._plain_graph() is None:
            return super().compute_output_shape(input_shape)
        if self._several_outputs:
            raise NotImplementedError(f"{self.name}: a model of several outputs cannot be a layer of another one")
        shapes = input_shape if self.takes_several else [input_shape]
        known: dict[int, Shape] = {id(x.node): shape for x, shape in zip(self._begins, shapes, strict=True)}
        for node in self._calls:
            given = [known[id(x.node)] for x in node.inputs]
            known[id(node)] = node.layer.compute_output_shape(given if node.layer.takes_several else given[0])
        return known[id(self._symbolic_outputs[0].node)]

    def class_name(self) -> str:
        return "Functional" if type(self) is Model and self._graph is not None else super().class_name()

    # Showing and keeping ----------------------------------------------------------------------------------------------

    def summary(
        self, line_length: int | None = None, positions: Sequence[float] | None = None,
        print_fn: Callable[[str], object] | None = None, expand_nested: bool = False, show_trainable: bool = False,
    ) -> None:  # fmt: skip
        """Print the layers with their output shapes and parameters, as Keras does."""
        from minidl.keras.models.summary import print_summary

        print_summary(self, line_length, positions, print_fn, expand_nested, show_trainable)

    def save(self, filepath: str | Path, overwrite: bool = True, include_optimizer: bool = True) -> None:
        """Write architecture, weights, and what the model was compiled with; see load_model()."""
        from minidl.keras.models.saving import save_model

        save_model(self, filepath, overwrite, include_optimizer)

    def save_weights(self, filepath: str | Path, overwrite: bool = True) -> None:
        """Write the weights: .safetensors, or .weights.h5, which Keras reads."""
        from minidl.keras.models.saving import save_weights

        save_weights(self, filepath, overwrite)

    def load_weights(self, filepath: str | Path) -> None:
        """Read the weights of save_weights(), save(), or Keras; nothing is changed unless all of them fit."""
        from minidl.keras.models.saving import load_weights

        load_weights(self, filepath)

    def save_state(self, filepath: str | Path, **memory: Any) -> None:
        """Write weights and optimizer, with what else training has to remember, as JSON."""
        from minidl.keras.models.saving import save_state

        save_state(self, filepath, memory)

    def load_state(self, filepath: str | Path) -> dict[str, Any]:
        """Read what save_state() wrote, and return the memory."""
        from minidl.keras.models.saving import load_state

        return load_state(self, filepath)

    def get_config(self) -> dict[str, Any]:
        from minidl.keras.models.architecture import config_of

        return config_of(self)

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None) -> Any:
        from minidl.keras.models.architecture import model_from_config

        return model_from_config(cls, config, custom_objects)

    def __reduce__(self) -> Any:
        """For copy.deepcopy() and pickle: architecture, weights, and what the model was compiled with."""
        from minidl.keras.models.saving import parts_of, put_together

        return put_together, parts_of(self)

    def to_json(self) -> str:
        """The architecture as Keras writes it; models.model_from_json() reads it."""
        from minidl.keras.models.architecture import to_json

        return to_json(self)


def _listed(name: str, tensors: Any) -> list[KerasTensor]:
    listed = list(tensors) if isinstance(tensors, list | tuple) else [tensors]
    for x in listed:
        if not isinstance(x, KerasTensor):
            raise TypeError(f"Model: expected {name} to be KerasTensors, as Input() and layers give them, got {x!r}")
    return listed
