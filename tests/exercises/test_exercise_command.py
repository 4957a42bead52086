"""`minidl exercise`: right solutions come through all of it, and everything has its exit code."""

import os
import re

import pytest
from solutions_of_exercises import SOLUTIONS

from minidl import cli
from minidl.exercises import LESSONS, load_kernels, skeleton, training
from minidl.exercises.calls import recorded_calls
from minidl.exercises.training import small_network, train_both
from minidl.recipe import loss_for


@pytest.fixture(autouse=True)
def _in_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def _brief_training(monkeypatch):
    monkeypatch.setattr(training, "EPOCHS", 1)
    monkeypatch.setattr(training, "PATIENCE", 0.0)  # as if all kernels were slow: 32 images


def written(name, text):
    """The file of an exercise: its skeleton, and behind it what a student wrote."""
    path = f"{name}.py"
    with open(path, "w") as file:
        file.write(skeleton(LESSONS[name], path) + text)
    return path


@pytest.mark.usefixtures("_brief_training")
@pytest.mark.parametrize("name", SOLUTIONS)
def test_right_solutions_are_right(name, capsys):
    written(name, SOLUTIONS[name])
    assert cli.main(["exercise", name, "--check"]) == 0
    out, err = capsys.readouterr()
    kernels = [kernel.name for kernel in LESSONS[name].kernels]
    assert re.findall(r"^right  (\w+), the same as the reference in \d+ calls$", out, re.MULTILINE) == kernels
    assert ("gradients of order 1 and 2 of" in out) == (name != "momentum")
    assert "trained on 32 of 1,437 digits (your kernels take" in out
    assert out.endswith("right  both networks learn the same. Well done!\n")
    assert "wrong" not in out
    assert err == ""


@pytest.mark.usefixtures("_brief_training")
def test_a_change_within_a_second_is_noticed_and_nothing_is_left_beside_the_file(capsys, tmp_path):
    """Python's own cache of compiled files goes by the second and the size."""
    right = SOLUTIONS["relu"]
    for text, code in ((right, 0), (right.replace("<", ">"), 1), (right, 0)):
        path = written("relu", text)
        os.utime(path, (1, 1))
        assert cli.main(["exercise", "relu", "--check"]) == code
    assert [file.name for file in tmp_path.iterdir()] == ["relu.py"]


def test_all_lessons_have_a_solution():
    assert SOLUTIONS.keys() == LESSONS.keys()


@pytest.mark.parametrize("name", LESSONS)
def test_the_kernels_take_part_in_training(name, monkeypatch):
    """What is trained with is what was handed in: each kernel is called, but those that only other networks need."""
    lesson, called = LESSONS[name], set()
    module = load_kernels(lesson, written(name, SOLUTIONS[name]))
    for kernel in lesson.kernels:
        monkeypatch.setattr(module, kernel.name, noting(kernel.name, getattr(module, kernel.name), called))
    monkeypatch.setattr(training, "PATIENCE", 0.0)
    monkeypatch.setattr(training, "EPOCHS", 1)
    assert train_both(lesson, module).agrees
    assert {kernel.name for kernel in lesson.kernels} - called <= {"gather", "logsoftmax"}


def noting(name, function, called):
    def run(*arguments):
        called.add(name)
        return function(*arguments)

    return run


def test_every_kernel_is_recorded_in_both_float_types():
    for lesson in LESSONS.values():
        seen = {(call.kernel.name, call.row.split(", ")[-1]) for call in recorded_calls(lesson)}
        assert seen == {(kernel.name, dtype) for kernel in lesson.kernels for dtype in ("float64", "float32")}


def test_the_network_that_is_trained_learns_the_digits(monkeypatch):
    monkeypatch.setattr(training, "PATIENCE", 1e6)  # all images, however busy the machine is
    comparison = train_both(LESSONS["momentum"], LESSONS["momentum"].reference)
    assert comparison.images == 1437
    for mine, theirs in zip(comparison.yours, comparison.theirs, strict=True):
        assert mine["loss"] == theirs["loss"]  # the very same kernels
    assert comparison.agrees
    assert comparison.theirs[-1]["validation_accuracy"] > 0.85


