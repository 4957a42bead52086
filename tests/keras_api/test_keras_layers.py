"""Every layer by itself: shapes, configs, refusals."""

import numpy as np
import pytest
from keras_layers import LAYERS

from minidl import Tensor, grad
from minidl.keras import Sequential, layers
from minidl.keras.layers import Input


def inputs_for(shapes):
    generator = np.random.default_rng(0)
    arrays = [generator.standard_normal(shape).astype(np.float32) for shape in shapes]
    return arrays if len(arrays) > 1 else arrays[0]


@pytest.mark.parametrize(("make", "shapes"), LAYERS.values(), ids=LAYERS.keys())
def test_the_shape_on_paper_is_the_shape_of_the_numbers(make, shapes):
    layer = make(layers)
    symbolic = [Input(shape[1:]) for shape in shapes]
    y = layer(inputs_for(shapes))
    assert layer(symbolic if len(shapes) > 1 else symbolic[0]).shape == (None, *y.shape[1:])
    assert layer.built
    assert layer.count_params() == sum(array.size for array in layer.get_weights())


@pytest.mark.parametrize(("make", "shapes"), LAYERS.values(), ids=LAYERS.keys())
def test_a_layer_made_from_the_config_computes_the_same(make, shapes):
    layer = make(layers)
    x = inputs_for(shapes)
    expected = layer(x)
    twin = type(layer).from_config(layer.get_config())
    twin(x)
    twin.set_weights(layer.get_weights())
    np.testing.assert_array_equal(twin(x).numpy(), expected.numpy())
    assert twin.name == layer.name


@pytest.mark.parametrize(("make", "shapes"), LAYERS.values(), ids=LAYERS.keys())
def test_gradients_reach_inputs_and_trained_weights(make, shapes):
    layer = make(layers)
    arrays = inputs_for(shapes)
    inputs = [Tensor(x, requires_grad=True) for x in (arrays if len(shapes) > 1 else [arrays])]
    y = layer(inputs if len(shapes) > 1 else inputs[0], training=True)
    weights = layer.trainable_weights
    gradients = grad((y * y).sum(), (*inputs, *weights))
    assert [gradient.shape for gradient in gradients] == [x.shape for x in (*inputs, *weights)]


SIZES_UNKNOWN = {
    "conv": (lambda: layers.Conv2D(4, 3), (None, None, 3), (None, None, None, 4)),
    "conv same": (lambda: layers.Conv2D(4, 3, strides=2, padding="same"), (None, 8, 3), (None, None, 4, 4)),
    "pool": (lambda: layers.MaxPooling2D(), (None, None, 3), (None, None, None, 3)),
    "global pool": (lambda: layers.GlobalAveragePooling2D(), (None, None, 3), (None, 3)),
    "flatten": (lambda: layers.Flatten(), (None, 3), (None, None)),
    "transpose": (lambda: layers.Conv2DTranspose(2, 2, strides=2), (None, 4, 3), (None, None, 8, 2)),
    "reshape": (lambda: layers.Reshape((-1, 3)), (None, 4, 3), (None, None, 3)),
}  # fmt: skip


@pytest.mark.parametrize(("make", "shape", "expected"), SIZES_UNKNOWN.values(), ids=SIZES_UNKNOWN.keys())
def test_sizes_may_be_unknown(make, shape, expected):
    assert make()(Input(shape)).shape == expected


