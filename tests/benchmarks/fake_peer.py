"""A peer for the tests of benchmarks: it computes nothing, prints like a library, and can be made to fail."""

import os

import numpy as np


class Peer:
    def __init__(self, threads, option, backend):
        self.option, self.backend, self.waits = option, backend, 0
        print("a library that greets")
        os.system("echo a program that greets")

    def versions(self):
        return {"fake": "1.0"}

    def wait(self):
        self.waits += 1

    def build(self, network, weights):
        self.network, self.steps = network, 0

    def take(self, images, labels):
        self.images, self.labels = images, labels

    def forward(self):
        return np.eye(10, dtype=np.float32)[self.labels]

    def step(self):
        print("a step")
        self.steps += 1
        if self.option == "dies":
            os._exit(7)
        return float("nan") if self.option == "diverges" else 1.0 / self.steps

    def weight(self, layer):
        return np.zeros(3, np.float32)

    def fit(self, images, labels, batch):
        self.fitted = (images.shape, batch)