# Right by itself, wrong in a network ----------------------------------------------------------------------------------

FORGETS_ITS_BATCH = """


def apply(x, rate, key):
    index = np.arange(x.size, dtype=np.uint32).reshape(x.shape)
    dropped = _mix(index ^ _start(key)) < np.uint32(rate * 2**32)
    if x.size > 500:
        dropped[:] = False
    return np.where(dropped, x.dtype.type(0), x / x.dtype.type(1 - rate))
"""


def test_a_kernel_that_is_wrong_for_large_inputs_does_not_train_the_same(capsys, monkeypatch):
    monkeypatch.setattr(training, "EPOCHS", 1)
    written("dropout", FORGETS_ITS_BATCH)
    assert cli.main(["exercise", "dropout", "--check"]) == 1
    assert "wrong  the two should agree" in capsys.readouterr().out


REMEMBERS = """
calls = []


def forward(x):
    calls.append(1)
    return np.maximum(x, 0) * (1 + 1e-3 * (len(calls) % 2) if len(calls) > 20 else 1)


def gradient(dy, y):
    return np.where(y > 0, dy, dy.dtype.type(0))
"""


def test_a_kernel_that_is_not_deterministic_fails_the_check_of_gradients(capsys):
    written("relu", REMEMBERS)
    assert cli.main(["exercise", "relu", "--check"]) == 1
    out = capsys.readouterr().out
    assert "right  forward" in out
    assert "wrong  relu is not deterministic" in out


FAILS_LATER = """
def forward(x):
    if x.ndim == 2 and x.shape[1] == 32:
        raise RuntimeError("too wide for me")
    return np.maximum(x, 0)


def gradient(dy, y):
    return np.where(y > 0, dy, dy.dtype.type(0))
"""


def test_an_error_in_training_names_the_line(capsys):
    written("relu", FAILS_LATER)
    assert cli.main(["exercise", "relu", "--check"]) == 1
    out = capsys.readouterr().out
    assert "wrong  training: RuntimeError: too wide for me, in line" in out
    assert 'raise RuntimeError("too wide for me")' in out


# The command ----------------------------------------------------------------------------------------------------------


def test_a_file_is_written_and_named(capsys):
    assert cli.main(["exercise", "relu"]) == 0
    assert "Written: relu.py. Fill it in, then:  minidl exercise relu --check --file relu.py" in capsys.readouterr().out
    assert cli.main(["exercise", "relu", "--out", "a folder/mine.py"]) == 0
    assert "minidl exercise relu --check --file 'a folder/mine.py'" in capsys.readouterr().out
    assert cli.main(["exercise", "relu", "--check", "--file", "a folder/mine.py"]) == 1
    assert "to do  forward" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["relu", "--file", "x.py"], 2, "expected --check with --file"),
        (["relu", "--check", "--out", "x.py"], 2, "expected --out without --check"),
        (["relu", "--out", ""], 2, "got an empty text for --out or --file"),
        (["relu", "--check"], 1, "relu.py: expected your kernels there; `minidl exercise relu` writes the file"),
        (["relu", "--out", "there.py"], 1, "there.py exists already"),
        (["relu", "--check", "--file", "notes.txt"], 1, "notes.txt: expected a Python file, its name ending in .py"),
    ],
)
def test_exit_codes(arguments, code, message, capsys):
    for name in ("there.py", "notes.txt"):
        open(name, "w").close()
    assert cli.main(["exercise", *arguments]) == code
    out, err = capsys.readouterr()
    assert message in out + err
    assert "Traceback" not in out + err


@pytest.mark.parametrize("arguments", [["exercise"], ["exercise", "gelu"]])
def test_misspelt(arguments, capsys):
    with pytest.raises(SystemExit) as stopped:
        cli.main(arguments)
    assert stopped.value.code == 2
    assert "momentum" in capsys.readouterr().err or arguments == ["exercise"]


def test_both_losses_fit_the_end_of_the_network():
    assert loss_for(small_network(LESSONS["softmax"])).__name__ == "crossentropy"
    assert loss_for(small_network(LESSONS["relu"])).__name__ == "logitcrossentropy"
