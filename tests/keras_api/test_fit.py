"""compile(), fit(), evaluate() and predict()."""

import numpy as np
import pytest

import minidl
from minidl import Chain, Conv, MaxPool, flatten, relu, softmax
from minidl import layers as minidl_layers
from minidl.data import DataLoader, onehotbatch
from minidl.keras import Input, Model, Sequential, callbacks, layers, losses, metrics, optimizers
from minidl.losses import logitcrossentropy
from minidl.optimisers import Momentum
from minidl.training import train


def data(n=40, classes=4, seed=0):
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, classes, n)
    images = generator.random((n, 8, 8, 1), np.float32)
    images[np.arange(n), labels, labels] += 3
    return images, labels


def network():
    return Sequential([
        Input((8, 8, 1)), layers.Conv2D(4, 3, padding="same"), layers.BatchNormalization(), layers.Activation("relu"),
        layers.MaxPooling2D(), layers.Flatten(), layers.Dropout(0.2), layers.Dense(4, activation="softmax"),
    ])  # fmt: skip


def compiled(loss="sparse_categorical_crossentropy", optimizer="sgd", **arguments):
    model = network()
    model.compile(optimizer, loss, **({"metrics": ["accuracy"]} | arguments))
    return model


def test_both_doors_train_to_the_same_bits():
    """One network, written in Flux's way and in Keras's, with the same seed and data, is the same after 50 steps."""
    images, labels = data(160)
    targets = onehotbatch(labels, range(4))
    minidl.seed(1)
    chain = Chain(
        Conv((3, 3), (1, 4), pad=1), minidl_layers.BatchNorm(4, relu, eps=1e-3, momentum=1 - 0.99, unbiased=False),
        MaxPool((2, 2)), flatten, minidl_layers.Dropout(0.2), minidl_layers.Dense(64, 4), softmax,
    )  # fmt: skip
    loader, momentum = DataLoader((images, targets), batchsize=32, shuffle=True), Momentum(0.05, 0.9)
    for _ in range(10):
        train(lambda x, y: logitcrossentropy(chain[:-1](x), y), chain.params(), loader, momentum)

    minidl.seed(1)
    model = network()
    model.compile(optimizers.SGD(0.05, momentum=0.9), "categorical_crossentropy")
    model.fit(images, targets, batch_size=32, epochs=10, verbose=0)
    assert model.optimizer.iterations == momentum.steps == 50
    mine = list(chain.tensors().values())
    assert len(mine) == len(model.weights) == 8
    for ours, keras in zip(mine, model.weights, strict=True):
        np.testing.assert_array_equal(ours.numpy(), keras.numpy())


def test_fit_learns_and_returns_a_history():
    images, labels = data(120)
    model = compiled(optimizer=optimizers.SGD(0.05, momentum=0.9))
    history = model.fit(images, labels, batch_size=16, epochs=5, validation_split=0.25, verbose=0)
    assert list(history.history) == ["accuracy", "loss", "val_accuracy", "val_loss"]
    assert [len(values) for values in history.history.values()] == [5] * 4
    assert history.epoch == [0, 1, 2, 3, 4]
    assert model.history is history
    assert history.history["loss"][-1] < history.history["loss"][0] / 2
    assert history.history["val_accuracy"][-1] > 0.9
    loss, accuracy = model.evaluate(images[90:], labels[90:], verbose=0)
    np.testing.assert_allclose(loss, history.history["val_loss"][-1], rtol=1e-5)
    np.testing.assert_allclose(accuracy, history.history["val_accuracy"][-1])
    predicted = model.predict(images, batch_size=7, verbose=0)
    assert predicted.shape == (120, 4)
    np.testing.assert_allclose(predicted.sum(1), 1, rtol=1e-5)
    np.testing.assert_array_equal(predicted, model.predict(images, batch_size=7, verbose=0))


