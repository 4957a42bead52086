"""Optimisers turn gradients into steps, with Flux's names, defaults and definitions.

Parameters and state are flat dicts with the same names. `optimiser.state` holds the arrays that a checkpoint needs:
{"velocity": {"layers.0.weight": array, ...}}; `optimiser.steps` counts steps from the start of training.
"""

from collections.abc import Mapping

from minidl.backend import Array
from minidl.ops.momentum.op import momentum_update
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
        for name, parameter in params.items():
            if parameter.grad is not None:
                memories = [self._memory(memory, name, parameter) for memory in self.memories]
                self.update(parameter, parameter.grad, *memories)
                parameter.grad = None

    def update(self, parameter: Tensor, gradient: Tensor, *memories: Array) -> None:
        """Change `parameter` and `memories`, which have its shape and start as zeros, in place."""
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


def _check_decay(name: str, value: float) -> None:
    """What is left of an average after a step; from 1 on, it would never fade."""
    if not 0 <= value < 1:
        raise ValueError(f"expected {name} from 0 to below 1, got {value}")


class Descent(Optimiser):
    """parameter -= learning_rate * gradient"""

    def __init__(self, learning_rate: float = 0.1) -> None:
        super().__init__(learning_rate)

    def update(self, parameter: Tensor, gradient: Tensor, *memories: Array) -> None:
        parameter.array -= self.learning_rate * gradient.array


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

    def update(self, parameter: Tensor, gradient: Tensor, *memories: Array) -> None:
        (velocity,) = memories
        momentum_update(parameter, gradient, velocity, self.learning_rate, self.momentum, self.weight_decay)


class Nesterov(Optimiser):
    """Momentum that looks ahead: the step is momentum ** 2 * velocity - (1 + momentum) * learning_rate * gradient,
    with the velocity as it was before this step (Nesterov 1983, in Flux's form)."""

    memories = ("velocity",)

    def __init__(self, learning_rate: float = 0.001, momentum: float = 0.9) -> None:
        super().__init__(learning_rate)
        _check_decay("momentum", momentum)
        self.momentum = momentum

    def update(self, parameter: Tensor, gradient: Tensor, *memories: Array) -> None:
        (velocity,) = memories
        push = self.learning_rate * gradient.array
        parameter.array += self.momentum**2 * velocity - (1 + self.momentum) * push
        velocity *= self.momentum
        velocity -= push


class RMSProp(Optimiser):
    """square = decay * square + (1 - decay) * gradient ** 2;
    parameter -= learning_rate * gradient / (sqrt(square) + eps) (Hinton 2012)."""

    memories = ("square",)

    def __init__(self, learning_rate: float = 0.001, decay: float = 0.9, eps: float = 1e-8) -> None:
        super().__init__(learning_rate)
        _check_decay("decay", decay)
        self.decay, self.eps = decay, eps

    def update(self, parameter: Tensor, gradient: Tensor, *memories: Array) -> None:
        (square,) = memories
        square *= self.decay
        square += (1 - self.decay) * gradient.array**2
        parameter.array -= self.learning_rate * gradient.array / (square**0.5 + self.eps)


class Adam(Optimiser):
    """Averages of the gradient and of its square, corrected for starting at zero (Kingma and Ba 2014).

    mean = b1 * mean + (1 - b1) * gradient; square = b2 * square + (1 - b2) * gradient ** 2; at step t
    parameter -= learning_rate * (mean / (1 - b1 ** t)) / (sqrt(square / (1 - b2 ** t)) + eps)
    """

    memories = ("mean", "square")

    def __init__(
        self, learning_rate: float = 0.001, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8
    ) -> None:
        super().__init__(learning_rate)
        for beta in betas:
            _check_decay("beta", beta)
        self.betas, self.eps = betas, eps

    def update(self, parameter: Tensor, gradient: Tensor, *memories: Array) -> None:
        mean, square = memories
        mean *= self.betas[0]
        mean += (1 - self.betas[0]) * gradient.array
        square *= self.betas[1]
        square += (1 - self.betas[1]) * gradient.array**2
        mean_correction, square_correction = (1 - beta**self.steps for beta in self.betas)
        size = (square / square_correction) ** 0.5 + self.eps
        parameter.array -= (self.learning_rate / mean_correction) * mean / size


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

    def update(self, parameter: Tensor, gradient: Tensor, *memories: Array) -> None:
        parameter.array *= 1 - self.learning_rate * self.decay
        super().update(parameter, gradient, *memories)
