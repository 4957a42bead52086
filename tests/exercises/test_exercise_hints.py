"""What `minidl exercise OP --check` says to kernels that are wrong: the right hint, and no other."""

import re

import pytest
from rich.console import Console

from minidl.exercises import LESSONS, check_exercise, skeleton
from minidl.exercises.calls import recorded_calls
from minidl.exercises.comparing import first_difference
from minidl.exercises.hints import hints
from minidl.exercises.mistakes import MISTAKES

R = "from minidl.ops.{op}.reference import *\nfrom minidl.ops.{op} import reference as right\nimport numpy as np\n"

# op, the student's code behind the reference's functions, what is said, how many hints
WRONG = [
    ("conv2d", "def forward(x, weight, bias, *how): return right.forward(x, weight, 0 * bias, *how)",
     ["wrong  forward", "hint: the bias is forgotten"], 1),
    ("conv2d", "def forward(x, weight, bias, windows, groups):\n"
               "    return right.forward(x, weight[::-1, ::-1], bias, windows, groups)",
     ["hint: the filters are flipped: here they slide as they are"], 1),
    ("conv2d", "def forward(x, weight, bias, windows, groups):\n"
               "    return right.forward(x, weight, bias, windows._replace(top=0, bottom=0, left=0, right=0), groups)",
     ["y has shape", "hint: the padding is forgotten"], 1),
    ("conv2d", "def input_gradient(dy, weight, x_shape, windows, groups):\n"
               "    return right.input_gradient(dy, weight, x_shape, windows, groups) / 2",
     ["hint: everything is 0.5 times as large as it should be (1 / 2)"], 1),
    ("conv2d", "def weight_gradient(dy, x, weight_shape, windows, groups):\n"
               "    return -right.weight_gradient(dy, x, weight_shape, windows, groups)",
     ["hint: the sign is turned round"], 1),
    ("conv2d", "def forward(x, weight, bias, windows, groups):\n"
               "    assert groups == 1, 'no groups, please'\n"
               "    return right.forward(x, weight, bias, windows, groups)",
     ["AssertionError: no groups, please, in line", "hint: it is the first call in which there are groups"], 1),
    ("max_pool2d", "def forward(x, windows):\n"
                   "    w = windows\n"
                   "    padded = np.pad(x, ((0, 0), (w.top, w.bottom), (w.left, w.right), (0, 0)))\n"
                   "    return right.forward(padded, w._replace(top=0, bottom=0, left=0, right=0))",
     ["hint: padding wins, as if it were pixels of 0: leave it out"], 1),
    ("conv2d", "def forward(x, weight, bias, windows, groups):\n"
               "    assert groups == 1\n"
               "    return right.forward(x, weight, 0 * bias, windows, groups)",
     ["wrong  forward of conv2d(2x3x4x2, 2x2x2x3, 3), float64: 6 of 14 calls", "hint: the bias is forgotten"], 1),
    ("max_pool2d", "def forward(x, windows): return right.forward(x, windows)[0]",
     ["expected the results (y, choice), got shape"], 0),
    ("max_pool2d", "def scatter(dy, choice, x_shape, windows):\n"
                   "    dx = np.zeros(x_shape, dy.dtype)\n"
                   "    dx[right._chosen(choice, windows)] = dy\n"
                   "    return dx",
     ["hint: where windows overlap, the last dy replaces the others: add them, as np.add.at does"], 1),
    ("mean_pool2d", "def forward(x, windows): return right.forward(x, windows) * windows.height * windows.width",
     ["hint: everything is 4 times as large as it should be"], 1),
    ("dense", "def forward(x, weight, bias): return (x @ weight + bias).T",
     ["hint: it looks transposed"], 1),
    ("dense", "def forward(x, weight, bias):\n    x *= 1.5\n    return right.forward(x / 1.5, weight, bias)",
     ["it changes its input x: work on a copy, or in a new array"], 0),
    ("dense", "def forward(x, weight, bias): right.forward(x, weight, bias)",
     ["y: expected an array (1, 1), got None: is there a return?"], 0),
    ("dense", "def forward(x, weight, bias): return right.forward(x, weight, bias).astype('float64')",
     ["y is of type float64, expected float32, the type of the inputs", "just where numbers are float32"], 1),
    ("dense", "def weight_gradient(dy, x):\n    1 / 0", ["ZeroDivisionError: division by zero, in line 5: 1 / 0"], 0),
    ("softmax", "def softmax(x):\n    e = np.exp(x)\n    return e / e.sum(-1, keepdims=True)",
     ["wrong  softmax of softmax(2x3)", "hint: numbers are nan or infinite: exp() of a large number"], 1),
    ("softmax", "def softmax(x):\n    e = np.exp(x - x.max())\n    return e / e.sum()",
     ["hint: the sum is over all numbers, not over each row"], 1),
    ("relu", "def gradient(dy, y): return np.where(y >= 0, dy, dy.dtype.type(0))",
     ["hint: it lets dy through where y is 0, too"], 1),
    ("relu", "def forward(x): return np.where(x > 0, x, x.dtype.type(0))",
     ["hint: nan becomes 0: it should stay nan"], 1),
    ("relu", "def forward(x): return x", ["hint: nothing is changed"], 1),
    ("relu", "def forward(x): raise NotImplementedError", ["to do  forward: compute y of x's shape"], 0),
    ("batch_norm", "def statistics(x):\n"
                   "    rows = x.reshape(-1, x.shape[-1])\n"
                   "    return rows.mean(0), rows.var(0, ddof=1)",
     ["variance[0] is", "hint: the variance is divided by n - 1: here it is by n"], 1),
    ("batch_norm", "def gradient(dy, x, mean, deviation, scale, shift, relu):\n"
                   "    dx, dscale, dshift = right.gradient(dy, x, mean, deviation, scale, shift, relu)\n"
                   "    if relu: dy = dy * ((x - mean) / deviation * scale + shift > 0)\n"
                   "    return scale / deviation * dy, dscale, dshift",
     ["dx[0, 0] is", "hint: that mean and variance depend on x, too, is forgotten"], 1),
    ("dropout", "def apply(x, rate, key): return right.apply(x, rate, key) * x.dtype.type(1 - rate)",
     ["hint: what is kept is not divided by 1 - rate"], 1),
    ("softmax_cross_entropy", "def forward(scores, targets): return -right.forward(scores, targets)",
     ["hint: the sign is turned round"], 1),
    ("momentum", "def momentum(parameters, gradients, velocities, learning_rate, momentum, weight_decay):\n"
                 "    for p, g, v in zip(parameters, gradients, velocities):\n"
                 "        v = momentum * v - learning_rate * (g + weight_decay * p)\n"
                 "        p += v",
     ["velocities[0][0] is", "hint: the velocity is not kept: change the array itself"], 1),
    ("momentum", "def momentum(parameters, gradients, velocities, learning_rate, momentum, weight_decay):\n"
                 "    for p, g, v in zip(parameters, gradients, velocities):\n"
                 "        v[...] = momentum * v + g + weight_decay * p\n"
                 "        p -= learning_rate * v",
     ["hint: the learning rate is multiplied in at the end, as in PyTorch: here it is inside the velocity"], 1),
]  # fmt: skip


