"""The second process compiles what the first one will need."""

import os
import subprocess
import sys

SCRIPT = """
import sys
import numpy as np
from numba.core.dispatcher import Dispatcher
import minidl
from minidl.losses import logitcrossentropy
from minidl.modes import training_mode
from minidl.models import vgg11
from minidl.optimisers import Momentum
from minidl.ops.compile_ahead import compile_all

def compiled():
    modules = [module for name, module in sys.modules.items() if name.startswith("minidl.ops.")]
    functions = [getattr(function, "__wrapped__", function) for module in modules for function in vars(module).values()]
    kernels = [function for function in functions if isinstance(function, Dispatcher)]
    return {(kernel, signature) for kernel in kernels for signature in kernel.signatures}

compile_all()
before = compiled()
images, targets = np.ones((64, 32, 32, 3), np.float32), np.ones((64, 10), np.float32)
for batchnorm in (True, False):
    model, optimiser = vgg11(batchnorm=batchnorm), Momentum()
    with training_mode(0):
        loss = logitcrossentropy(model(images), targets)
    loss.backward()
    optimiser.step(model.params())
for kernel, signature in compiled() - before:
    print(kernel.py_func.__module__, kernel.py_func.__name__, signature)
assert len(before) > 20
"""


def test_all_kernels_of_a_training_step_are_compiled_ahead():
    process = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=200, check=False)
    assert process.returncode == 0, process.stderr
    assert process.stdout == ""


def test_it_ends_with_the_process_that_started_it(tmp_path):
    """That process has the other end of its standard input. Compiling everything would take longer than is waited."""
    command = [sys.executable, "-c", "from minidl.ops.compile_ahead import main; main()"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, env=os.environ | {"MINIDL_CACHE_DIR": str(tmp_path)})
    process.communicate(timeout=15)
    assert process.returncode == 0
    assert len(list(tmp_path.rglob("*.nbc"))) < 10
