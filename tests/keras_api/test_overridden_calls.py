"""What a class of the user's computes is what its model computes: nothing that minidl.keras takes a short cut for."""

import numpy as np
import pytest

from minidl.keras import Input, Model, Sequential
from minidl.keras.layers import (
    Activation,
    BatchNormalization,
    Conv2D,
    Dense,
    Flatten,
    MaxPooling2D,
    Softmax,
)
from minidl.keras.losses import BinaryCrossentropy, CategoricalCrossentropy, SparseCategoricalCrossentropy
from minidl.ops.elementwise import log

X = np.random.default_rng(0).standard_normal((4, 6, 6, 2)).astype(np.float32)


def halving(base):
    """A subclass whose call() halves what comes out."""

    def call(self, inputs):
        return 0.5 * base.call(self, inputs)

    return type("Halved", (base,), {"call": call})


STACKS = {
    "Conv2D": lambda kind: [kind(3, 3, padding="same"), Activation("relu"), MaxPooling2D()],
    "MaxPooling2D": lambda kind: [Conv2D(3, 3, activation="relu"), kind()],
    "BatchNormalization": lambda kind: [Conv2D(3, 3), kind(), Activation("relu"), MaxPooling2D()],
    "Activation": lambda kind: [Conv2D(3, 3), kind("relu"), MaxPooling2D()],
    "Dense": lambda kind: [Flatten(), kind(3), Activation("relu")],
}
BASES = {kind.__name__: kind for kind in (Conv2D, MaxPooling2D, BatchNormalization, Activation, Dense)}


@pytest.mark.parametrize("name", STACKS)
def test_a_layer_with_its_own_call_is_called(name):
    model = Sequential([Input(X.shape[1:]), *STACKS[name](halving(BASES[name]))])
    expected = X
    for layer in model.layers:
        expected = layer(expected)
    np.testing.assert_allclose(model.predict(X, verbose=0), expected.numpy(), atol=1e-6)


def layers():
    return [Conv2D(3, 3, activation="relu"), MaxPooling2D(), Flatten(), Dense(3), Softmax()]


def functional(kind):
    start = end = Input(X.shape[1:])
    for layer in layers():
        end = layer(end)
    return kind(start, end)


MODELS = {
    "Sequential": lambda: (halving(Sequential)([Input(X.shape[1:]), *layers()]), Sequential),
    "Sequential without Input": lambda: (halving(Sequential)(layers()), Sequential),
    "functional Model": lambda: (functional(halving(Model)), Model),
}


@pytest.mark.parametrize("name", MODELS)
def test_a_model_with_its_own_call_is_called(name):
    model, base = MODELS[name]()
    came = model.predict(X, verbose=0)
    whole = base.call(model, model._tensors([X])[0]).numpy()
    np.testing.assert_allclose(came, whole / 2, rtol=1e-6)
    np.testing.assert_allclose(model(X).numpy(), whole / 2, rtol=1e-6)
    np.testing.assert_allclose(came.sum(1), 0.5, rtol=1e-5)
    outer = Sequential([Input(X.shape[1:]), model, Activation("linear")])
    np.testing.assert_allclose(outer.predict(X, verbose=0), came, rtol=1e-6)
    model.compile("sgd", "mse")
    y = np.zeros((4, 3), np.float32)
    assert model.evaluate(X, y, verbose=0) == pytest.approx(np.mean(came**2), rel=1e-5)
    assert model.train_on_batch(X, y) == pytest.approx(np.mean(came**2), rel=1e-5)


def test_a_model_with_its_own_call_may_change_the_shape():
    class Pair(Sequential):
        def call(self, inputs):
            return super().call(inputs)[:, :2]

    outer = Sequential([Input(X.shape[1:]), Pair([Input(X.shape[1:]), *layers()])])
    assert outer.output_shape == (None, 2)
    assert outer.predict(X, verbose=0).shape == (4, 2)


@pytest.mark.parametrize(
    ("base", "last", "target"),
    [
        (CategoricalCrossentropy, "softmax", np.eye(3, dtype=np.float32)[[0, 1, 2, 0]]),
        (SparseCategoricalCrossentropy, "softmax", np.array([0, 1, 2, 0])),
        (BinaryCrossentropy, "sigmoid", np.eye(3, dtype=np.float32)[[0, 1, 2, 0]]),
    ],
)
@pytest.mark.parametrize("method", ["call", "__call__"])
def test_a_loss_with_its_own_call_is_given_what_the_model_predicts(base, last, target, method):
    """Not the scores before softmax or sigmoid, which a loss of Keras is given."""
    seen = []

    def own(self, y_true, y_pred, *more):
        seen.append(y_pred.numpy())
        return getattr(base, method)(self, y_true, y_pred, *more) - log(y_pred).mean()

    model = Sequential([Input((4,)), Dense(3), Activation(last)])
    model.compile("sgd", type("Mine", (base,), {method: own})())
    x = X[:, 0, 0].repeat(2, axis=1)
    predicted = model.predict(x, verbose=0)
    model.train_on_batch(x, target)
    assert len(seen) == 1
    np.testing.assert_allclose(seen[0], predicted, rtol=1e-6)
