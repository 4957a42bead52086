"""The optimizers, with Keras's arguments, defaults and formulas; **settings are those of Optimizer.

SGD and Adam are minidl's own, fused kernels with Keras's numbers. The others are written out on arrays: Keras puts the
epsilon inside the square root, which minidl's RMSProp does not.
"""

import math
from typing import Any

from minidl.backend import Array
from minidl.keras.optimizers.optimizer import LearningRate, Optimizer
from minidl.ops.optimiser_steps import op as steps
from minidl.optimiser_base import at_least_0
from minidl.tensor import Tensor


class SGD(Optimizer):
    """parameter -= learning_rate * gradient; with momentum, velocity = momentum * velocity - learning_rate * gradient
    and parameter += velocity; with nesterov, parameter += momentum * velocity - learning_rate * gradient.

    The same numbers, bit for bit, as minidl's Descent, Momentum and Nesterov.
    """

    def __init__(
        self, learning_rate: LearningRate = 0.01, momentum: float = 0.0, nesterov: bool = False, **settings: Any
    ) -> None:
        if not 0 <= momentum <= 1:
            raise ValueError(f"SGD: expected a momentum from 0 to 1, got {momentum}")
        self.memories = ("velocity",) if momentum else ()
        super().__init__(learning_rate, **settings)
        self.momentum, self.nesterov = float(momentum), nesterov

    def update(self, parameters: list[Tensor], gradients: list[Tensor], *memories: list[Array]) -> None:
        if not self.momentum:
            steps.descent(parameters, gradients, self._rate)
            return
        (velocities,) = memories
        move = steps.nesterov if self.nesterov else steps.momentum
        move(parameters, gradients, velocities, self._rate, self.momentum)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"momentum": self.momentum, "nesterov": self.nesterov}


class Adam(Optimizer):
    """mean and square are averages of the gradient and of its square (Kingma and Ba 2014); at step t,
    parameter -= learning_rate * sqrt(1 - beta_2 ** t) / (1 - beta_1 ** t) * mean / (sqrt(square) + epsilon).

    That epsilon is not corrected for starting at zero, as the one of minidl's Adam and of PyTorch is. With amsgrad,
    the largest square so far takes the place of square (Reddi et al. 2018).
    """

    def __init__(
        self,
        learning_rate: LearningRate = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        amsgrad: bool = False,
        **settings: Any,
    ) -> None:
        _check_averages(self, beta_1=beta_1, beta_2=beta_2)
        _check_at_least_0(self, epsilon=epsilon)
        self.memories = ("mean", "square", "largest") if amsgrad else ("mean", "square")
        super().__init__(learning_rate, **settings)
        self.beta_1, self.beta_2, self.epsilon, self.amsgrad = beta_1, beta_2, epsilon, amsgrad

    def update(self, parameters: list[Tensor], gradients: list[Tensor], *memories: list[Array]) -> None:
        if self.amsgrad:
            super().update(parameters, gradients, *memories)
            return
        means, squares = memories
        eps = self.epsilon / math.sqrt(1 - self.beta_2**self.steps)  # which the kernel's correction takes back
        betas = self.beta_1, self.beta_2
        steps.adam(parameters, gradients, means, squares, self._rate, betas, eps, 0.0, self.steps)

    def move(self, gradient: Array, *memories: Array) -> Array:
        mean, square, largest = memories
        _average(mean, gradient, self.beta_1)
        _average(square, gradient**2, self.beta_2)
        largest[...] = largest.clip(square, None)
        rate = self._rate * math.sqrt(1 - self.beta_2**self.steps) / (1 - self.beta_1**self.steps)
        return rate * mean / (largest**0.5 + self.epsilon)

    def get_config(self) -> dict[str, Any]:
        own = {"beta_1": self.beta_1, "beta_2": self.beta_2, "epsilon": self.epsilon, "amsgrad": self.amsgrad}
        return super().get_config() | own


class AdamW(Adam):
    """Adam with a weight decay from the start (Loshchilov and Hutter 2017)."""

    def __init__(
        self,
        learning_rate: LearningRate = 0.001,
        weight_decay: float = 0.004,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        amsgrad: bool = False,
        **settings: Any,
    ) -> None:
        if weight_decay is None:
            raise ValueError("AdamW: expected a number as weight_decay, got None; Adam has none")
        super().__init__(learning_rate, beta_1, beta_2, epsilon, amsgrad, weight_decay=weight_decay, **settings)


