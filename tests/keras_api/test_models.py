"""Networks put together: Sequential, functional, and models of one's own."""

import copy
import pickle

import numpy as np
import pytest

import minidl
from minidl.keras import Input, Model, Sequential, layers
from minidl.keras.models.graph import LayerChain
from minidl.keras.utils import clear_session


def images(n=3, size=8, seed=0):
    return np.random.default_rng(seed).random((n, size, size, 3), np.float32)


def small():
    return Sequential([Input((8, 8, 3)), layers.Conv2D(4, 3, activation="relu"), layers.MaxPooling2D(),
                       layers.Flatten(), layers.Dense(5, activation="softmax")])  # fmt: skip


def residual(size=8):
    inputs = Input((size, size, 3))
    x = layers.Conv2D(4, 3, padding="same", use_bias=False)(inputs)
    x = layers.ReLU()(layers.BatchNormalization()(x))
    shortcut = x
    for _ in range(2):
        x = layers.Conv2D(4, 3, padding="same", use_bias=False)(x)
        x = layers.BatchNormalization()(x)
    x = layers.ReLU()(layers.Add()([x, shortcut]))
    x = layers.GlobalAveragePooling2D()(x)
    return Model(inputs, layers.Dense(5, activation="softmax")(x))


WAYS = {
    "a list": small,
    "add": lambda: added([Input((8, 8, 3)), layers.Conv2D(4, 3, activation="relu"), layers.MaxPooling2D(),
                          layers.Flatten(), layers.Dense(5, activation="softmax")]),
    "input_shape": lambda: added([layers.Conv2D(4, 3, activation="relu", input_shape=(8, 8, 3)),
                                  layers.MaxPool2D(), layers.Flatten(), layers.Dense(5), layers.Softmax()]),
    "no input": lambda: added([layers.Conv2D(4, 3), layers.Activation("relu"), layers.MaxPooling2D(),
                               layers.Flatten(), layers.Dense(5, activation="softmax")]),
    "InputLayer": lambda: added([layers.InputLayer(shape=(8, 8, 3)), layers.Conv2D(4, 3, activation="relu"),
                                 layers.MaxPooling2D(), layers.Flatten(), layers.Dense(5, activation="softmax")]),
    "nested": lambda: Sequential([Sequential([Input((8, 8, 3)), layers.Conv2D(4, 3, activation="relu")]),
                                  layers.MaxPooling2D(), layers.Flatten(), layers.Dense(5, activation="softmax")]),
}  # fmt: skip


def added(parts):
    model = Sequential()
    for part in parts:
        model.add(part)
    return model


@pytest.mark.parametrize("make", WAYS.values(), ids=WAYS.keys())
def test_every_way_of_writing_a_sequential_gives_the_same_network(make):
    minidl.seed(3)
    expected = small()(images()).numpy()
    minidl.seed(3)
    model = make()
    np.testing.assert_array_equal(model(images()).numpy(), expected)
    assert model.count_params() == 3 * 3 * 3 * 4 + 4 + 36 * 5 + 5
    assert model.output_shape == (None, 5)


def test_layers_behind_each_other_become_one_chain():
    model = residual()
    chains = [step.compute for step in model._graph.steps]
    assert all(isinstance(chain, LayerChain) for chain in chains)
    assert [len(chain) for chain in chains] == [3, 4, 5]  # up to the fork, the body, and from Add to the end
    (only,) = small()._graph.steps
    assert len(only.compute) == 6


def test_a_residual_network_computes_what_its_parts_do():
    model, x = residual(), images()
    by_name = {layer.name: layer for layer in model.layers}
    kinds = [type(layer).__name__ for layer in model.layers]
    assert kinds.count("Conv2D") == 3
    convs, norms = ([layer for layer in model.layers if type(layer).__name__ == kind]
                    for kind in ("Conv2D", "BatchNormalization"))  # fmt: skip
    y = shortcut = norms[0](convs[0](x)).numpy().clip(0)
    for conv, norm in zip(convs[1:], norms[1:], strict=True):
        y = norm(conv(y)).numpy()
    y = (y + shortcut).clip(0).mean((1, 2))
    np.testing.assert_allclose(model(x).numpy(), model.layers[-1](y).numpy(), rtol=1e-5, atol=1e-6)
    assert model.get_layer(convs[0].name) is convs[0] is by_name[convs[0].name]
    assert model.get_layer(index=-1) is model.layers[-1]


