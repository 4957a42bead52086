"""The same network in Keras 3 and here: with copied weights it computes, trains, prints and is saved the same."""

import importlib
import inspect
import os

import numpy as np
import pytest
from keras_layers import LAYERS
from test_saving import every_layer

import minidl.keras as ours

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
keras = pytest.importorskip("keras")
pytestmark = [pytest.mark.keras, pytest.mark.filterwarnings("ignore")]

DOORS = (ours, keras)


def images(n, shape=(12, 12, 3), seed=0):
    return np.random.default_rng(seed).random((n, *shape), np.float32)


@pytest.mark.parametrize(("make", "shapes"), LAYERS.values(), ids=LAYERS.keys())
def test_a_layer_computes_what_keras_computes(make, shapes):
    generator = np.random.default_rng(1)
    arrays = [generator.standard_normal(shape).astype(np.float32) for shape in shapes]
    x = arrays if len(shapes) > 1 else arrays[0]
    mine, theirs = make(ours.layers), make(keras.layers)
    mode = {"training": False} if type(theirs).__name__.startswith("Random") else {}
    theirs(x, **mode)
    mine(x)
    weights = [generator.uniform(0.5, 1.5, w.shape).astype(np.float32) for w in theirs.weights]
    assert [w.shape for w in mine.weights] == [w.shape for w in weights]
    assert [name.split("/")[1] for name in mine.named_weights()] == [w.name for w in theirs.weights]
    mine.set_weights(weights)
    theirs.set_weights(weights)
    y = theirs(x, **mode)
    np.testing.assert_allclose(mine(x).numpy(), np.asarray(y), rtol=1e-4, atol=1e-5)
    given = [(None, *shape[1:]) for shape in shapes]
    assert mine.compute_output_shape(given if len(given) > 1 else given[0]) == tuple(
        theirs.compute_output_shape(given if len(given) > 1 else given[0])
    )
    assert mine.get_config().keys() <= theirs.get_config().keys()
    assert type(mine).from_config(theirs.get_config()).get_config().keys() == mine.get_config().keys()


def vgg_style(k):
    """CIFAR-10 in VGG's style, small, as Keras's examples write it."""
    return k.Sequential([
        k.Input(shape=(12, 12, 3)),
        k.layers.Conv2D(8, (3, 3), padding="same"),
        k.layers.BatchNormalization(),
        k.layers.Activation("relu"),
        k.layers.Conv2D(8, (3, 3), activation="relu"),
        k.layers.MaxPooling2D(pool_size=(2, 2)),
        k.layers.Flatten(),
        k.layers.Dense(16, activation="relu", kernel_regularizer=k.regularizers.L2(1e-3)),
        k.layers.Dense(4, activation="softmax"),
    ])  # fmt: skip


def residual(k):
    inputs = k.Input(shape=(12, 12, 3))
    x = k.layers.Conv2D(8, 3, padding="same", use_bias=False)(inputs)
    x = shortcut = k.layers.ReLU()(k.layers.BatchNormalization()(x))
    x = k.layers.BatchNormalization()(k.layers.Conv2D(8, 3, strides=2, padding="same", use_bias=False)(x))
    shortcut = k.layers.Conv2D(8, 1, strides=2)(shortcut)
    x = k.layers.ReLU()(k.layers.Add()([x, shortcut]))
    return k.Model(inputs, k.layers.Dense(4, activation="softmax")(k.layers.GlobalAveragePooling2D()(x)))


NETWORKS = {"vgg": vgg_style, "residual": residual}
OPTIMIZERS = {
    "sgd momentum": lambda k: k.optimizers.SGD(0.02, momentum=0.9),
    "nesterov": lambda k: k.optimizers.SGD(0.02, momentum=0.9, nesterov=True, weight_decay=1e-3),
    "adam": lambda k: k.optimizers.Adam(1e-3, clipnorm=1.0),
    "adamw": lambda k: k.optimizers.AdamW(1e-3),
    "rmsprop": lambda k: k.optimizers.RMSprop(1e-3),
    "schedule": lambda k: k.optimizers.SGD(k.optimizers.schedules.CosineDecay(0.02, 50), momentum=0.9),
}


def twins(network):
    keras.utils.set_random_seed(1)
    mine, theirs = (network(door) for door in DOORS)
    mine.set_weights(theirs.get_weights())
    return mine, theirs


