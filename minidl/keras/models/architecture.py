"""Models as plain data, in the form that Keras writes into its files, and back.

A functional model is a list of layers, each with its calls: what a call takes is named by layer, number of the call,
and number of the output.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from minidl.keras import layers
from minidl.keras.layers.layer import Layer
from minidl.keras.models.model import Model
from minidl.keras.models.sequential import Sequential
from minidl.keras.objects import serialise
from minidl.keras.symbolic import KerasTensor, Node


def described(model: Model) -> dict[str, Any]:
    """A model as Keras's files describe it."""
    if model._graph is None and not isinstance(model, Sequential):
        raise NotImplementedError(f"{model.name}: a model that defines call() in Python cannot be saved as a whole; "
                                  f"use model.save_weights(), and model.load_weights() in a new one")  # fmt: skip
    kind = "Sequential" if isinstance(model, Sequential) else "Functional"
    module = "keras" if kind == "Sequential" else "keras.src.models.functional"
    return {"module": module, "class_name": kind, "config": config_of(model), "registered_name": kind}


def config_of(model: Model) -> dict[str, Any]:
    """The arguments of a model, its layers among them."""
    head = {"name": model.name, "trainable": model.trainable, "dtype": "float32"}
    if isinstance(model, Sequential):
        first = [_layer_config(model.inputs[0].node.layer)] if model.built else []
        return head | {"layers": first + [_layer_config(layer) for layer in model.layers]}
    if model._graph is None:
        raise NotImplementedError(f"{type(model).__name__}: define get_config() to describe a model of your own")
    calls = [x.node for x in model.inputs] + model._calls
    places = {id(node): [node.layer.name, _number(node, calls), 0] for node in calls}
    for begin, shown in zip(model._begins, model.inputs, strict=True):
        places[id(begin.node)] = places[id(shown.node)]  # an input that was in the midst of another network
    return head | {
        "layers": [_layer_config(layer) | {"name": layer.name, "inbound_nodes": [
            _node_config(node, places) for node in calls if node.layer is layer and node.inputs
        ]} for layer in model.layers],
        "input_layers": _flat(model.takes_several, [places[id(x.node)] for x in model.inputs]),
        "output_layers": _flat(model._several_outputs, [places[id(x.node)] for x in model.outputs]),
    }  # fmt: skip


def _flat(several: bool, places: list[list[Any]]) -> list[Any]:
    """A place, or a list of them: as inputs and outputs were given to the model."""
    return places if several else places[0]


def _number(node: Node, calls: Sequence[Node]) -> int:
    """Which call of its layer this is, in this model."""
    return [id(call) for call in calls if call.layer is node.layer].index(id(node))


def _layer_config(layer: Layer) -> dict[str, Any]:
    if isinstance(layer, Model):
        return described(layer)
    if type(layer).__module__.startswith("minidl.keras."):
        return serialise("keras.layers", layer)
    return serialise(type(layer).__module__, layer) | {"registered_name": type(layer).__name__}


def _node_config(node: Node, places: Mapping[int, list[Any]]) -> dict[str, Any]:
    references = [{"class_name": "__keras_tensor__", "config": {
        "shape": list(x.shape), "dtype": x.dtype, "keras_history": places[id(x.node)],
    }} for x in node.inputs]  # fmt: skip
    arguments: Any = [references] if node.layer.takes_several else references
    return {"args": arguments, "kwargs": {}, "training": node.training}  # Keras reads the first two


def revived(description: Any, custom_objects: Mapping[str, Any] | None, source: object) -> Model:
    """The model that is described; ValueError that names the source where something is missing."""
    try:
        return _made(description, custom_objects or {})  # type: ignore[return-value]
    except (KeyError, TypeError, IndexError, AttributeError) as error:
        raise ValueError(f"{source}: expected a model as minidl or Keras describes it; something is missing: "
                         f"{error}") from None  # fmt: skip


