"""model.summary(): the table that Keras prints."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from minidl.keras.layers.layer import Layer
from minidl.keras.symbolic import Node, Shape
from minidl.tensor import Tensor

# Where the columns end, in shares of the width
IN_A_ROW = {"Layer (type)": 0.45, "Output Shape": 0.80, "Param #": 1.0}
BRANCHING = {"Layer (type)": 0.3, "Output Shape": 0.56, "Param #": 0.74, "Connected to": 1.0}
WIDTHS = {3: 88, 4: 108}


def print_summary(
    model: Any,
    line_length: int | None = None,
    positions: Sequence[float] | None = None,
    print_fn: Callable[[str], object] | None = None,
    expand_nested: bool = False,
    show_trainable: bool = False,
) -> None:
    """Print layers, shapes and parameters; print_fn is given all of it as one text."""
    plain: dict[str, Any] = {"force_terminal": False, "color_system": None} if print_fn else {}
    console = Console(highlight=False, **plain)
    if print_fn:
        console.begin_capture()
    console.print(f'[bold]Model: "{escape(model.name)}"[/bold]')
    console.print(_table(model, line_length, positions, expand_nested, show_trainable))
    for line in _totals(model):
        console.print(line)
    if print_fn:
        print_fn(console.end_capture())


def _table(
    model: Any, line_length: int | None, positions: Sequence[float] | None, expand_nested: bool, show_trainable: bool
) -> Table:
    branching = is_branching(model)
    ends = dict(BRANCHING if branching else IN_A_ROW)
    width = WIDTHS[len(ends)] + (12 if show_trainable else 0)
    if positions:
        ends = dict(zip(ends, positions, strict=False))
    if show_trainable:
        ends = {name: end * 0.9 for name, end in ends.items()} | {"Trainable": 1.0}
    width = line_length or min(width, shutil.get_terminal_size().columns - 4)
    table = Table(*_columns(ends, width), width=width, show_lines=True)
    for prefix, layer in _rows(model, expand_nested):
        fields = [f"{escape(prefix + layer.name)} ({escape(type(layer).__name__)})", *_shape_and_parameters(layer)]
        if branching:
            fields.append(_connections(layer, model._calls))
        if show_trainable:
            fields.append(("Y" if layer.trainable else "N") if layer.weights else "-")
        table.add_row(*fields)
    return table


def _columns(ends: dict[str, float], width: int) -> Iterator[Column]:
    before = 0
    for name, end in ends.items():
        justify: Any = {"Param #": "right", "Trainable": "center"}.get(name, "left")
        yield Column(name, justify=justify, width=int(end * width) - before)
        before = int(end * width)


def _rows(model: Any, expand_nested: bool, depth: int = 0) -> Iterator[tuple[str, Layer]]:
    for layer in model.layers:
        yield "   " * depth + ("└ " if depth else ""), layer
        if expand_nested and hasattr(layer, "layers"):
            yield from _rows(layer, expand_nested, depth + 1)


def _shape_and_parameters(layer: Layer) -> tuple[str, str]:
    if not layer.built:
        return "?", "0 (unbuilt)"
    return _shown_shape(layer), f"{layer.count_params():,}"


def _shown_shape(layer: Layer) -> str:
    shapes: list[Shape] = [layer._nodes[0].output.shape] if layer._nodes else []
    if not shapes and hasattr(layer, "outputs"):
        shapes = [x.shape for x in layer.outputs]
    return ", ".join(map(str, shapes)) or "?"


def is_branching(model: Any) -> bool:
    """Whether some layer has several inputs, or is called more than once: then the table says what it is called on."""
    from minidl.keras.models.sequential import Sequential

    if isinstance(model, Sequential) or model._graph is None:
        return False
    calls: list[Node] = model._calls
    called = [id(node.layer) for node in calls]
    taken = [id(x.node) for node in calls for x in node.inputs]
    return len(model.inputs) > 1 or len(set(called)) < len(called) or len(set(taken)) < len(taken) or \
        any(len(node.inputs) > 1 for node in calls)  # fmt: skip


def _connections(layer: Layer, calls: Iterable[Node]) -> str:
    """The layers whose outputs it is called on, with the numbers of the call and of the output."""
    given = [x for node in calls if node.layer is layer for x in node.inputs]
    return ", ".join(f"{x.name}[{x.node.layer._nodes.index(x.node)}][0]" for x in given) or "-"


def _totals(model: Any) -> Iterator[str]:
    trained, fixed = model.trainable_weights, model.non_trainable_weights
    optimiser = _optimizer_sizes(model)
    everything = [*map(_size, trained), *map(_size, fixed), *optimiser]
    yield _total("Total", everything)
    yield _total("Trainable", map(_size, trained))
    yield _total("Non-trainable", map(_size, fixed))
    if optimiser:
        yield _total("Optimizer", optimiser)


def _size(x: Tensor) -> tuple[int, int]:
    return x.size, x.size * x.dtype.itemsize


def _optimizer_sizes(model: Any) -> list[tuple[int, int]]:
    """Numbers and bytes of what the optimizer remembers; as in Keras, with its count of steps and its learning rate."""
    if not model.compiled or not any(model.optimizer.state.values()):
        return []
    arrays = [array for named in model.optimizer.state.values() for array in named.values()]
    return [(1, 8), (1, 4), *((array.size, array.nbytes) for array in arrays)]


def _total(name: str, sizes: Iterable[tuple[int, int]]) -> str:
    counts = list(sizes)
    count, size = sum(count for count, _ in counts), sum(size for _, size in counts)
    return f"[bold] {name} params: [/bold]{count:,} ({readable(size)})"


def readable(size: int) -> str:
    """Bytes in the largest unit of which there is one at least: 3.50 KB."""
    units = ["B", "KB", "MB", "GB", "TB"]
    power = 0
    while size >= 1024 ** (power + 1) and power < len(units) - 1:
        power += 1
    return f"{size / 1024**power:.2f} {units[power]}"
