"""What a functional model computes with: chains of minidl's layers, and where their inputs and outputs go.

Layers that follow each other become one Chain, so that it can compute some together, as in minidl itself.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

from minidl.keras.layers.layer import Part, in_mode
from minidl.keras.symbolic import KerasTensor, Node, nodes_before
from minidl.layers import fusion
from minidl.layers.chain import Chain
from minidl.layers.layer import Layer as MinidlLayer
from minidl.tensor import Tensor


class LayerChain(Chain):
    """A Chain whose errors name Keras's layers."""

    def __init__(self, parts: Sequence[tuple[str, Part]]) -> None:
        super().__init__(*(part for _, part in parts))
        self.names = [name for name, _ in parts]

    def _place(self, step: fusion.Step, x: Any) -> str:
        names = list(dict.fromkeys(self.names[step.start : step.end]))  # a layer may have several parts
        return f"in layer{'s' * (len(names) > 1)} {', '.join(names)}, given shape {getattr(x, 'shape', x)}"

    def _beside_parameters(self, x: Any) -> Any:
        return x  # the model has made tensors of its inputs

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return LayerChain(list(zip(self.names[index], self.layers[index], strict=True)))
        return self.layers[index]


class Step(NamedTuple):
    """One call: values number `takes` go in, and value number `gives` comes out."""

    compute: LayerChain
    takes: list[int]
    gives: int
    several: bool  # whether the values go in as a list


class Graph(MinidlLayer):
    """Steps in an order in which each finds its inputs done; called on a list of tensors, gives a list."""

    def __init__(self, steps: Sequence[Step], inputs: Sequence[int], outputs: Sequence[int]) -> None:
        self.steps, self.inputs, self.outputs = list(steps), list(inputs), list(outputs)

    def __call__(self, given: Sequence[Tensor]) -> list[Tensor]:  # type: ignore[override]
        values = dict(zip(self.inputs, given, strict=True))
        for step in self.steps:
            taken = [values[number] for number in step.takes]
            values[step.gives] = step.compute(taken if step.several else taken[0])
        return [values[number] for number in self.outputs]

    def only_chain(self) -> LayerChain | None:
        """The chain that all of it is, if it is one, from one input to one output."""
        one = len(self.steps) == len(self.inputs) == len(self.outputs) == 1 and not self.steps[0].several
        return self.steps[0].compute if one else None

    def without_last_activation(self) -> tuple[Graph, Part] | None:
        """The graph without the last part in front of its output, and that part; None where others need the output."""
        number = self.outputs[0]
        last = next((step for step in self.steps if step.gives == number), None)
        if last is None or not last.compute.layers or any(number in step.takes for step in self.steps):
            return None
        shorter = last._replace(compute=last.compute[:-1])
        steps = [shorter if step is last else step for step in self.steps]
        return Graph(steps, self.inputs, self.outputs), last.compute[-1]


def make_graph(inputs: Sequence[KerasTensor], outputs: Sequence[KerasTensor]) -> Graph:
    """The calls between inputs and outputs, as few Steps as there can be.

    ValueError when an output needs an input that was not given.
    """
    nodes = nodes_between(inputs, outputs)
    users = Counter(id(x.node) for node in nodes for x in node.inputs)
    users.update(id(output.node) for output in outputs)
    numbers = {id(x.node): number for number, x in enumerate(inputs)}  # of the value that a call gives
    chains: dict[int, list[tuple[str, Part]]] = {}  # parts, by the number of the value that comes out of them
    plan: list[tuple[int, list[int], bool]] = []
    for node in nodes:
        takes = [numbers[id(x.node)] for x in node.inputs]
        parts = _parts(node)
        several = node.layer.takes_several
        if not several and takes[0] in chains and users[id(node.inputs[0].node)] == 1:
            chains[takes[0]] += parts  # nobody else sees the value in front, so this one takes its number
            numbers[id(node)] = takes[0]
        else:
            number = numbers[id(node)] = len(inputs) + len(plan)
            chains[number] = list(parts)
            plan.append((number, takes, several))
    steps = [Step(LayerChain(chains[number]), takes, number, several) for number, takes, several in plan]
    return Graph(steps, range(len(inputs)), [numbers[id(output.node)] for output in outputs])


def nodes_between(inputs: Sequence[KerasTensor], outputs: Sequence[KerasTensor]) -> list[Node]:
    """The calls that make the outputs of the inputs, in order."""
    nodes = nodes_before(outputs, [x.node for x in inputs])
    for node in nodes:
        if not node.inputs:
            raise ValueError(f"Model: the outputs need {node.output!r}, which is not among the inputs")
    return nodes


def _parts(node: Node) -> list[tuple[str, Part]]:
    parts = node.layer.named_parts()
    if node.training is None:
        return parts
    chain, training = LayerChain(parts), node.training

    def run(x: Tensor) -> Any:
        with in_mode(training):
            return chain(x)

    return [(node.layer.name, run)]