@pytest.mark.parametrize("optimizer", OPTIMIZERS.values(), ids=OPTIMIZERS.keys())
@pytest.mark.parametrize("network", NETWORKS.values(), ids=NETWORKS.keys())
def test_loss_curves_agree(network, optimizer):
    """50 steps with batch norm: each loss within 1e-4."""
    x, labels = images(16 * 50), np.random.default_rng(2).integers(0, 4, 16 * 50)
    x[np.arange(len(x)), labels] += 1
    curves = []
    for door, model in zip(DOORS, twins(network), strict=True):
        steps = []
        watch = door.callbacks.LambdaCallback(
            on_train_batch_end=lambda batch, logs, steps=steps: steps.append(logs["loss"])
        )
        model.compile(optimizer(door), "sparse_categorical_crossentropy", metrics=["accuracy"])
        history = model.fit(x, labels, batch_size=16, epochs=1, shuffle=False, verbose=0, callbacks=[watch])
        curves.append(steps)
        finals = history.history
    assert len(curves[0]) == len(curves[1]) == 50
    np.testing.assert_allclose(curves[0], curves[1], rtol=0, atol=1e-4)
    assert curves[0][-1] < curves[0][0] - 0.05
    assert finals.keys() == {"loss", "accuracy"}


@pytest.mark.parametrize("network", NETWORKS.values(), ids=NETWORKS.keys())
def test_evaluate_and_predict_agree(network):
    x, labels = images(40), np.arange(40) % 4
    mine, theirs = twins(network)
    np.testing.assert_allclose(mine.predict(x, verbose=0), theirs.predict(x, verbose=0), rtol=1e-5, atol=1e-6)
    for loss, target in (("sparse_categorical_crossentropy", labels), ("categorical_crossentropy", np.eye(4)[labels]),
                         ("mse", np.eye(4)[labels])):  # fmt: skip
        scores = []
        for model in (mine, theirs):
            model.compile(
                "sgd", loss, metrics=["accuracy", "mae"] if loss != "sparse_categorical_crossentropy" else ["acc"]
            )
            scores.append(model.evaluate(x, target, batch_size=16, verbose=0, return_dict=True))
        assert list(scores[0]) == list(scores[1])
        np.testing.assert_allclose(list(scores[0].values()), list(scores[1].values()), rtol=1e-5)


@pytest.mark.parametrize("options", [{}, {"show_trainable": True}, {"line_length": 70}], ids=str)
@pytest.mark.parametrize("trained", [False, True])
@pytest.mark.parametrize("network", NETWORKS.values(), ids=NETWORKS.keys())
def test_summary_is_the_same_text(network, trained, options):
    texts = []
    for door in DOORS:
        door.utils.clear_session()
        model = network(door)
        if trained:
            model.compile("adam", "mse")
            model.fit(images(4), np.zeros((4, 4)), verbose=0)
        model.summary(print_fn=lambda text: texts.append(text), **options)
    assert texts[0] == texts[1]


def test_summary_of_a_model_that_is_not_built():
    texts = []
    for door in DOORS:
        door.utils.clear_session()
        model = door.Sequential([door.layers.Conv2D(3, 2), door.layers.Flatten(), door.layers.Dense(2)])
        model.summary(print_fn=lambda text: texts.append(text))
    assert texts[0] == texts[1]