def test_operators_join_layers_too():
    x = Input((3,))
    a, b = layers.Dense(3)(x), layers.Dense(3)(x)
    model = Model(x, [a + b, a - b, a * b])
    total, difference, product = (y.numpy() for y in model(np.ones((2, 3))))
    first, second = (layer(np.ones((2, 3))).numpy() for layer in model.layers if type(layer).__name__ == "Dense")
    np.testing.assert_allclose(total, first + second, rtol=1e-6)
    np.testing.assert_allclose(difference, first - second, rtol=1e-6)
    np.testing.assert_allclose(product, first * second, rtol=1e-6)


def test_several_inputs_and_shared_layers():
    left, right = Input((4,), name="left"), Input((4,), name="right")
    shared = layers.Dense(3)
    joined = layers.Concatenate()([shared(left), shared(right)])
    model = Model([left, right], layers.Dense(2)(joined))
    assert model.count_params() == 4 * 3 + 3 + 6 * 2 + 2
    a, b = np.random.default_rng(0).random((2, 5, 4), np.float32)
    assert (model([a, b]).numpy() != model([b, a]).numpy()).any()
    np.testing.assert_array_equal(model.predict([a, b], verbose=0), model([a, b]).numpy())
    with pytest.raises(ValueError, match="expected 2 inputs, got 1"):
        model([a])
    with pytest.raises(ValueError, match=r"expected right of shape \(None, 4\), got \(5, 3\)"):
        model([a, b[:, :3]])


