"""The article's network in Flux's way, on minidl: 13 convolutions, one batch norm, two dropouts."""

from minidl import BatchNorm, Chain, Conv, Dense, Dropout, MaxPool, flatten, relu, softmax
from minidl.data import CIFAR10, DataLoader, onehotbatch
from minidl.losses import crossentropy
from minidl.optimisers import Momentum
from minidl.training import epochs, train


def vgg():
    return Chain(
        Conv((3, 3), (3, 64), relu, pad=(1, 1), stride=(1, 1)),
        Conv((3, 3), (64, 64), relu, pad=(1, 1), stride=(1, 1)),
        MaxPool((2, 2)),
        Conv((3, 3), (64, 128), relu, pad=(1, 1), stride=(1, 1)),
        Conv((3, 3), (128, 128), relu, pad=(1, 1), stride=(1, 1)),
        MaxPool((2, 2)),
        Conv((3, 3), (128, 256), relu, pad=(1, 1), stride=(1, 1)),
        Conv((3, 3), (256, 256), relu, pad=(1, 1), stride=(1, 1)),
        Conv((3, 3), (256, 256), relu, pad=(1, 1), stride=(1, 1)),
        MaxPool((2, 2)),
        Conv((3, 3), (256, 512), relu, pad=(1, 1), stride=(1, 1)),
        Conv((3, 3), (512, 512), relu, pad=(1, 1), stride=(1, 1)),
        Conv((3, 3), (512, 512), relu, pad=(1, 1), stride=(1, 1)),
        MaxPool((2, 2)),
        Conv((3, 3), (512, 512), relu, pad=(1, 1), stride=(1, 1)),
        Conv((3, 3), (512, 512), relu, pad=(1, 1), stride=(1, 1)),
        Conv((3, 3), (512, 512), relu, pad=(1, 1), stride=(1, 1)),
        MaxPool((2, 2)),
        BatchNorm(512),
        flatten,
        Dense(512, 4096, relu),
        Dropout(0.5),
        Dense(4096, 4096, relu),
        Dropout(0.5),
        Dense(4096, 10),
        softmax,
    )


trainX, trainY = CIFAR10("train").arrays()
data = DataLoader((trainX, onehotbatch(trainY, range(10))), batchsize=64, shuffle=True)
model, opt = vgg(), Momentum(0.001, 0.9)
print(model)


def loss(x, y):
    return crossentropy(model(x), y)


for _ in epochs(100):
    train(loss, model.params(), data, opt)
