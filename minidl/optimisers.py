"""Optimisers turn gradients into steps, with Flux's names, defaults and definitions.

Parameters and state are flat dicts with the same names. `optimiser.state` holds the arrays that a checkpoint needs:
{"velocity": {"layers.0.weight": array, ...}}; `optimiser.steps` counts steps from the start of training.
"""

from collections.abc import Iterator, Mapping

from minidl.backend import Array
from minidl.ops.optimiser_steps import op as steps
from minidl.tensor import Tensor


class Optimiser:
    """What all optimisers share. A new one defines `memories`, the names of its state, and update()."""

    memories: tuple[str, ...] = ()

    def __init__(self, learning_rate: float) -> None:
        if not learning_rate >= 0:
            raise ValueError(f"{type(self).__name__}: expected a learning rate of 0 or more, got {learning_rate}")
        self.learning_rate = learning_rate
        self.steps = 0
        self.state: dict[str, dict[str, Array]] = {memory: {} for memory in self.memories}

    def step(self, params: Mapping[str, Tensor]) -> None:
        """Move every parameter that has a gradient, in place, and use the gradient up."""
        self.steps += 1
        moving = {name: parameter for name, parameter in params.items() if parameter.grad is not None}
        for alike in _by_kind(moving):
            memories = [[self._memory(memory, name, moving[name]) for name in alike] for memory in self.memories]
            parameters = [moving[name] for name in alike]
            gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
            self.update(parameters, gradients, *memories)
        for parameter in moving.values():
            parameter.grad = None

    def update(self, parameters: list[Tensor], gradients: list[Tensor], *memories: list[Array]) -> None:
        """Change parameters and memories in place. All lists have one order; memories start as zeros."""
        raise NotImplementedError(f"{type(self).__name__} does not define update()")

    def _memory(self, memory: str, name: str, parameter: Tensor) -> Array:
        arrays = self.state[memory]
        if name not in arrays:
            arrays[name] = parameter.backend.xp.zeros_like(parameter.array)
        array = arrays[name] = parameter.backend.asarray(arrays[name])  # the parameter may have moved
        if array.shape != parameter.shape or array.dtype != parameter.dtype:
            raise ValueError(
                f"{type(self).__name__}: {name} is {parameter.shape} {parameter.dtype}, but its {memory} is "
                f"{array.shape} {array.dtype}: an optimiser belongs to one network, so make a new one"
            )
        return array


def _by_kind(params: Mapping[str, Tensor]) -> Iterator[list[str]]:
    """The names of the parameters of each backend and dtype; mostly all of them."""
    kinds: dict[object, list[str]] = {}
    for name, parameter in params.items():
        kinds.setdefault((parameter.backend.name, parameter.dtype), []).append(name)
    yield from kinds.values()


def _check_decay(name: str, value: float) -> None:
    """What is left of an average after a step; from 1 on, it would never fade."""
    if not 0 <= value < 1:
        raise ValueError(f"expected {name} from 0 to below 1, got {value}")


class Descent(Optimiser):
    """parameter -= learning_rate * gradient"""

    def __init__(self, learning_rate: float = 0.1) -> None:
        super().__init__(learning_rate)

    def update(self, parameters: list[Tensor], gradients: list[Tensor], *memories: list[Array]) -> None:
        steps.descent(parameters, gradients, self.learning_rate)


class Momentum(Optimiser):
    """velocity = momentum * velocity - learning_rate * gradient; parameter += velocity (Polyak 1964).

    `weight_decay` adds that much of each parameter to its gradient, as PyTorch's SGD and Flux's WeightDecay do, so that
    weights which nothing holds shrink (Krogh and Hertz 1991).

    The learning rate is inside the velocity, as in Flux and Keras: when it changes, old gradients keep their old rate.
    PyTorch multiplies by it afterwards.
    """

    memories = ("velocity",)

    def __init__(self, learning_rate: float = 0.01, momentum: float = 0.9, weight_decay: float = 0.0) -> None:
        super().__init__(learning_rate)
        _check_decay("momentum", momentum)
        if not weight_decay >= 0:
            raise ValueError(f"Momentum: expected a weight decay of 0 or more, got {weight_decay}")
        self.momentum, self.weight_decay = momentum, weight_decay

    def update(self, parameters: list[Tensor], gradients: list[Tensor], *memories: list[Array]) -> None:
        (velocities,) = memories
        steps.momentum(parameters, gradients, velocities, self.learning_rate, self.momentum, self.weight_decay)


class Nesterov(Optimiser):
    """Momentum that looks ahead: the step is momentum ** 2 * velocity - (1 + momentum) * learning_rate * gradient,
    with the velocity as it was before this step (Nesterov 1983, in Flux's form)."""

    memories = ("velocity",)

    def __init__(self, learning_rate: float = 0.001, momentum: float = 0.9) -> None:
        super().__init__(learning_rate)
        _check_decay("momentum", momentum)
        self.momentum = momentum

    def update(self, parameters: list[Tensor], gradients: list[Tensor], *memories: list[Array]) -> None:
        (velocities,) = memories
        steps.nesterov(parameters, gradients, velocities, self.learning_rate, self.momentum)


class RMSProp(Optimiser):
    """square = decay * square + (1 - decay) * gradient ** 2;
    parameter -= learning_rate * gradient / (sqrt(square) + eps) (Hinton 2012)."""

    memories = ("square",)

    def __init__(self, learning_rate: float = 0.001, decay: float = 0.9, eps: float = 1e-8) -> None:
        super().__init__(learning_rate)
        _check_decay("decay", decay)
        self.decay, self.eps = decay, eps

    def update(self, parameters: list[Tensor], gradients: list[Tensor], *memories: list[Array]) -> None:
        (squares,) = memories
        steps.rmsprop(parameters, gradients, squares, self.learning_rate, self.decay, self.eps)


class Adam(Optimiser):
    """Averages of the gradient and of its square, corrected for starting at zero (Kingma and Ba 2014).

    mean = b1 * mean + (1 - b1) * gradient; square = b2 * square + (1 - b2) * gradient ** 2; at step t
    parameter -= learning_rate * (mean / (1 - b1 ** t)) / (sqrt(square / (1 - b2 ** t)) + eps)
    """

    memories = ("mean", "square")
    decay = 0.0

    def __init__(
        self, learning_rate: float = 0.001, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8
    ) -> None:
        super().__init__(learning_rate)
        for beta in betas:
            _check_decay("beta", beta)
        self.betas, self.eps = betas, eps

    def update(self, parameters: list[Tensor], gradients: list[Tensor], *memories: list[Array]) -> None:
        means, squares = memories
        steps.adam(
            parameters, gradients, means, squares, self.learning_rate, self.betas, self.eps, self.decay, self.steps
        )


class AdamW(Adam):
    """Adam whose weights also shrink by learning_rate * decay of themselves (Loshchilov and Hutter 2017)."""

    def __init__(
        self,
        learning_rate: float = 0.001,
        betas: tuple[float, float] = (0.9, 0.999),
        decay: float = 0.0,
        eps: float = 1e-8,
    ) -> None:
        super().__init__(learning_rate, betas, eps)
        self.decay = decay
