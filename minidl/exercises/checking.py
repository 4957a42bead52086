"""`minidl exercise OP --check`: is it right, are its gradients right, and does it train?"""

from __future__ import annotations

from dataclasses import dataclass
from types import ModuleType

from rich.console import Console
from rich.table import Table

from minidl.backend import use_kernels
from minidl.display import print_table
from minidl.exercises.calls import Call, recorded_calls
from minidl.exercises.comparing import Difference, first_difference
from minidl.exercises.hints import common_feature, hints
from minidl.exercises.lessons import Kernel, Lesson
from minidl.exercises.mistakes import MISTAKES
from minidl.exercises.student_file import StudentError, described, load_kernels
from minidl.exercises.training import Comparison, train_both
from minidl.gradient_check import GradientError, UndecidedError, check_gradients
from minidl.recipe import say
from minidl.tensor import Tensor


def check_exercise(lesson: Lesson, path: str, console: Console) -> bool:
    """Check the kernels in the file, in three steps, and print what is found; whether all are right.

    The steps: every kernel against the reference, the gradients of order 1 and 2 with these kernels in the engine, and
    a network that trains with them. FileNotFoundError without a file.
    """
    try:
        check = _Check(lesson, path, load_kernels(lesson, path), console)
        return check.all_kernels() and check.gradients() and check.training()
    except StudentError as error:
        say(console)(f"wrong  {error}")
        return False


@dataclass
class _Check:
    """The three steps; each prints what it finds, and returns whether it is right."""

    lesson: Lesson
    path: str
    kernels: ModuleType
    console: Console

    def show(self, text: str) -> None:
        say(self.console)(text)

    def all_kernels(self) -> bool:
        right = [self.kernel(kernel) for kernel in self.lesson.kernels]
        if not all(right):
            self.show(f"{sum(right)} of {len(right)} kernels are right. Gradients and training wait until all are.")
        return all(right)

    def kernel(self, kernel: Kernel) -> bool:
        """Compare one with the reference, up to the first error that it raises."""
        calls = [call for call in recorded_calls(self.lesson) if call.kernel is kernel]
        repeated: list[Call] = []
        problem: Exception | None = None
        try:
            for call in calls:
                repeated.append(call.repeat(getattr(self.kernels, kernel.name)))
        except NotImplementedError:
            self.show(f"to do  {kernel.name}: {kernel.task}")
            return False
        except Exception as error:  # whatever a student's code may raise
            problem = error
        tried = calls[: len(repeated)]
        differences = [first_difference(call, got) for call, got in zip(tried, repeated, strict=True)]
        if any(differences):
            self.show_difference(kernel, tried, repeated, differences)
        elif problem is not None:
            self.show_error(kernel, tried, calls[len(tried)], problem)
        else:
            self.show(f"right  {kernel.name}, the same as the reference in {len(calls)} calls")
        return problem is None and not any(differences)

    def show_difference(
        self, kernel: Kernel, calls: list[Call], repeated: list[Call], differences: list[Difference | None]
    ) -> None:
        found = [(call, difference) for call, difference in zip(calls, differences, strict=True) if difference]
        row, first = found[0][0].row, found[0][1]
        self.show(f"wrong  {kernel.name} of {row}: {len(found)} of {len(calls)} calls differ from the reference")
        self.show(f"       {first.problem}")
        for hint in hints(MISTAKES[self.lesson.name][kernel.name], calls, repeated, differences):
            self.show(f"       hint: {hint}")

    def show_error(self, kernel: Kernel, right: list[Call], failed: Call, error: Exception) -> None:
        self.show(f"wrong  {kernel.name} of {failed.row}")
        self.show(f"       {described(error, self.path)}")
        new = common_feature([failed], right)
        if new:
            self.show(f"       hint: it is the first call in which {new}")

    def gradients(self) -> bool:
        """The engine's gradients, and their gradients, with these kernels in it."""
        examples = self.lesson.examples
        if not examples:
            self.show("       gradients: none, an optimiser's step is not differentiated")
            return True
        worst = 0.0
        with use_kernels(self.lesson.op, self.kernels):
            for example in examples:
                inputs = [Tensor(x, "reference") for x in example.inputs]
                try:
                    worst = max(worst, check_gradients(example, inputs, order=2))
                except GradientError as error:
                    self.show(f"wrong  {error}")
                    return False
                except UndecidedError as error:
                    self.show(f"       undecided: {error}")
                    return False
                except Exception as error:
                    raise StudentError(f"the gradient of {example.name}: {described(error, self.path)}") from error
        of_all = f"{len(examples)} examples" if len(examples) > 1 else "an example"
        self.show(f"right  gradients of order 1 and 2 of {of_all}, relative errors up to {worst:.0e}")
        return True

    def training(self) -> bool:
        """A network that trains with these kernels, beside one that trains with the framework's."""
        try:
            comparison = train_both(self.lesson, self.kernels)
        except Exception as error:
            raise StudentError(f"training: {described(error, self.path)}") from error
        _show_training(comparison, self.console)
        if comparison.agrees:
            self.show("right  both networks learn the same. Well done!")
        else:
            self.show("wrong  the two should agree. Does a kernel depend on how many images there are, or on what an "
                      "earlier call left behind?")  # fmt: skip
        return comparison.agrees


def _show_training(comparison: Comparison, console: Console) -> None:
    some = comparison.images < comparison.of_images
    why = f" (your kernels take {comparison.seconds_per_step:.2f} s for a step, so not all)" if some else ""
    say(console)(f"       trained on {comparison.images:,} of {comparison.of_images:,} digits{why}:")
    table = Table("epoch", "yours: loss", "accuracy", "test accuracy", "minidl's: loss", "accuracy", "test accuracy")
    for mine, theirs in zip(comparison.yours, comparison.theirs, strict=True):
        figures = [figure for row in (mine, theirs) for figure in _figures(row)]
        table.add_row(f"{mine['epoch']:.0f}", *figures)
    print_table(console, table)


def _figures(row: dict[str, float]) -> tuple[str, str, str]:
    return f"{row['loss']:.4f}", f"{row['accuracy']:.1%}", f"{row['validation_accuracy']:.1%}"