TARGETS = {
    "labels": (lambda labels: labels, "sparse_categorical_crossentropy"),
    "labels in a column": (lambda labels: labels[:, None].astype(np.uint8), "sparse_categorical_crossentropy"),
    "labels as floats": (lambda labels: labels.astype(float), losses.SparseCategoricalCrossentropy()),
    "one-hot": (lambda labels: onehotbatch(labels, range(4)), "categorical_crossentropy"),
    "one-hot integers": (lambda labels: np.eye(4, dtype=int)[labels], losses.CategoricalCrossentropy()),
    "mse": (lambda labels: np.eye(4)[labels], "mse"),
    "a function": (lambda labels: np.eye(4)[labels], lambda y_true, y_pred: ((y_pred - y_true) ** 2).sum(-1)),
}  # fmt: skip


@pytest.mark.parametrize(("targets", "loss"), TARGETS.values(), ids=TARGETS.keys())
def test_targets_of_each_kind_are_learned(targets, loss):
    images, labels = data()
    model = compiled(loss, optimizer=optimizers.Adam(0.01))
    history = model.fit(images, targets(labels), epochs=8, batch_size=8, verbose=0).history
    assert history["loss"][-1] < 0.8 * history["loss"][0]
    assert history["accuracy"][-1] > history["accuracy"][0]


INPUTS = {
    "uint8": lambda images: (images * 50).astype(np.uint8),
    "float64": lambda images: images.astype(np.float64),
    "booleans": lambda images: images > 1,
    "lists": lambda images: images.tolist(),
}