class RMSprop(Optimizer):
    """square = rho * square + (1 - rho) * gradient ** 2 (Hinton 2012);
    parameter -= learning_rate * gradient / sqrt(square + epsilon).

    With centered, the squared average of the gradient is taken off square in the root, which leaves its variance
    (Graves 2013). With momentum, velocity = momentum * velocity + that step, and parameter -= velocity.
    """

    def __init__(
        self,
        learning_rate: LearningRate = 0.001,
        rho: float = 0.9,
        momentum: float = 0.0,
        epsilon: float = 1e-7,
        centered: bool = False,
        **settings: Any,
    ) -> None:
        _check_averages(self, rho=rho)
        _check_at_least_0(self, momentum=momentum, epsilon=epsilon)
        self.memories = ("square", *(["mean"] if centered else []), *(["velocity"] if momentum > 0 else []))
        super().__init__(learning_rate, **settings)
        self.rho, self.momentum, self.epsilon, self.centered = rho, momentum, epsilon, centered

    def move(self, gradient: Array, *memories: Array) -> Array:
        named = dict(zip(self.memories, memories, strict=True))
        spread = _average(named["square"], gradient**2, self.rho)
        if self.centered:
            spread = spread - _average(named["mean"], gradient, self.rho) ** 2
        step = self._rate * gradient / (spread + self.epsilon) ** 0.5
        if "velocity" not in named:
            return step
        velocity = named["velocity"]
        velocity *= self.momentum
        velocity += step
        return velocity

    def get_config(self) -> dict[str, Any]:
        own = {"rho": self.rho, "momentum": self.momentum, "epsilon": self.epsilon, "centered": self.centered}
        return super().get_config() | own


class Adagrad(Optimizer):
    """square is the sum of initial_accumulator_value and all gradients ** 2 (Duchi et al. 2011);
    parameter -= learning_rate * gradient / sqrt(square + epsilon)."""

    memories = ("square",)

    def __init__(
        self,
        learning_rate: LearningRate = 0.001,
        initial_accumulator_value: float = 0.1,
        epsilon: float = 1e-7,
        **settings: Any,
    ) -> None:
        _check_at_least_0(self, initial_accumulator_value=initial_accumulator_value, epsilon=epsilon)
        super().__init__(learning_rate, **settings)
        self.initial_accumulator_value, self.epsilon = initial_accumulator_value, epsilon

    def move(self, gradient: Array, *memories: Array) -> Array:
        (square,) = memories  # without the initial value: memories start as zeros
        square += gradient**2
        return self._rate * gradient / (square + (self.initial_accumulator_value + self.epsilon)) ** 0.5

    def get_config(self) -> dict[str, Any]:
        own = {"initial_accumulator_value": self.initial_accumulator_value, "epsilon": self.epsilon}
        return super().get_config() | own


class Nadam(Optimizer):
    """Adam that looks ahead as Nesterov's momentum does, with a beta_1 that grows (Dozat 2015).

    beta(t) = beta_1 * (1 - 0.96 ** t / 2) and product(t) = beta(1) * ... * beta(t); at step t,
    ahead = beta(t + 1) * mean / (1 - product(t + 1)) + (1 - beta(t)) * gradient / (1 - product(t));
    parameter -= learning_rate * ahead / (sqrt(square / (1 - beta_2 ** t)) + epsilon)
    """

    memories = ("mean", "square")

    def __init__(
        self,
        learning_rate: LearningRate = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        **settings: Any,
    ) -> None:
        _check_averages(self, beta_1=beta_1, beta_2=beta_2)
        _check_at_least_0(self, epsilon=epsilon)
        super().__init__(learning_rate, **settings)
        self.beta_1, self.beta_2, self.epsilon = beta_1, beta_2, epsilon
        self._product = (0, 1.0)  # t and product(t)

    def update(self, parameters: list[Tensor], gradients: list[Tensor], *memories: list[Array]) -> None:
        last, product = self._product
        if last >= self.steps:  # a checkpoint was loaded
            last, product = 0, 1.0
        self._product = self.steps, product * math.prod(self._beta(t + 1) for t in range(last, self.steps))
        super().update(parameters, gradients, *memories)

    def move(self, gradient: Array, *memories: Array) -> Array:
        mean, square = memories
        beta, next_beta, product = self._beta(self.steps), self._beta(self.steps + 1), self._product[1]
        _average(mean, gradient, self.beta_1)
        _average(square, gradient**2, self.beta_2)
        ahead = next_beta / (1 - product * next_beta) * mean + (1 - beta) / (1 - product) * gradient
        return self._rate * ahead / ((square / (1 - self.beta_2**self.steps)) ** 0.5 + self.epsilon)

    def _beta(self, step: int) -> float:
        return self.beta_1 * (1 - 0.5 * 0.96**step)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"beta_1": self.beta_1, "beta_2": self.beta_2, "epsilon": self.epsilon}


def _average(memory: Array, new: Array, decay: float) -> Array:
    """Keep the share `decay` of the average and take the rest from `new`, in place."""
    memory *= decay
    memory += (1 - decay) * new
    return memory


def _check_averages(optimizer: Optimizer, **decays: float) -> None:
    for name, decay in decays.items():
        if not 0 <= decay < 1:
            raise ValueError(f"{type(optimizer).__name__}: expected {name} from 0 to below 1, got {decay}")


def _check_at_least_0(optimizer: Optimizer, **numbers: float) -> None:
    for name, number in numbers.items():
        at_least_0(f"{type(optimizer).__name__}: expected {name}", number)
