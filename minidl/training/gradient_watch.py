"""Gradients that are not finite are noticed before an optimiser uses them: one step with nan in it, and all is lost."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from minidl.backend import Array, Backend
from minidl.layers.layer import Layer
from minidl.modes import stopped_by
from minidl.ops.optimiser_steps.op import find_not_finite
from minidl.optimisers import Optimiser
from minidl.tensor import Tensor
from minidl.training.diagnosis import NotFiniteError, explain_gradient

LOOK_EVERY = 50  # steps, at the losses and gradients on a GPU
COUNTS = ("steps", "counts")  # what an optimiser counts its steps in; an old count is replaced, not changed in place


class GradientWatch:
    """Looks at the gradients of every step; found() says in which step and of which parameter one was not finite.

    In the computer's own memory that is known at once. A GPU is not waited for: there, what an optimiser does inside
    `with watch.stopped():` changes nothing from the first such gradient on, until found() is asked for, which waits.
    """

    def __init__(self) -> None:
        self.steps = 0
        self._backend: Backend | None = None
        self._found: Array = None  # (step, number of the parameter), counted from 1, or (0, 0)
        self._names: list[str] = []

    def look(self, params: Mapping[str, Tensor]) -> None:
        """Look at the gradients of a step, which are all on one backend."""
        gradients = {name: parameter.grad for name, parameter in params.items() if parameter.grad is not None}
        self.steps += 1
        if gradients:
            self._names, tensors = list(gradients), list(gradients.values())
            if self._backend is not tensors[0].backend:
                self._backend = tensors[0].backend
                self._found = self._backend.xp.zeros(2, "int32")
            find_not_finite(tensors, self._found, self.steps)

    def stopped(self) -> AbstractContextManager[None]:
        """A block whose steps change nothing on a GPU once something was found."""
        return nullcontext() if self.knows_at_once else stopped_by(self._found)

    @property
    def knows_at_once(self) -> bool:
        """Whether nobody has to wait for found()."""
        return self._backend is None or self._backend.is_host

    def found(self) -> tuple[int, str] | None:
        """(step, parameter): of those whose gradient was not finite, the one nearest to the loss; None if all were."""
        step, number = (0, 0) if self._backend is None else self._found.tolist()
        return (step, self._names[number - 1]) if step else None


class Mover:
    """Takes the steps of an optimiser, unless a gradient is not finite: NotFiniteError, and nothing has moved.

    On a GPU, that is noticed when somebody looks, every LOOK_EVERY steps. The steps from that gradient on have changed
    nothing, and then they do not count either.
    """

    def __init__(self, optimiser: Optimiser, model: Layer | None = None) -> None:
        self.optimiser, self.model, self.watch = optimiser, model, GradientWatch()
        self.before: dict[int, dict[str, Any]] = {}  # by the number of a step that nobody looked at: COUNTS before it

    def step(self, params: Mapping[str, Tensor], loss: Tensor) -> None:
        self.watch.look(params)
        self.before[self.watch.steps] = {name: getattr(self.optimiser, name) for name in COUNTS}
        if self.watch.knows_at_once or self.watch.steps % LOOK_EVERY == 0:
            self.check(params, loss)
        with self.watch.stopped():
            self.optimiser.step(params)

    def check(self, params: Mapping[str, Tensor] | None = None, loss: Tensor | None = None) -> None:
        """Look at what was found; NotFiniteError if it was something. Gradients of `params` are then used up."""
        found = self.watch.found()
        if found is not None:
            for parameter in (params or {}).values():
                parameter.grad = None
            self.rewind()
            value = loss.item() if loss is not None and self.watch.knows_at_once else None
            text = explain_gradient(found[1], value, self.optimiser.learning_rate, self.model)
            raise NotFiniteError(f"step {self.optimiser.steps + 1}: {text}")
        self.before.clear()

    def rewind(self) -> None:
        """Forget the steps that have changed nothing, if there are any."""
        found = self.watch.found()
        if found is not None:
            for count, value in self.before[found[0]].items():
                setattr(self.optimiser, count, value)
