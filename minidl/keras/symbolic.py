"""Networks on paper: what a layer gives when it is called before there are any numbers.

`Input(...)` makes a KerasTensor, which only has a shape; a layer called on one gives another, and remembers in a Node
what it was called on. Walking back from the outputs, a Model finds its layers and how they are joined.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from minidl.keras.layers.layer import Layer

Shape = tuple[int | None, ...]  # the batch first; None stands for any number


@dataclass(eq=False)
class KerasTensor:
    """A value that does not exist yet: its shape, batch included, and the call that will give it."""

    shape: Shape
    node: Node
    dtype: str = "float32"

    @property
    def name(self) -> str:
        return self.node.layer.name

    @property
    def ndim(self) -> int:
        return len(self.shape)

    def __repr__(self) -> str:
        return f"<KerasTensor shape={self.shape}, dtype={self.dtype}, name={self.name}>"

    def _joined(self, layer_name: str, other: object) -> Any:
        from minidl.keras.layers import merging

        if not isinstance(other, KerasTensor):
            raise TypeError(f"a KerasTensor can be combined with another one, not with {type(other).__name__}; for "
                            f"numbers use layers.Rescaling(scale, offset)")  # fmt: skip
        return getattr(merging, layer_name)()([self, other])

    def __add__(self, other: object) -> KerasTensor:
        return self._joined("Add", other)  # type: ignore[no-any-return]

    def __sub__(self, other: object) -> KerasTensor:
        return self._joined("Subtract", other)  # type: ignore[no-any-return]

    def __mul__(self, other: object) -> KerasTensor:
        return self._joined("Multiply", other)  # type: ignore[no-any-return]

    def __array__(self, *_: Any, **__: Any) -> Any:
        raise TypeError(f"{self!r} has no numbers yet: make a Model of it, and call that on an array")


@dataclass(eq=False)
class Node:
    """One call of a layer: on which values, in training, in evaluation (False) or as the model is called (None)."""

    layer: Layer
    inputs: list[KerasTensor]
    training: bool | None = None
    output: KerasTensor = field(init=False)


def nodes_before(outputs: Sequence[KerasTensor], ends: Sequence[Node] = ()) -> list[Node]:
    """The calls that the outputs come from, each once and behind those that it needs, as far as `ends` (left out).

    With a stack of our own, since deep networks have more calls behind each other than Python likes.
    """
    found: list[Node] = []
    seen = {id(node) for node in ends}
    stack = [(output.node, False) for output in reversed(outputs)]
    while stack:
        node, inputs_done = stack.pop()
        if inputs_done:
            found.append(node)
        elif id(node) not in seen:
            seen.add(id(node))
            stack.append((node, True))
            stack.extend((x.node, False) for x in reversed(node.inputs))
    return found
