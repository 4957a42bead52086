"""The `minidl` command with one more network, "tiny", for tests that train: python tiny_command.py train tiny ...

It reports every step. SIGNAL="SIGINT 11" in the environment makes it send itself that signal after step 11, which hits
the same moment every time; "SIGINT 11 SIGINT 11" does so twice. CHECKPOINT_EVERY is the number of seconds
between checkpoints.
"""

import os
import signal
import sys

from minidl import BatchNorm, Chain, Conv, Dense, Dropout, MeanPool, cli, flatten, recipe, relu
from minidl.training.callbacks import KeepRunFolder, ProgressDisplay


def tiny():
    return Chain(
        MeanPool((8, 8)), Conv((3, 3), (3, 4), pad=1), BatchNorm(4, relu), flatten,
        Dense(64, 16, relu), Dropout(0.25), Dense(16, 10),
    )  # fmt: skip


class SignalledDisplay(ProgressDisplay):
    LINE_EVERY = 0.0

    def batch_ended(self, training):
        super().batch_ended(training)
        words = os.environ["SIGNAL"].split()
        for name, step in zip(words[::2], words[1::2], strict=True):
            if training.optimiser.steps == int(step):
                os.kill(os.getpid(), signal.Signals[name])


if __name__ == "__main__":
    recipe.MODELS["tiny"] = tiny
    recipe.ProgressDisplay = SignalledDisplay
    KeepRunFolder.CHECKPOINT_EVERY = float(os.environ["CHECKPOINT_EVERY"])
    sys.exit(cli.main())