def test_same_padding_follows_the_size_of_the_images():
    model = Sequential([Input((None, None, 1)), layers.MaxPooling2D(2, padding="same")])
    for size in (4, 5):
        assert model(np.zeros((1, size, size, 1))).shape == (1, -(-size // 2), -(-size // 2), 1)


REFUSED = {
    "channels first": (lambda: layers.Conv2D(4, 3, data_format="channels_first"), NotImplementedError, "moveaxis"),
    "padding": (lambda: layers.Conv2D(4, 3, padding="causal"), ValueError, "'valid' or 'same'"),
    "kernel size": (lambda: layers.Conv2D(4, (3, 0)), ValueError, r"kernel_size to be a whole number from 1"),
    "constraint": (lambda: layers.Dense(4, kernel_constraint="max_norm"), NotImplementedError, "kernel_constraint"),
    "unknown argument": (lambda: layers.Dense(4, colour="red"), TypeError, "unknown argument 'colour'"),
    "units": (lambda: layers.Dense(0), ValueError, "units to be a whole number from 1, got 0"),
    "dtype": (lambda: layers.Dense(4, dtype="float16"), NotImplementedError, "float32, got 'float16'"),
    "axis of batch norm": (
        lambda: layers.BatchNormalization(axis=1)(np.zeros((2, 3, 4), np.float32)), NotImplementedError, "axis=-1",
    ),
    "rate": (lambda: layers.Dropout(1.5), ValueError, "rate from 0 to 1"),
    "too small": (lambda: layers.Conv2D(4, 5)(Input((3, 3, 1))), ValueError, r"do not fit into images of \(3, 3\)"),
    "no channels": (lambda: layers.Conv2D(4, 3)(Input((28, 28))), ValueError, r"images\[..., numpy.newaxis\]"),
    "other shapes": (lambda: layers.Add()([Input((3,)), Input((4,))]), ValueError, "one shape"),
    "other sizes": (lambda: layers.Concatenate()([Input((3, 2)), Input((4, 2))]), ValueError, "differ in axis 2 only"),
    "list for one": (lambda: layers.Dense(2)([Input((3,)), Input((3,))]), ValueError, "expected one input, got 2"),
    "number for KerasTensor": (lambda: Input((3,)) + 1, TypeError, "Rescaling"),
    "numbers of a KerasTensor": (lambda: np.asarray(Input((3,))), TypeError, "no numbers yet"),
    "crop": (lambda: layers.RandomCrop(9, 9)(Input((8, 8, 3))), ValueError, "at least"),
    "reshape": (lambda: layers.Reshape((5,))(Input((2, 2))), ValueError, "4 numbers a sample do not fit"),
    "words": (lambda: layers.Flatten()(np.array([["a"]])), TypeError, "array of numbers"),
    "gap": (lambda: layers.Conv2DTranspose(2, 2, strides=3), NotImplementedError, "UpSampling2D"),
}  # fmt: skip


@pytest.mark.parametrize(("make", "error", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_what_cannot_be_is_refused(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_layers_are_named_as_in_keras():
    from minidl.keras.utils import clear_session

    clear_session()
    kinds = [
        layers.Conv2D(2, 1),
        layers.Conv2D(2, 1),
        layers.MaxPooling2D(),
        layers.ReLU(),
        layers.BatchNormalization(),
    ]
    names = [layer.name for layer in kinds]
    assert names == ["conv2d", "conv2d_1", "max_pooling2d", "re_lu", "batch_normalization"]


def test_dropout_drops_in_training_only():
    layer, x = layers.Dropout(0.5), np.ones((20, 50), np.float32)
    assert (layer(x).numpy() == 1).all()
    first, second = (layer(x, training=True).numpy() for _ in range(2))
    assert set(np.unique(first)) == {0, 2}
    assert (first != second).any()


def test_spatial_dropout_drops_whole_channels():
    y = layers.SpatialDropout2D(0.5)(np.ones((4, 3, 3, 8), np.float32), training=True).numpy()
    assert set(np.unique(y)) == {0, 2}
    assert (y == y[:, :1, :1]).all()


@pytest.mark.parametrize("mode", ["horizontal", "vertical", "horizontal_and_vertical"])
def test_random_flip_mirrors_some_images(mode):
    x = np.random.default_rng(0).random((64, 3, 4, 2), np.float32)
    layer = layers.RandomFlip(mode)
    np.testing.assert_array_equal(layer(x).numpy(), x)
    y = layer(x, training=True).numpy()
    kept = {"horizontal": [(1, 1), (1, -1)], "vertical": [(1, 1), (-1, 1)]}.get(
        mode, [(1, 1), (1, -1), (-1, 1), (-1, -1)]
    )
    seen = set()
    for before, after in zip(x, y, strict=True):
        (found,) = [way for way in kept if np.array_equal(before[:: way[0], :: way[1]], after)]
        seen.add(found)
    assert seen == set(kept)


def test_random_crop_cuts_one_window_out_of_all_images():
    x = np.arange(2 * 6 * 7, dtype=np.float32).reshape(2, 6, 7, 1)
    layer = layers.RandomCrop(3, 4)
    np.testing.assert_array_equal(layer(x).numpy(), x[:, 1:4, 1:5])
    corners = set()
    for _ in range(60):
        y = layer(x, training=True).numpy()
        top, left = divmod(int(y[0, 0, 0, 0]), 7)
        np.testing.assert_array_equal(y, x[:, top : top + 3, left : left + 4])
        corners.add((top, left))
    assert {top for top, _ in corners} == {left for _, left in corners} == {0, 1, 2, 3}


def test_random_brightness_stays_in_range():
    x = np.full((50, 2, 2, 1), 0.5, np.float32)
    y = layers.RandomBrightness(0.8, value_range=(0, 1))(x, training=True).numpy()
    assert y.min() == 0
    assert y.max() == 1
    assert len(np.unique(y[:, 0, 0, 0])) > 20


def test_normalization_adapts_to_data():
    data = np.random.default_rng(0).normal([1, 2], [3, 4], (500, 2))
    layer = layers.Normalization()
    layer.adapt(data)
    y = layer(data).numpy()
    np.testing.assert_allclose(y.mean(0), 0, atol=1e-5)
    np.testing.assert_allclose(y.std(0), 1, atol=1e-5)
    assert [w.shape for w in layer.weights] == [(2,), (2,), ()]
    with pytest.raises(ValueError, match="nothing to adapt"):
        layers.Normalization(mean=0.0, variance=1.0).adapt(data)


def test_batch_normalization_that_is_not_trained_keeps_its_statistics():
    layer, x = layers.BatchNormalization(), np.random.default_rng(0).random((8, 3), np.float32)
    layer(x, training=True)
    moved = [array.copy() for array in layer.get_weights()]
    assert (moved[2] != 0).all()
    np.testing.assert_allclose(moved[3], 0.99 + 0.01 * x.var(0), rtol=1e-5)  # the biased variance
    layer.trainable = False
    np.testing.assert_array_equal(layer(x, training=True).numpy(), layer(x).numpy())
    for before, after in zip(moved, layer.get_weights(), strict=True):
        np.testing.assert_array_equal(before, after)
    assert layer.trainable_weights == []
    layer.trainable = True
    assert len(layer.trainable_weights) == 2


class Scaled(layers.Layer):
    """A user's layer."""

    def build(self, input_shape):
        self.factor = self.add_weight((input_shape[-1],), "ones", name="factor")
        self.count = self.add_weight((), "zeros", trainable=False, name="count")

    def call(self, inputs, training=False):
        return inputs * self.factor + (1 if training else 0)


def test_a_layer_of_ones_own():
    layer = Scaled(name="mine")
    x = np.ones((2, 3), np.float32)
    assert layer(Input((3,))).shape == (None, 3)
    assert layer(x).numpy().tolist() == [[1, 1, 1]] * 2
    assert layer(x, training=True).numpy().tolist() == [[2, 2, 2]] * 2
    assert list(layer.named_weights()) == ["mine/factor", "mine/count"]
    assert [w.shape for w in layer.trainable_weights] == [(3,)]
    with pytest.raises(NotImplementedError, match=r"does not define call\(self, inputs\)"):
        layers.Layer()(x)