def said_about(op, text, tmp_path, capsys):
    path = tmp_path / f"{op}.py"
    path.write_text(text)
    right = check_exercise(LESSONS[op], str(path), Console(highlight=False))
    return right, capsys.readouterr().out


@pytest.mark.parametrize(("op", "code", "expected", "count"), WRONG)
def test_a_wrong_kernel_is_found_and_hinted_at(op, code, expected, count, tmp_path, capsys):
    right, said = said_about(op, R.format(op=LESSONS[op].op) + code, tmp_path, capsys)
    assert not right
    for words in expected:
        assert words in said, said
    assert said.count("hint: ") == count, said
    wrong = re.findall(r"^(?:wrong|to do)  (\w+)", said, re.MULTILINE)
    assert wrong == re.findall(r"def (\w+)\(", code)  # and no other kernel


@pytest.mark.parametrize(("op", "kernel"), [(op, kernel) for op in MISTAKES for kernel in MISTAKES[op]])
def test_every_known_mistake_can_be_told_from_all_others(op, kernel):
    """And each makes a difference to some row: otherwise it would never be shown."""
    lesson, mistakes = LESSONS[op], MISTAKES[op][kernel]
    calls = [call for call in recorded_calls(lesson) if call.kernel.name == kernel]
    for hint, mistake in mistakes.items():
        made = [mistaken(call, mistake, getattr(lesson.reference, kernel)) for call in calls]
        differences = [first_difference(call, got) for call, got in zip(calls, made, strict=True)]
        assert hints(mistakes, calls, made, differences) == [hint]


def mistaken(call, mistake, right):
    try:
        return call.repeat(mistake)
    except (ValueError, IndexError, ZeroDivisionError):  # with these shapes, it cannot be made
        return call.repeat(right)


def test_all_kernels_have_known_mistakes():
    kernels = {(lesson.name, kernel.name) for lesson in LESSONS.values() for kernel in lesson.kernels}
    assert kernels == {(op, kernel) for op in MISTAKES for kernel in MISTAKES[op]}


@pytest.mark.parametrize("op", LESSONS)
def test_an_untouched_skeleton_is_all_to_do(op, tmp_path, capsys):
    right, said = said_about(op, skeleton(LESSONS[op], f"{op}.py"), tmp_path, capsys)
    assert not right
    assert re.findall(r"^to do  (\w+)", said, re.MULTILINE) == [kernel.name for kernel in LESSONS[op].kernels]
    assert f"0 of {len(LESSONS[op].kernels)} kernels are right" in said


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("def forward(x:\n", "SyntaxError: '(' was never closed"),
        ("import numpy\nnumpy.nothing\n", "AttributeError: module 'numpy' has no attribute 'nothing', in line 2"),
        ("import sys\nsys.exit()\n", "relu.py cannot be imported: SystemExit: , in line 2: sys.exit()"),
        ("def forward(x): return x\n", "expected functions gradient, as `minidl exercise relu` begins them"),
        ("def forward(x): return x\ndef gradient(dy, y): return dy\n", "wrong  forward"),
    ],
)
def test_a_file_that_cannot_be_used(text, words, tmp_path, capsys):
    right, said = said_about("relu", text, tmp_path, capsys)
    assert not right
    assert words in said
    assert "Traceback" not in said
