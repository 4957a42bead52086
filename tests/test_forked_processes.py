"""A forked process computes what its parent would, or says at once why it cannot. It never hangs.

Each script is a process of its own, with a time limit.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork()")

BEGINNING = """
import faulthandler, hashlib, multiprocessing, os, sys, threading, time
faulthandler.dump_traceback_later(60, exit=True)
import numpy as np
import minidl
from minidl import Tensor, functions as F

def step():
    minidl.seed(0)
    generator = np.random.default_rng(0)
    x, y = generator.random((64, 8, 8, 4), np.float32), np.eye(10, dtype=np.float32)[generator.integers(0, 10, 64)]
    model = minidl.Chain(
        minidl.Conv((3, 3), (4, 8), minidl.relu, pad=1), minidl.MaxPool((2, 2)), minidl.flatten,
        minidl.Dense(128, 10), minidl.Dropout(0.5),
    )
    with minidl.training_mode(1):
        loss = F.softmax_cross_entropy(model(x), y).mean()
    loss.backward()
    return hashlib.sha256(b"".join(x.grad.numpy().tobytes() for x in model.params().values())).hexdigest()

def forked(work):
    "What work() gives in a forked child."
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(write, repr(work()).encode())
        except BaseException as error:
            os.write(write, f"{type(error).__name__}: {error}".encode())
        os._exit(0)
    os.close(write)
    with open(read) as pipe:
        said = pipe.read()
    _, status = os.waitpid(child, 0)
    assert status == 0, status
    return said
"""
CASES = {
    "a child trains the same step as its parent before": """
expected = step()
assert forked(step) == repr(expected)
assert step() == expected
""",
    "fork before any kernel ran": """
from minidl.ops.threads import lost_in_fork
assert forked(lambda: (step(), lost_in_fork())) == repr((step(), False))
""",
    "a child of a child": """
expected = step()
assert forked(lambda: forked(step)) == repr(repr(expected))
assert forked(lambda: (step(), forked(step))) == repr((expected, repr(expected)))
""",
    "a child of a child that ran the first kernel": """
assert forked(lambda: (step(), forked(step))) == repr((step(), repr(step())))
""",
    "a pool that is forked": """
model = minidl.Chain(minidl.Dense(50, 400, minidl.relu), minidl.Dense(400, 3, minidl.softmax))
batches = np.random.default_rng(0).random((4, 100, 50), np.float32)
expected = [model(batch).numpy().tobytes() for batch in batches]

def predict(batch):
    return model(batch).numpy().tobytes()

with multiprocessing.get_context("fork").Pool(2) as pool:
    assert pool.map(predict, batches) == expected
""",
    "while other threads compute": """
x = Tensor(np.random.default_rng(0).random((64, 1024), np.float32))
expected = F.relu(x).numpy().tobytes()
stop = threading.Event()

def compute():
    while not stop.is_set():
        F.softmax(F.relu(x))

others = [threading.Thread(target=compute) for _ in range(2)]
for other in others:
    other.start()
try:
    for _ in range(8):
        assert forked(lambda: F.relu(x).numpy().tobytes() == expected) == "True"
finally:
    stop.set()
    for other in others:
        other.join()
""",
    "while another thread is inside a kernel": """
from minidl.ops import compiling
F.relu(np.ones((64, 1024), np.float32))
inside, done = threading.Event(), threading.Event()

def hold():
    with compiling._one_at_a_time, compiling.global_compiler_lock:
        inside.set()
        done.wait(0.3)

other = threading.Thread(target=hold)
other.start()
inside.wait()
assert forked(lambda: float(F.relu(np.ones((64, 1024), np.float32)).sum())) == "65536.0"
other.join()
""",
    "while the memory of arrays is being handed out": """
from minidl.ops import memory
array = memory.empty((1024, 1024), "float32")
with memory._pool._lock:
    assert forked(lambda: memory.empty((1024, 1024), "float32").shape) == "(1024, 1024)"
""",
    "in the midst of a pass over a loader": """
from minidl.data import DataLoader
loader = DataLoader(np.arange(100), 10)
batches = iter(loader)
next(batches)
said = forked(lambda: next(batches))
assert said.startswith("RuntimeError: DataLoader: this pass was begun by the process that this one was forked"), said
assert forked(lambda: len(list(loader))) == "10"
assert len(list(batches)) == 9
ahead = DataLoader(np.arange(100), 10, prefetch=0).batches(0)
next(ahead)
assert forked(lambda: len(list(ahead))) == "9"
""",
    "without OpenMP": """
import numba
expected = step()
assert numba.threading_layer() == "workqueue"
assert forked(step) == repr(expected)
""",
}
SLOW = {"a child of a child", "a child of a child that ran the first kernel"}


def run(script, **environment):
    result = subprocess.run(
        [sys.executable, "-c", BEGINNING + script], env=os.environ | environment, capture_output=True, text=True,
        timeout=120, cwd=Path(__file__).parent,
    )  # fmt: skip
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize(
    "case", [pytest.param(case, marks=pytest.mark.slow) if case in SLOW else case for case in CASES]
)
def test_a_forked_process_computes(case):
    run(CASES[case], **({"NUMBA_THREADING_LAYER": "workqueue"} if case == "without OpenMP" else {}))


@pytest.mark.slow
def test_a_kernel_that_was_never_compiled_is_compiled_by_the_child(tmp_path):
    script = """
F.relu(np.ones((64, 1024), np.float32))
assert forked(lambda: float(F.row_sums(np.ones((64, 1024), np.float32)).sum())) == "65536.0"
"""
    run(script, MINIDL_CACHE_DIR=str(tmp_path))


@pytest.mark.gpu
def test_on_a_gpu_a_forked_process_says_so_at_once():
    """CUDA does not survive a fork: of the tensors that are on the GPU, and of new ones."""
    run("""
if "cupy" not in sys.modules:
    sys.path.insert(0, "cuda")
    from emulator import strict_cupy
    strict_cupy.install()
x = Tensor(np.ones((2, 3), np.float32), "gpu")
y = F.relu(x) + 1
for work in [lambda: F.relu(x), lambda: x + 1, lambda: Tensor([1.0], "gpu"), lambda: x.to("gpu"), lambda: repr(x)]:
    said = forked(work)
    assert "this process was forked from one that had used CUDA" in said and "'spawn'" in said, said
assert forked(lambda: F.relu(np.ones((2, 3), np.float32)).numpy().sum()) == repr(np.float32(6))
assert forked(lambda: minidl.backend.why_unusable("gpu") == minidl.backend.AFTER_FORK) == "True"
assert float((F.relu(x) + 1).sum()) == 12
""")
