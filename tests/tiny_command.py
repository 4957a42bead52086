"""The `minidl` command with one more network, "tiny", for tests that train: python tiny_command.py train tiny ...

It takes its time for each step and reports it, so that a test can interrupt it where it wants to.
"""

import os
import sys
import time

from minidl import BatchNorm, Chain, Conv, Dense, Dropout, MeanPool, cli, flatten, recipe, relu
from minidl.training.callbacks import KeepRunFolder, ProgressDisplay


def slowly(x):
    time.sleep(0.01)
    return x


def tiny():
    return Chain(
        MeanPool((8, 8)), Conv((3, 3), (3, 4), pad=1), BatchNorm(4, relu), slowly, flatten,
        Dense(64, 16, relu), Dropout(0.25), Dense(16, 10),
    )  # fmt: skip


if __name__ == "__main__":
    recipe.MODELS["tiny"] = tiny
    ProgressDisplay.LINE_EVERY = 0.0
    KeepRunFolder.CHECKPOINT_EVERY = float(os.environ["SECONDS_BETWEEN_CHECKPOINTS"])
    sys.exit(cli.main())