@pytest.mark.parametrize("network", [*NETWORKS.values(), None], ids=[*NETWORKS.keys(), "every layer"])
def test_files_go_both_ways(tmp_path, network):
    x = images(5, (8, 8, 3) if network is None else (12, 12, 3))
    mine = every_layer() if network is None else network(ours)
    mine.save(tmp_path / "mine.keras")
    theirs = keras.models.load_model(tmp_path / "mine.keras")
    np.testing.assert_allclose(theirs.predict(x, verbose=0), mine.predict(x, verbose=0), rtol=1e-5, atol=1e-6)
    theirs.set_weights([w + 0.1 for w in theirs.get_weights()])
    theirs.compile(keras.optimizers.Adam(0.01), "categorical_crossentropy", metrics=["accuracy"])
    theirs.save(tmp_path / "theirs.keras")
    theirs.save_weights(tmp_path / "theirs.weights.h5")
    back = ours.models.load_model(tmp_path / "theirs.keras")
    np.testing.assert_allclose(back.predict(x, verbose=0), theirs.predict(x, verbose=0), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(back.optimizer.learning_rate, 0.01, rtol=1e-6)
    mine.load_weights(tmp_path / "theirs.weights.h5")
    np.testing.assert_allclose(mine.predict(x, verbose=0), theirs.predict(x, verbose=0), rtol=1e-5, atol=1e-6)
    mine.save_weights(tmp_path / "mine.weights.h5")
    theirs.load_weights(tmp_path / "mine.weights.h5")


def nested(k):
    base_in = k.Input((12, 12, 3))
    base = k.Model(base_in, k.layers.BatchNormalization()(k.layers.Conv2D(4, 3)(base_in)))
    inputs = k.Input((12, 12, 3))
    return k.Model(inputs, k.layers.Dense(2)(k.layers.GlobalAveragePooling2D()(base(inputs))))


def nested_in_sequential(k):
    inputs = k.Input((12, 12, 3))
    return k.Sequential([k.Model(inputs, k.layers.Conv2D(4, 3)(inputs)), k.layers.Flatten(), k.layers.Dense(2)])


def adapted(k):
    layer = k.layers.Normalization()
    layer.adapt(images(20, seed=5))
    return k.Sequential([k.Input((12, 12, 3)), layer, k.layers.Flatten(), k.layers.Dense(2)])


@pytest.mark.parametrize("make", [nested, nested_in_sequential, adapted])
def test_models_in_models_and_adapted_layers_go_both_ways(tmp_path, make):
    x = images(5)
    mine, theirs = (make(door) for door in DOORS)
    theirs.compile("sgd", loss=keras.losses.mean_squared_error)
    theirs.save(tmp_path / "theirs.keras")
    back = ours.models.load_model(tmp_path / "theirs.keras")
    np.testing.assert_allclose(back.predict(x, verbose=0), theirs.predict(x, verbose=0), rtol=1e-5, atol=1e-6)
    mine.load_weights(tmp_path / "theirs.keras")
    mine.save(tmp_path / "mine.keras")
    again = keras.models.load_model(tmp_path / "mine.keras")
    np.testing.assert_allclose(again.predict(x, verbose=0), theirs.predict(x, verbose=0), rtol=1e-5, atol=1e-6)


MODULES = [
    "layers",
    "optimizers",
    "optimizers.schedules",
    "losses",
    "metrics",
    "initializers",
    "regularizers",
    "activations",
]
OURS = {  # what users subclass, and what takes more
    "Loss", "LossFunctionWrapper", "Metric", "Layer", "Optimizer", "Regularizer", "Initializer", "Input", "InputLayer",
    "get", "deserialize",
}  # fmt: skip
METHODS = [
    "compile", "fit", "evaluate", "predict", "train_on_batch", "test_on_batch", "predict_on_batch", "summary",
    "get_layer", "save_weights", "set_weights", "reset_metrics",
]  # fmt: skip


def parameters(thing):
    """The arguments that have names, without self, with their defaults."""
    return {
        p.name: p.default
        for p in inspect.signature(thing).parameters.values()
        if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL) and p.name != "self"
    }


def same_arguments(mine, theirs, what):
    kept, expected = parameters(mine), parameters(theirs)
    common = {"name", "trainable", "dtype", "input_shape", "input_dim"}  # which all layers take, there as **kwargs
    order = [name for name in expected if name in kept]
    assert [name for name in kept if name not in common - expected.keys()] == order, what
    if "name" in expected and kept.get("name", 0) is None:
        kept["name"] = expected["name"]  # None stands for the same name
    assert {name: kept[name] for name in order} == {name: expected[name] for name in order}, what


@pytest.mark.parametrize("module", MODULES)
def test_arguments_are_those_of_keras(module):
    """In the same order and with the same defaults; some are left out, and refused by name."""
    mine, theirs = importlib.import_module(f"minidl.keras.{module}"), keras
    for part in module.split("."):
        theirs = getattr(theirs, part)
    for name in mine.__all__:
        thing = getattr(mine, name)
        if callable(thing) and name not in OURS:
            same_arguments(thing, getattr(theirs, name), f"{module}.{name}")


@pytest.mark.parametrize("name", METHODS)
def test_methods_of_models_take_the_arguments_of_keras(name):
    same_arguments(getattr(ours.Sequential, name), getattr(keras.Sequential, name), name)


@pytest.mark.parametrize("module", ["", "layers", "utils", "datasets", "callbacks"])
def test_every_other_name_of_keras_is_refused_by_name(module):
    theirs = getattr(keras, module) if module else keras
    mine = importlib.import_module(f"minidl.keras.{module}".rstrip("."))
    for name in dir(theirs):
        if not name.startswith("_") and name not in mine.__all__:
            with pytest.raises(NotImplementedError, match=f"Keras's {name} is not supported; "):
                getattr(mine, name)
