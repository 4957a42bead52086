"""Small networks for images of 32 x 32 pixels: they train in seconds on the digits, in minutes on CIFAR-10."""

from minidl import functions as f
from minidl.layers import BatchNorm, Chain, Conv, Dense, MaxPool, he_normal


def small_cnn(classes: int = 10) -> Chain:
    """Three blocks of convolution, batch norm and pool: images (n, 32, 32, 3) -> scores (n, classes)."""
    return Chain(
        Conv((3, 3), (3, 32), pad=1, bias=False, init=he_normal),
        BatchNorm(32, f.relu),
        MaxPool((2, 2)),
        Conv((3, 3), (32, 64), pad=1, bias=False, init=he_normal),
        BatchNorm(64, f.relu),
        MaxPool((2, 2)),
        Conv((3, 3), (64, 128), pad=1, bias=False, init=he_normal),
        BatchNorm(128, f.relu),
        MaxPool((2, 2)),
        f.flatten,
        Dense(4 * 4 * 128, classes, init=he_normal),
    )


def lenet(classes: int = 10) -> Chain:
    """LeNet-5 (LeCun et al. 1998) as it is written today: images (n, 32, 32, 3) -> scores (n, classes).

    Largest numbers instead of trained averages under the pools, relu instead of tanh, every filter sees every channel,
    and a dense layer at the end.
    """
    return Chain(
        Conv((5, 5), (3, 6), f.relu, init=he_normal),
        MaxPool((2, 2)),
        Conv((5, 5), (6, 16), f.relu, init=he_normal),
        MaxPool((2, 2)),
        f.flatten,
        Dense(5 * 5 * 16, 120, f.relu, init=he_normal),
        Dense(120, 84, f.relu, init=he_normal),
        Dense(84, classes, init=he_normal),
    )


def mlp(classes: int = 10) -> Chain:
    """Three dense layers, which know nothing of neighbouring pixels: images (n, 32, 32, 3) -> scores (n, classes)."""
    return Chain(
        f.flatten,
        Dense(32 * 32 * 3, 512, f.relu, init=he_normal),
        Dense(512, 256, f.relu, init=he_normal),
        Dense(256, classes, init=he_normal),
    )
