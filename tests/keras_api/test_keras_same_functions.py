"""Activations, regularizers and the settings of initializers beside Keras's own."""

import numpy as np
import pytest

from minidl.keras import activations, initializers, regularizers
from minidl.tensor import Tensor

keras = pytest.importorskip("keras")
pytest.importorskip("tensorflow")

pytestmark = pytest.mark.keras

X = np.random.default_rng(0).normal(0, 3, (5, 7)).astype(np.float32)
ACTIVATIONS = [
    *((name, {}) for name in sorted(activations.KNOWN)),
    ("relu", {"negative_slope": 0.3}),
    ("relu", {"max_value": 2.0}),
    ("relu", {"threshold": 1.5}),
    ("relu", {"threshold": -1.5, "max_value": 4.0}),
    ("relu", {"negative_slope": 0.3, "max_value": 2.0, "threshold": 0.5}),
    ("leaky_relu", {"negative_slope": 0.5}),
    ("elu", {"alpha": 0.3}),
    ("celu", {"alpha": 0.3}),
    ("gelu", {"approximate": True}),
    ("softmax", {"axis": 0}),
    ("log_softmax", {"axis": 0}),
]


@pytest.mark.parametrize(("name", "settings"), ACTIVATIONS, ids=str)
def test_activations_agree(name, settings):
    expected = keras.ops.convert_to_numpy(getattr(keras.activations, name)(X, **settings))
    y = getattr(activations, name)(Tensor(X), **settings)
    np.testing.assert_allclose(y.numpy(), expected, rtol=1e-5, atol=1e-6)
    if not settings:
        y = activations.get(name)(Tensor(X))
        np.testing.assert_allclose(y.numpy(), expected, rtol=1e-5, atol=1e-6)
        assert activations.serialize(name) == keras.activations.serialize(keras.activations.get(name))


@pytest.mark.parametrize(
    ("name", "settings"), [("L1", {}), ("L2", {}), ("L1L2", {}), ("L1L2", {"l1": 0.1, "l2": 0.3})], ids=str
)
def test_regularizers_agree(name, settings):
    ours, theirs = (getattr(module, name)(**settings) for module in (regularizers, keras.regularizers))
    assert ours(Tensor(X)).item() == pytest.approx(float(theirs(keras.ops.convert_to_tensor(X))), rel=1e-5)
    assert ours.get_config() == pytest.approx(theirs.get_config())
    assert keras.regularizers.get(regularizers.serialize(ours)).get_config() == pytest.approx(ours.get_config())
    assert regularizers.get(keras.regularizers.serialize(theirs)).get_config() == pytest.approx(ours.get_config())


@pytest.mark.parametrize("kind", initializers.CLASSES, ids=lambda kind: kind.__name__)
def test_initializers_have_the_same_settings_and_spread(kind):
    ours, theirs = kind(), getattr(keras.initializers, kind.__name__)()
    assert ours.get_config().items() <= {**vars(theirs), **theirs.get_config()}.items()  # its Identity forgets its gain
    there, here = (
        keras.initializers.get(initializers.serialize(ours)),
        initializers.get(keras.initializers.serialize(theirs)),
    )
    assert type(there).__name__ == type(here).__name__ == kind.__name__
    weights, expected = ours((90, 110)), keras.ops.convert_to_numpy(theirs((90, 110)))
    assert weights.std() == pytest.approx(expected.std(), rel=0.05)
    assert abs(weights).max() == pytest.approx(abs(expected).max(), rel=0.2)


def test_initializers_have_the_same_names():
    ours = set(initializers.KNOWN) - {"zero", "one", "normal", "uniform"}
    assert ours <= set(dir(keras.initializers))
    for name in ours:
        assert getattr(initializers, name) is initializers.KNOWN[name]
        assert getattr(keras.initializers, name).__name__ == initializers.KNOWN[name].__name__