def model_from_config(cls: type, config: dict[str, Any], custom_objects: Mapping[str, Any] | None = None) -> Any:
    """The inverse of config_of()."""
    if issubclass(cls, Sequential):
        return _made_sequential(config, custom_objects or {})
    if cls is Model:
        return _made_functional(config, custom_objects or {})
    return cls(**config)


def to_json(model: Model) -> str:
    """The architecture as Keras's model.to_json() gives it."""
    return json.dumps(described(model))


def model_from_json(text: str, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """The inverse of model.to_json(), with new weights."""
    return revived(json.loads(text), custom_objects, "model_from_json")


def clone_model(model: Model) -> Any:
    """The same layers with weights of their own, drawn anew."""
    classes = {type(layer).__name__: type(layer) for layer in model.layers if not isinstance(layer, Model)}
    return _made(described(model), classes)


def _made(description: Any, custom_objects: Mapping[str, Any]) -> Layer:
    """The layer or model that a description is of."""
    kind, config = description["class_name"], description["config"]
    if kind == "Sequential":
        return _made_sequential(config, custom_objects)
    if kind in ("Functional", "Model"):
        return _made_functional(config, custom_objects)
    layer: Layer = _layer_class(kind, custom_objects).from_config(dict(config))
    return layer


def _layer_class(name: str, custom_objects: Mapping[str, Any]) -> Any:
    if name in custom_objects:
        return custom_objects[name]
    found = getattr(layers, name, None)
    if not (isinstance(found, type) and issubclass(found, Layer)):
        raise ValueError(f"layer {name} is not part of minidl.keras; if it is yours, give its class in custom_objects")
    return found


def _made_sequential(config: Mapping[str, Any], custom_objects: Mapping[str, Any]) -> Sequential:
    model = Sequential([_made(layer, custom_objects) for layer in config["layers"]], name=config["name"])
    if not model.built and config.get("build_input_shape") and model.layers:
        model._build_once(tuple(config["build_input_shape"]))
    if not config.get("trainable", True):
        model.trainable = False
    return model


def _made_functional(config: Mapping[str, Any], custom_objects: Mapping[str, Any]) -> Model:
    """Make all layers, then repeat the calls, each as soon as what it takes is there."""
    made = {layer["config"]["name"]: _made(layer, custom_objects) for layer in config["layers"]}
    values = {(name, 0): layer.output for name, layer in made.items() if isinstance(layer, layers.InputLayer)}
    waiting = [(layer["config"]["name"], number, call) for layer in config["layers"]
               for number, call in enumerate(layer["inbound_nodes"])]  # fmt: skip
    while waiting:
        left = []
        for name, number, call in waiting:
            references = list(_references(call["args"]))
            if all(reference in values for reference in references):
                values[name, number] = _called(made[name], call, [values[reference] for reference in references])
            else:
                left.append((name, number, call))
        if len(left) == len(waiting):
            raise ValueError(f"a call of layer {left[0][0]} needs a value that no layer gives")
        waiting = left
    inputs, outputs = (_ends(config[key], values) for key in ("input_layers", "output_layers"))
    model = Model(inputs, outputs, name=config["name"])
    if not config.get("trainable", True):
        model.trainable = False
    return model


def _called(layer: Layer, call: Mapping[str, Any], inputs: list[KerasTensor]) -> KerasTensor:
    """Keras's kwargs hold its default of `training`, which it overrides when the model is called."""
    given = inputs if layer.takes_several else inputs[0]
    return layer(given, training=call.get("training"))  # type: ignore[no-any-return]


def _references(value: Any) -> Iterator[tuple[str, int]]:
    """(layer, call) of every KerasTensor in the arguments of a call."""
    if isinstance(value, dict) and value.get("class_name") == "__keras_tensor__":
        name, number, _ = value["config"]["keras_history"]
        yield name, number
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _references(inner)


def _ends(places: Any, values: Mapping[tuple[str, int], KerasTensor]) -> Any:
    """KerasTensors of [name, call, 0], or of a list of these."""
    if places and isinstance(places[0], str):
        return values[places[0], places[1]]
    return [values[name, number] for name, number, _ in places]
