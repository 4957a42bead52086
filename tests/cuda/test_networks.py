"""Whole networks on the GPU train as they do on the CPU, and nobody waits for the GPU within a step."""

import numpy as np
import pytest
from emulator.strict_cupy import settings
from small_run import digits

import minidl
from minidl import BatchNorm, Chain, Conv, Dense, Dropout, MaxPool, MeanPool, Tensor, flatten, relu, use_backend
from minidl.backend import get_backend
from minidl.data import DataLoader, RandomCrop, to_float
from minidl.losses import logitcrossentropy
from minidl.modes import no_grad
from minidl.optimisers import Adam, Momentum
from minidl.schedules import cosine
from minidl.training import Training, evaluate, fit, train
from minidl.training.device_input import on_backend
from minidl.training.diagnosis import NotFiniteError
from minidl.training.loop import LOOK_EVERY

pytestmark = pytest.mark.gpu


def small_vgg(batchnorm):
    """Three of VGG's blocks, with and without batch norm, for images of 8 x 8 pixels; and the dense layers."""
    layers, channels = [], 1
    for filters in [6, 8, 10]:
        layers.append(Conv((3, 3), (channels, filters), minidl.identity if batchnorm else relu, pad=1))
        layers += [BatchNorm(filters, relu)] if batchnorm else []
        layers.append(MaxPool((2, 2)) if filters < 10 else MeanPool((2, 2)))
        channels = filters
    return Chain(*layers, flatten, Dense(10, 20, relu), Dropout(0.5), Dense(20, 10))


def trained(backend, batchnorm, optimiser, epochs=1, count=36):
    minidl.seed(0)
    with use_backend(backend):
        model = small_vgg(batchnorm)
    data = DataLoader(digits(count), 12, shuffle=True, seed=0, augment=[RandomCrop(1), to_float])
    validation = DataLoader(digits(10, "test"), 8, augment=[to_float])
    history = fit(model, logitcrossentropy, data, optimiser, epochs, validation, cosine(0.05, 3 * epochs, warmup=1))
    return model, history


# Not Adam with batch norm: it makes steps of noise where the gradient is 0, that of a bias in front of batch norm
@pytest.mark.parametrize(("make", "batchnorm"), [(Momentum, False), (Momentum, True), (Adam, False)])
def test_three_steps_are_those_of_the_cpu(make, batchnorm):
    (expected, history), (model, gpu_history) = (trained(backend, batchnorm, make()) for backend in ["cpu", "gpu"])
    for name, tensor in model.tensors().items():
        assert tensor.backend.name == "gpu"
        np.testing.assert_allclose(tensor.numpy(), expected.tensors()[name].numpy(), rtol=1e-3, atol=1e-5, err_msg=name)
    for row, gpu_row in zip(history, gpu_history, strict=True):
        for figure in ["loss", "accuracy", "validation_loss", "validation_accuracy"]:
            assert gpu_row[figure] == pytest.approx(row[figure], rel=1e-4)


def test_a_network_can_be_moved_there_and_back():
    images = Tensor(to_float(digits(5)[0]))
    model = small_vgg(batchnorm=True)
    expected = model(images).numpy()
    np.testing.assert_allclose(model.to("gpu")(images.to("gpu")).numpy(), expected, rtol=1e-4, atol=1e-6)
    np.testing.assert_array_equal(model.to("cpu")(images).numpy(), expected)


@pytest.mark.parametrize("pool", [False, True])
def test_evaluation_at_one_go_is_what_the_layers_compute(pool):
    """Convolution, batch norm, relu and pool as one kernel; long sums are cut into chunks, and finished afterwards."""
    random = np.random.default_rng(0)
    layers = [Conv((3, 3), (70, 5), pad=1), BatchNorm(5, relu), *([MaxPool((2, 2))] if pool else [])]
    with use_backend("gpu"):
        model, x = Chain(*layers).to("gpu"), Tensor(random.standard_normal((2, 4, 6, 70)).astype(np.float32))
    for tensor in model[1].tensors().values():
        tensor.array = random.uniform(0.5, 1.5, tensor.shape).astype(np.float32)
    apart = model(x).numpy()
    with no_grad():
        np.testing.assert_allclose(model(x).numpy(), apart, rtol=1e-4, atol=1e-5)


@pytest.mark.emulated
def test_no_step_reads_from_the_gpu():
    minidl.seed(0)
    with use_backend("gpu"):
        model = small_vgg(batchnorm=True)
    data = DataLoader(digits(36), 12, augment=[to_float])
    training = Training(model, logitcrossentropy, data, Momentum(), epochs=1)
    before = settings.reads
    for x, y in on_backend(data, get_backend("gpu")):
        training.step(x, y)
    assert settings.reads == before
    assert np.isfinite(training.position.totals.means()["loss"])
    assert settings.reads > before


def diverging():
    """A network whose loss is infinite from the second step on."""
    with use_backend("gpu"):
        return Chain(flatten, Dense(64, 10))


def test_a_loss_that_is_not_finite_is_noticed_at_the_end_of_an_epoch():
    data = DataLoader(digits(36), 12, augment=[to_float])
    with pytest.raises(NotFiniteError, match=f"step 3: a loss of the last {LOOK_EVERY} steps is (nan|inf)"):
        fit(diverging(), logitcrossentropy, data, Momentum(1e38), 1)


def test_a_loss_that_is_not_finite_is_noticed_after_some_steps():
    data = DataLoader(digits(LOOK_EVERY), 1, augment=[to_float])
    with pytest.raises(NotFiniteError, match=r"the loss is (nan|inf)\. The first layer whose output is not finite"):
        fit(diverging(), logitcrossentropy, data, Momentum(1e38), 1)


def test_flux_way_notices_it_too():
    model = diverging()
    images, labels = digits(3)
    batches = [(to_float(images), labels)] * 4
    with pytest.raises(NotFiniteError, match="train: the loss of one of the last"):
        train(lambda x, y: logitcrossentropy(model(x), y), model.params(), batches, Momentum(1e38))


@pytest.mark.parametrize("count", [0, 1, 2, 5])
def test_batches_arrive_in_order_while_the_next_is_copied(count):
    """The last one is smaller; a slot's memory grows when a batch is larger than those before."""
    sizes = [3, 4, 3, 4, 2][:count]
    batches = [
        (np.full((size, 2), number, np.float32), np.full(size, 10 + number)) for number, size in enumerate(sizes)
    ]
    arrived = 0
    for (x, y), (expected, labels) in zip(on_backend(batches, get_backend("gpu")), batches, strict=True):
        np.testing.assert_array_equal(x.get(), expected)
        np.testing.assert_array_equal(y.get(), labels)
        arrived += 1
    assert arrived == count


def test_tensors_and_single_arrays_are_batches_too():
    gpu = get_backend("gpu")
    x = Tensor(np.ones(3), gpu)
    assert [batch[0] is x for batch in on_backend([(x, np.ones(2))] * 3, gpu)] == [True] * 3
    assert [batch.get().tolist() for batch in on_backend([np.ones(2)] * 3, gpu)] == [[1, 1]] * 3


def test_scores_of_a_network_there_are_evaluated():
    model, _ = trained("gpu", True, Momentum())
    images, labels = digits(10, "test")
    scores = evaluate(model, logitcrossentropy, [(to_float(images), labels)])
    assert scores["accuracy"] == pytest.approx((model(to_float(images)).numpy().argmax(1) == labels.argmax(1)).mean())