def test_a_model_is_a_layer_and_may_be_used_without_being_trained():
    base = Sequential([Input((8, 8, 3)), layers.Conv2D(4, 3), layers.BatchNormalization(), layers.Flatten()])
    base.trainable = False
    inputs = Input((8, 8, 3))
    model = Model(inputs, layers.Dense(2)(base(inputs, training=False)))
    assert [w.shape for w in model.trainable_weights] == [(144, 2), (2,)]
    before = base.get_weights()
    model(images(), training=True)
    for old, new in zip(before, base.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    features = Model(base.input, base.layers[0].output)
    assert features(images()).shape == (3, 6, 6, 4)


class Mine(Model):
    def __init__(self):
        super().__init__()
        self.blocks = [layers.Dense(4, activation="relu"), layers.Dropout(0.5)]
        self.head = layers.Dense(2)

    def call(self, x, training=None):
        for block in self.blocks:
            x = block(x)
        return self.head(x) + (100 if training else 0)


def test_a_model_of_ones_own():
    model, x = Mine(), np.ones((3, 5), np.float32)
    assert model(x).shape == (3, 2)
    assert [layer.name for layer in model.layers] == [*(block.name for block in model.blocks), model.head.name]
    assert model.count_params() == 5 * 4 + 4 + 4 * 2 + 2
    assert (model(x, training=True).numpy() > 50).all()


def test_weights_are_given_and_taken_in_keras_order():
    model, twin = residual(), residual()
    weights = model.get_weights()
    assert [w.shape for w in weights[:5]] == [(3, 3, 3, 4), (4,), (4,), (4,), (4,)]
    twin.set_weights(weights)
    np.testing.assert_array_equal(model(images()).numpy(), twin(images()).numpy())
    weights[3] = np.zeros(7)
    before = twin.get_weights()
    with pytest.raises(ValueError, match=r"moving_mean has shape \(4,\), got \(7,\)"):
        twin.set_weights(weights)
    with pytest.raises(ValueError, match="has 17 weights, got 1"):
        twin.set_weights(weights[:1])
    for old, new in zip(before, twin.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_pop_takes_the_last_layer_away():
    model = small()
    assert model.pop().count_params() == 36 * 5 + 5
    assert model.output_shape == (None, 36)
    model.add(layers.Dense(2))
    assert model(images()).shape == (3, 2)


def test_models_are_named_as_in_keras():
    clear_session()
    assert [small().name, small().name, residual().name, Mine().name] == [
        "sequential",
        "sequential_1",
        "functional",
        "mine",
    ]
    assert Sequential(name="vgg").name == "vgg"


def test_a_model_may_begin_in_the_midst_of_another():
    inputs = Input((6,))
    middle = layers.Dense(5, kernel_regularizer="l2")(inputs)
    model = Model(middle, layers.Dense(4)(middle))
    assert [type(layer).__name__ for layer in model.layers] == ["InputLayer", "Dense"]
    assert [w.shape for w in model.weights] == [(5, 4), (4,)]
    assert model.losses == []
    assert Model.from_config(model.get_config())(np.ones((2, 5))).shape == (2, 4)


class Cropped(layers.Layer):
    def call(self, x):
        return x[:, 1:-1, :, :]


def test_unknown_sizes_stay_unknown_behind_layers_of_ones_own():
    assert Cropped()(Input((None, 7, 3))).shape == (None, None, 7, 3)
    x = Input((None, None, 3))
    assert layers.Conv2D(2, 3)(Cropped()(x)).shape == (None, None, None, 2)


class Joined(layers.Layer):
    def call(self, inputs):
        left, right = inputs
        return left * right


def test_layers_of_ones_own_may_take_several_inputs():
    left, right = Input((3,)), Input((3,))
    model = Model([left, right], Joined()([left, right]))
    assert model([np.full((2, 3), 2.0), np.full((2, 3), 3.0)]).numpy().tolist() == [[6, 6, 6]] * 2


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
@pytest.mark.parametrize("make", [small, residual])
def test_copies_have_weights_of_their_own(make, duplicate):
    model = make()
    model.compile("adam", "mse", metrics=["mae"])
    model.fit(images(), np.zeros((3, 5)), verbose=0)
    twin = duplicate(model)
    np.testing.assert_array_equal(twin(images()).numpy(), model(images()).numpy())
    assert twin.optimizer.iterations == 1
    before = model.get_weights()
    for one in (twin, model):
        one.fit(images(), np.zeros((3, 5)), verbose=0)
        changed = [(a != b).any() for a, b in zip(before, model.get_weights(), strict=True)]
        assert any(changed) == (one is model)
    for a, b in zip(twin.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


REFUSED = {
    "no layer": (lambda: Sequential([Input((3,)), len]), TypeError, "expected a layer, got <built-in function len>"),
    "input behind": (lambda: Sequential([layers.Dense(2), Input((3,))]), ValueError, "an Input comes first"),
    "same name": (
        lambda: Sequential([layers.Dense(2, name="a"), layers.Dense(2, name="a")]), ValueError, "another one",
    ),
    "array for KerasTensor": (lambda: Model(np.ones(3), np.ones(3)), TypeError, "expected inputs to be KerasTensors"),
    "a number for a shape": (lambda: Input(784), ValueError, r"write Input\(\(784,\)\)"),
    "no outputs": (lambda: Model(inputs=Input((3,))), ValueError, "both inputs and outputs"),
    "input forgotten": (
        lambda: Model(Input((3,)), layers.Dense(2)(Input((3,), name="other"))), ValueError, "name=other.*not among",
    ),
    "empty": (lambda: Sequential()(np.ones((2, 3))), ValueError, "at least one layer"),
    "nothing to pop": (lambda: Sequential().pop(), ValueError, "no layer to pop"),
    "unknown layer": (lambda: small().get_layer("dense_99"), ValueError, "has no layer called 'dense_99'; it has"),
    "image size": (lambda: small()(images(size=6)), ValueError, r"of shape \(None, 8, 8, 3\), got \(3, 6, 6, 3\)"),
    "no channels": (lambda: small()(images()[..., 0]), ValueError, "the first axis is the batch"),
    "weights before data": (lambda: Sequential([layers.Dense(2)]).set_weights([1]), ValueError, "is not built"),
}  # fmt: skip


@pytest.mark.parametrize(("make", "error", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_what_cannot_be_is_refused(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_an_error_names_the_layer():
    model = Sequential(
        [Input((4, 4, 1)), layers.Activation("relu", name="fine"), layers.Flatten(), Broken(name="broken")]
    )
    with pytest.raises(ValueError, match="no") as raised:
        model(np.ones((2, 4, 4, 1)))
    assert raised.value.__notes__ == ["in layer broken, given shape (2, 16)"]


def test_an_error_names_all_layers_that_are_computed_together():
    model = Sequential([Input((None, None, 1)), layers.Conv2D(2, 3, activation="relu"), layers.MaxPooling2D()])
    with pytest.raises(ValueError, match="max_pool2d") as raised:
        model.predict(np.ones((2, 3, 3, 1)), verbose=0)
    first, second = (layer.name for layer in model.layers)
    assert raised.value.__notes__ == [f"in layers {first}, {second}, given shape (2, 3, 3, 1)"]
    with minidl.unfused(), pytest.raises(ValueError, match="max_pool2d") as raised:
        model.predict(np.ones((2, 3, 3, 1)), verbose=0)
    assert raised.value.__notes__ == [f"in layer {second}, given shape (2, 1, 1, 2)"]


class Broken(layers.Layer):
    def compute_output_shape(self, input_shape):
        return input_shape

    def call(self, inputs):
        raise ValueError("no")
