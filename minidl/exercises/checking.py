"""`minidl exercise OP --check`: is it right, are its gradients right, and does it train?"""

from __future__ import annotations

from types import ModuleType

from rich.console import Console
from rich.table import Table

from minidl.backend import use_kernels
from minidl.display import print_table
from minidl.exercises.calls import Call, recorded_calls
from minidl.exercises.comparing import first_difference
from minidl.exercises.hints import common_feature, hints
from minidl.exercises.lessons import Kernel, Lesson
from minidl.exercises.mistakes import MISTAKES
from minidl.exercises.student_file import StudentError, described, load_kernels
from minidl.exercises.training import Comparison, train_both
from minidl.gradient_check import GradientError, check_gradients
from minidl.recipe import say
from minidl.tensor import Tensor


def check_exercise(lesson: Lesson, path: str, console: Console) -> bool:
    """Check the kernels in the file, in three steps, and print what is found; whether all are right.

    The steps: every kernel against the reference, the gradients of order 1 and 2 with these kernels in the engine, and
    a network that trains with them. FileNotFoundError without a file.
    """
    show = say(console)
    try:
        kernels, calls = load_kernels(lesson, path), recorded_calls(lesson)
        right = [_check_kernel(lesson, kernel, kernels, calls, path, console) for kernel in lesson.kernels]
        if not all(right):
            show(f"{sum(right)} of {len(right)} kernels are right. Gradients and training wait until all are.")
            return False
        return _check_gradients(lesson, kernels, path, console) and _check_training(lesson, kernels, path, console)
    except StudentError as error:
        show(f"wrong  {error}")
        return False


def _check_kernel(
    lesson: Lesson, kernel: Kernel, kernels: ModuleType, recorded: list[Call], path: str, console: Console
) -> bool:
    """Compare one kernel with the reference, and print a line about it, or several when it is wrong."""
    show = say(console)
    calls = [call for call in recorded if call.kernel is kernel]
    function = getattr(kernels, kernel.name)
    try:
        repeated = []
        for call in calls:
            repeated.append(call.repeat(function))
    except NotImplementedError:
        show(f"to do  {kernel.name}: {kernel.task}")
        return False
    except Exception as error:
        show(f"wrong  {kernel.name} of {call.row}")
        show(f"       {described(error, path)}")
        new = common_feature([call], calls[: len(repeated)])
        if new:
            show(f"       hint: it is the first call in which {new}")
        return False
    differences = [first_difference(call, got) for call, got in zip(calls, repeated, strict=True)]
    found = [difference for difference in differences if difference]
    if not found:
        show(f"right  {kernel.name}, the same as the reference in {len(calls)} calls")
        return True
    first = next(i for i, difference in enumerate(differences) if difference)
    show(f"wrong  {kernel.name} of {calls[first].row}: {len(found)} of {len(calls)} calls differ from the reference")
    show(f"       {found[0].problem}")
    for hint in hints(MISTAKES[lesson.name][kernel.name], calls, repeated, differences):
        show(f"       hint: {hint}")
    return False


def _check_gradients(lesson: Lesson, kernels: ModuleType, path: str, console: Console) -> bool:
    """The engine's gradients, and their gradients, with these kernels in it."""
    if not lesson.examples:
        say(console)("       gradients: none, an optimiser's step is not differentiated")
        return True
    worst = 0.0
    with use_kernels(lesson.op, kernels):
        for example in lesson.examples:
            inputs = [Tensor(x, "reference") for x in example.inputs]
            try:
                worst = max(worst, check_gradients(example, inputs, order=2))
            except GradientError as error:
                say(console)(f"wrong  {error}")
                return False
            except Exception as error:
                raise StudentError(f"the gradient of {example.name}: {described(error, path)}") from error
    count = len(lesson.examples)
    of_all = f"{count} examples" if count > 1 else "an example"
    say(console)(f"right  gradients of order 1 and 2 of {of_all}, relative errors up to {worst:.0e}")
    return True


def _check_training(lesson: Lesson, kernels: ModuleType, path: str, console: Console) -> bool:
    """A network that trains with these kernels, beside one that trains with the framework's."""
    try:
        comparison = train_both(lesson, kernels)
    except Exception as error:
        raise StudentError(f"training: {described(error, path)}") from error
    _show_training(comparison, console)
    if comparison.agrees:
        say(console)("right  both networks learn the same. Well done!")
    else:
        say(console)("wrong  the two should agree. Does a kernel depend on something beside its arguments, such as the "
                     "number of images, or what an earlier call left behind?")  # fmt: skip
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