@pytest.mark.parametrize("convert", INPUTS.values(), ids=INPUTS.keys())
def test_inputs_of_other_types_become_float32(convert):
    images, labels = data(8)
    x = convert(images)
    model, twin = compiled(), compiled()
    twin.set_weights(model.get_weights())
    for one, given in ((model, x), (twin, np.asarray(x, np.float32))):
        one.fit(given, labels, shuffle=False, verbose=0)
    for a, b in zip(model.get_weights(), twin.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


def test_batches_may_come_from_anything():
    images, labels = data(40)
    model = compiled()
    loader = DataLoader((images, labels), batchsize=8)
    assert model.fit(loader, epochs=2, verbose=0).params["steps"] == 5
    assert model.optimizer.iterations == 10

    def endless():
        while True:
            yield images[:8], labels[:8]

    model.fit(endless(), steps_per_epoch=3, epochs=2, validation_data=loader, verbose=0)
    assert model.optimizer.iterations == 16
    assert model.evaluate(loader, verbose=0, return_dict=True).keys() == {"loss", "accuracy"}
    assert model.predict((x for x, _ in loader), verbose=0).shape == (40, 4)
    with pytest.raises(ValueError, match="at least one batch in epoch 2"):
        model.fit(((x, y) for x, y in loader), epochs=2, verbose=0)


def test_shuffling_gives_another_order_in_each_epoch():
    class Watch(callbacks.Callback):
        def __init__(self):
            self.losses = []

        def on_train_batch_end(self, batch, logs=None):
            self.losses.append(logs["loss"])

    images, labels = data(8)
    for shuffle in (True, False):
        watch = Watch()
        model = Sequential([Input((8, 8, 1)), layers.Flatten(), layers.Dense(4)])
        model.compile(optimizers.SGD(0.0), losses.SparseCategoricalCrossentropy(from_logits=True))
        model.fit(images, labels, batch_size=1, epochs=2, shuffle=shuffle, callbacks=[watch], verbose=0)
        first, second = watch.losses[:8], watch.losses[8:]
        assert (first == second) == (not shuffle)


def test_weights_of_samples_and_classes():
    images, labels = data()
    weights = np.where(labels == 2, 3.0, 0.5)
    model = compiled(weighted_metrics=["accuracy"])
    by_sample = model.evaluate(images, labels, sample_weight=weights, verbose=0, return_dict=True)
    plain = model.evaluate(images, labels, verbose=0, return_dict=True)
    predicted = model.predict(images, verbose=0)
    each = -np.log(predicted[np.arange(40), labels])
    np.testing.assert_allclose(plain["loss"], each.mean(), rtol=1e-5)
    correct = predicted.argmax(1) == labels
    np.testing.assert_allclose(plain["accuracy"], correct.mean(), rtol=1e-6)
    expected = (correct * weights).sum() / weights.sum()
    np.testing.assert_allclose(by_sample["weighted_accuracy"], expected, rtol=1e-5)

    models = [compiled() for _ in range(2)]
    models[1].set_weights(models[0].get_weights())
    minidl.seed(0)
    models[0].fit(images, labels, sample_weight=weights, verbose=0)
    minidl.seed(0)
    models[1].fit(images, labels, class_weight={0: 0.5, 1: 0.5, 2: 3.0, 3: 0.5}, verbose=0)
    for a, b in zip(models[0].get_weights(), models[1].get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_regularizers_add_to_the_loss():
    images, labels = data(8)
    model = Sequential([Input((8, 8, 1)), layers.Flatten(), layers.Dense(4, kernel_regularizer="l2")])
    model.compile("sgd", losses.SparseCategoricalCrossentropy(from_logits=True))
    (penalty,) = model.losses
    np.testing.assert_allclose(penalty.item(), 0.01 * (model.layers[-1].kernel.numpy() ** 2).sum(), rtol=1e-5)
    scores = model.predict(images, verbose=0)
    plain = losses.SparseCategoricalCrossentropy(from_logits=True)(labels, minidl.Tensor(scores)).item()
    np.testing.assert_allclose(model.evaluate(images, labels, verbose=0), plain + penalty.item(), rtol=1e-5)
    size = np.abs(model.get_weights()[0]).sum()
    model.compile(optimizers.SGD(1.0), losses.SparseCategoricalCrossentropy(from_logits=True))
    model.fit(np.zeros_like(images), labels, epochs=20, verbose=0)  # nothing but the penalty moves the kernel
    assert np.abs(model.get_weights()[0]).sum() < 0.8 * size


def test_cross_entropy_takes_the_scores_in_front_of_softmax():
    """As in Keras on TensorFlow: a probability of 0 in float32 has a loss above -log(1e-7), and a gradient."""
    model = Sequential([Input((2,)), layers.Dense(2, activation="softmax", kernel_initializer="identity")])
    model.compile(optimizers.SGD(0.1), "sparse_categorical_crossentropy")
    x, y = np.array([[300.0, 0.0]], np.float32), np.array([1])
    np.testing.assert_allclose(model.evaluate(x, y, verbose=0), 300, rtol=1e-6)
    before = model.get_weights()[0]
    model.fit(x, y, verbose=0)
    assert (model.get_weights()[0] != before).any()


def test_training_goes_on_where_it_was():
    images, labels = data()
    model = compiled()
    model.fit(images, labels, epochs=2, verbose=0)
    history = model.fit(images, labels, epochs=4, initial_epoch=2, verbose=0)
    assert history.epoch == [2, 3]
    assert model.optimizer.iterations == 8


def test_callbacks_may_stop_training():
    class StopSoon(callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            self.model.stop_training = batch == 1

    images, labels = data()
    model = compiled()
    model.fit(images, labels, batch_size=8, epochs=3, callbacks=[StopSoon()], verbose=0)
    assert model.optimizer.iterations == 2
    history = model.fit(images, labels, epochs=3, verbose=0, validation_data=(images, labels),
                        callbacks=[callbacks.EarlyStopping("val_loss", min_delta=1e9, patience=0)])  # fmt: skip
    assert len(history.epoch) == 2


def test_learning_rates_follow_schedules_and_callbacks():
    images, labels = data()
    decay = optimizers.schedules.ExponentialDecay(0.1, decay_steps=1, decay_rate=0.5)
    model = compiled(optimizer=optimizers.SGD(decay))
    model.fit(images, labels, verbose=0)
    np.testing.assert_allclose(model.optimizer.learning_rate, 0.1 * 0.5**2, rtol=1e-6)
    model = compiled()
    model.fit(images, labels, epochs=3, verbose=0,
              callbacks=[callbacks.LearningRateScheduler(lambda epoch, rate: rate / 2)])  # fmt: skip
    np.testing.assert_allclose(model.optimizer.learning_rate, 0.01 / 8, rtol=1e-6)


def test_batches_by_hand():
    images, labels = data(8)
    model, twin = compiled(), compiled()
    twin.set_weights(model.get_weights())
    minidl.seed(0)
    loss, accuracy = model.train_on_batch(images, labels)
    minidl.seed(0)
    history = twin.fit(images, labels, shuffle=False, verbose=0).history
    np.testing.assert_allclose([loss, accuracy], [history["loss"][0], history["accuracy"][0]])
    for a, b in zip(model.get_weights(), twin.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert model.test_on_batch(images, labels) == model.test_on_batch(images, labels)  # a batch by itself
    scores = model.test_on_batch(images, labels, return_dict=True)
    np.testing.assert_allclose(scores["loss"], model.evaluate(images, labels, verbose=0)[0], rtol=1e-6)
    np.testing.assert_array_equal(model.predict_on_batch(images), model.predict(images, verbose=0))


class Mine(Model):
    def __init__(self):
        super().__init__()
        self.norm, self.head = layers.BatchNormalization(), layers.Dense(4)

    def call(self, x, training=False):
        return self.head(self.norm(layers.Flatten()(x)))


def test_a_model_of_ones_own_is_trained():
    images, labels = data()
    model = Mine()
    model.compile(
        "adam", losses.SparseCategoricalCrossentropy(from_logits=True), metrics=[metrics.SparseCategoricalAccuracy()]
    )
    history = model.fit(images, labels, epochs=10, batch_size=8, verbose=0).history
    assert history["loss"][-1] < history["loss"][0]
    assert "sparse_categorical_accuracy" in history
    assert (model.norm.moving_mean.numpy() != 0).any()


def test_layers_that_are_not_trained_keep_their_weights():
    images, labels = data()
    model = compiled()
    model.layers[0].trainable = False
    before = model.get_weights()
    model.fit(images, labels, verbose=0)
    changed = [(a != b).any() for a, b in zip(before, model.get_weights(), strict=True)]
    assert changed == [False, False, True, True, True, True, True, True]


X, Y = data(8)
BROKEN = np.where(np.arange(8)[:, None, None, None] == 5, np.nan, X)

REFUSED = {
    "not compiled": (lambda m: network().fit(X, Y), "not compiled"),
    "no loss": (lambda m: uncompiled_loss().fit(X, Y), "without a loss"),
    "lengths": (lambda m: m.fit(X, Y[:5]), "equally many samples, got x 8, y 5"),
    "weights of other length": (lambda m: m.fit(X, Y, sample_weight=[1, 2]), "sample_weight 2"),
    "empty": (lambda m: m.fit(X[:0], Y[:0]), r"at least one sample, got x of shape \(0, 8, 8, 1\)"),
    "no targets": (lambda m: m.fit(X), "expected targets y, got None"),
    "shape": (lambda m: m.fit(X[:, :4], Y), r"of shape \(None, 8, 8, 1\), got \(8, 4, 8, 1\)"),
    "label too large": (lambda m: m.fit(X, Y + 9), "label"),
    "label negative": (lambda m: m.fit(X, Y - 9), "label"),
    "nan": (lambda m: m.fit(BROKEN, Y), "nan or infinity in x, in 1 of the 8 samples"),
    "one-hot for sparse": (lambda m: m.fit(X, np.eye(4)[Y]), "categorical_crossentropy"),
    "split": (lambda m: m.fit(X, Y, validation_split=1.5), "validation_split between 0 and 1"),
    "batch size": (lambda m: m.fit(X, Y, batch_size=0), "batch_size to be a whole number from 1, got 0"),
    "validation": (lambda m: m.fit(X, Y, validation_data=[X]), r"validation_data as \(x, y\)"),
    "ragged": (lambda m: m.fit(np.array([[1], [1, 2]], dtype=object), Y[:2]), "unequal length"),
    "loader and y": (lambda m: m.fit(DataLoader((X, Y)), Y), "x gives batches by itself"),
    "evaluate nothing": (lambda m: m.evaluate(DataLoader((X, Y)), steps=0), "at least 1"),
}  # fmt: skip


def uncompiled_loss():
    model = network()
    model.compile("sgd")
    return model


@pytest.mark.parametrize(("run", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_bad_data_are_refused_and_nothing_is_lost(run, message):
    model = compiled()
    before = model.get_weights()
    with pytest.raises(ValueError, match=message):
        run(model)
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_a_loss_that_runs_away_is_left_to_callbacks():
    images, labels = data()
    model = compiled("mse", optimizer=optimizers.SGD(1e30), metrics=None)
    with np.errstate(all="ignore"):
        history = model.fit(
            images, np.eye(4)[labels] * 1e30, epochs=3, verbose=0, callbacks=[callbacks.TerminateOnNaN()]
        )
    assert len(history.epoch) <= 2


def test_what_fit_prints(capsys):
    images, labels = data()
    compiled().fit(images, labels, epochs=2, verbose=2)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "Epoch 1/2"
    assert lines[1].startswith("2/2 - ")
    assert "accuracy: 0." in lines[1]


class Blocks(Model):
    """Layers in attributes of every kind; their weights are made when data come."""

    def __init__(self):
        super().__init__()
        self._first, self.rest = layers.Dense(5, activation="relu"), [layers.Dense(4)]

    def call(self, x):
        return self.rest[0](self._first(x))


def test_a_model_of_ones_own_learns_from_the_first_step():
    x, labels = np.random.default_rng(0).random((8, 6), np.float32), np.arange(8) % 4
    trained = []
    for make in (Blocks, lambda: Sequential([Input((6,)), layers.Dense(5, activation="relu"), layers.Dense(4)])):
        minidl.seed(0)
        model = make()
        model.compile("sgd", losses.SparseCategoricalCrossentropy(from_logits=True))
        model.fit(x, labels, epochs=1, verbose=0)
        trained.append(model.get_weights())
    for a, b in zip(*trained, strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_layer_at_several_places_is_stepped_once():
    shared = layers.Dense(6, use_bias=False, kernel_regularizer="l2")
    inner = [Model(i, shared(i)) for i in (Input((6,)), Input((6,)))]
    x = Input((6,))
    model = Model(x, layers.Add()([one(x) for one in inner]))
    assert len(model.weights) == len(model.losses) == len(model.penalties()) == 1
    data = np.random.default_rng(0).random((4, 6), np.float32)
    model.compile(optimizers.SGD(1.0), "mse")
    before = minidl.Tensor(model.get_weights()[0], requires_grad=True)
    difference = minidl.Tensor(data) @ before * 2 - minidl.Tensor(data)
    (gradient,) = minidl.grad((difference**2).mean() + 0.01 * (before**2).sum(), before)
    model.train_on_batch(data, data)
    np.testing.assert_allclose(model.get_weights()[0], before.numpy() - gradient.numpy(), rtol=1e-4, atol=1e-6)


def losses_seen(model, x, y, **arguments):
    seen = []
    watch = callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append(logs["loss"]))
    model.fit(x, y, callbacks=[watch], verbose=0, **arguments)
    return seen


def test_with_steps_an_epoch_begins_where_the_last_one_ended():
    model = Sequential([Input((1,)), layers.Dense(1, kernel_initializer="zeros")])
    model.compile(optimizers.SGD(0.0), "mse")
    x, y = np.zeros((8, 1)), np.arange(8.0)[:, None]
    arguments = {"batch_size": 2, "shuffle": False}
    assert losses_seen(model, x, y, epochs=5, steps_per_epoch=1, **arguments) == [0.5, 6.5, 20.5, 42.5, 0.5]
    assert losses_seen(model, x, y, epochs=1, steps_per_epoch=6, **arguments) == [(0.5 + 6.5 + 20.5 + 42.5 + 7) / 6]
    with pytest.raises(ValueError, match="at most 4 steps"):
        model.evaluate(x, y, batch_size=2, steps=5)


def test_a_step_of_ones_own_is_refused():
    class Stepping(Model):
        def train_step(self, data):
            return {}

    with pytest.raises(NotImplementedError, match=r"Stepping defines train_step\(\), which is not called here"):
        Stepping().compile("sgd", "mse")


def test_a_last_batch_of_one_sample_is_normalised_too():
    model = Sequential([Input((3,)), layers.BatchNormalization(), layers.Dense(1)])
    model.compile("sgd", "mse")
    assert np.isfinite(model.fit(np.ones((5, 3)), np.ones((5, 1)), batch_size=4, verbose=0).history["loss"]).all()


def test_a_model_without_anything_to_train_says_so():
    model = compiled()
    model.trainable = False
    before = model.get_weights()
    with pytest.warns(UserWarning, match="has no weights to be trained"):
        model.fit(*data(8), verbose=0)
    for a, b in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_metrics_may_give_several_numbers():
    images, labels = data(8)
    model = compiled("categorical_crossentropy", metrics=metrics.F1Score())
    history = model.fit(images, np.eye(4)[labels], epochs=2, verbose=2).history
    assert [value.shape for value in history["f1_score"]] == [(4,), (4,)]
    assert model.evaluate(images, np.eye(4)[labels], verbose=0)[1].shape == (4,)


def test_softmax_and_from_logits_use_the_scores_and_warn():
    images, labels = data(8)
    model = compiled(losses.SparseCategoricalCrossentropy(from_logits=True))
    twin = compiled()
    twin.set_weights(model.get_weights())
    with pytest.warns(UserWarning, match="ends in softmax, and the loss has from_logits=True"):
        scores = model.evaluate(images, labels, verbose=0)
    assert scores == twin.evaluate(images, labels, verbose=0)


def test_inputs_of_generators_may_be_tuples():
    left, right = Input((2,)), Input((2,))
    model = Model([left, right], layers.Dense(1)(layers.Add()([left, right])))
    model.compile("sgd", "mse")
    batch = (np.ones((4, 2)), np.ones((4, 2))), np.ones((4, 1))
    model.fit(iter([batch]), verbose=0)
    assert model.optimizer.iterations == 1


def test_a_last_axis_of_size_one_is_added_or_taken_away():
    model = Sequential([Input((1,)), layers.Dense(1)])
    assert model.predict(np.ones(3), verbose=0).shape == (3, 1)
    model = Sequential([Input((2,)), layers.Dense(1)])
    assert model.predict(np.ones((3, 2, 1)), verbose=0).shape == (3, 1)


def test_weights_of_classes_and_of_samples_are_not_combined():
    with pytest.raises(ValueError, match="cannot be combined with sample_weight"):
        compiled().fit(X, Y, class_weight={0: 2.0}, sample_weight=np.ones(8))


def test_masks_outside_fit_repeat_after_the_seed():
    from minidl.keras.utils import set_random_seed

    layer, x, drawn = layers.Dropout(0.5), np.ones((2, 50), np.float32), []
    for _ in range(2):
        set_random_seed(3)
        drawn.append(layer(x, training=True).numpy())
    np.testing.assert_array_equal(*drawn)


@pytest.mark.gpu
def test_fit_on_a_gpu_is_that_on_the_cpu():
    images, labels = data(12)
    trained = []
    for backend in ("cpu", "gpu"):
        minidl.seed(0)
        with minidl.use_backend(backend):
            model = compiled(optimizer=optimizers.SGD(0.05, momentum=0.9))
        history = model.fit(images, labels, batch_size=4, epochs=1, validation_data=(images, labels), verbose=0).history
        assert {x.backend.name for x in model.weights} == {backend}
        trained.append([*model.get_weights(), model.predict(images, verbose=0), *history.values()])
    for cpu, gpu in zip(*trained, strict=True):
        np.testing.assert_allclose(gpu, cpu, rtol=1e-3, atol=1e-5)
