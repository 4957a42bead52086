"""What all layers share: the names of their tensors, loading, moving, seeds, and layers that are used twice."""

import numpy as np
import pytest

import minidl
from minidl import BatchNorm, Chain, Conv, Dense, Layer, SkipConnection, Tensor, flatten, gelu, relu, use_backend
from minidl.functions import add
from minidl.randomness import generator

TRAINED = ["layers.0.weight", "layers.0.bias", "layers.1.scale", "layers.1.shift", "layers.3.weight"]
RUNNING = ["layers.1.mean", "layers.1.variance"]


@pytest.fixture(autouse=True)
def _same_weights_every_time():
    minidl.seed(0)


def network():
    return Chain(Conv((3, 3), (1, 2), relu, pad=1), BatchNorm(2), flatten, Dense(8, 3, bias=False))


def images(n=2):
    return np.random.default_rng(0).random((n, 2, 2, 1), np.float32)


def copies(layer):
    return {name: x.numpy().copy() for name, x in layer.tensors().items()}


def assert_equal(arrays, others):
    assert arrays.keys() == others.keys()
    for name in arrays:
        np.testing.assert_array_equal(arrays[name], others[name], err_msg=name)


def test_names_follow_the_attributes():
    model = network()
    assert list(model.params()) == TRAINED
    assert sorted(model.tensors()) == sorted(TRAINED + RUNNING)
    assert model.params()["layers.3.weight"] is model[3].weight


def test_a_layer_of_ones_own_is_searched_through_lists_and_layers():
    class Branches(Layer):
        def __init__(self):
            self.branches = [Dense(2, 1), (relu, Dense(2, 1, bias=False))]
            self.skip = SkipConnection(Dense(2, 2), add)
            self.gain = Tensor([1.0], requires_grad=True)

    expected = ["branches.0.weight", "branches.0.bias", "branches.1.1.weight", "skip.layer.weight", "skip.layer.bias"]
    assert list(Branches().params()) == [*expected, "gain"]


def test_layers_in_a_dict_are_found():
    class Branches(Layer):
        def __init__(self):
            self.branch = {"left": Dense(1, 2), "right": Dense(1, 3, bias=False)}

    assert list(Branches().params()) == ["branch.left.weight", "branch.left.bias", "branch.right.weight"]


def test_a_shared_layer_is_named_once_and_its_gradients_add_up():
    shared = Dense(3, 3, gelu)
    model = Chain(shared, SkipConnection(shared, add), shared)
    assert list(model.params()) == ["layers.0.weight", "layers.0.bias"]
    minidl.check_gradients(model, [np.random.default_rng(0).standard_normal((2, 3))])


def test_load_copies():
    source, target = network(), network()
    arrays = copies(source)
    target.load(arrays)
    assert_equal(copies(target), copies(source))
    arrays["layers.0.weight"][:] = 7
    assert_equal(copies(target), copies(source))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda arrays: arrays.pop("layers.1.mean"), r"layers\.1\.mean is missing"),
        (lambda arrays: arrays.update(extra=np.zeros(1)), r"extra is not part of this network"),
        (
            lambda arrays: arrays.update({"layers.3.weight": np.zeros((8, 4), np.float32)}),
            r"layers\.3\.weight is \(8, 4\) float32, expected \(8, 3\) float32",
        ),
        (
            lambda arrays: arrays.update({"layers.3.weight": np.zeros((8, 3))}),
            r"layers\.3\.weight is \(8, 3\) float64, expected \(8, 3\) float32",
        ),
    ],
    ids=["missing", "foreign", "shape", "dtype"],
)
def test_load_refuses_another_network_and_changes_nothing(change, message):
    model = network()
    before, arrays = copies(model), {name: np.ones_like(x) for name, x in copies(model).items()}
    change(arrays)
    with pytest.raises(ValueError, match=message):
        model.load(arrays)
    assert_equal(copies(model), before)


def test_to_moves_everything_in_place_and_drops_gradients():
    model = network()
    model(images()).sum().backward()
    assert all(x.grad is not None for x in model.params().values())
    assert model.to("reference", "float64") is model
    for x in model.tensors().values():
        assert (x.backend.name, x.dtype, x.grad) == ("reference", np.float64, None)
    assert model(images().astype(np.float64)).dtype == np.float64


def test_cpu_and_reference_compute_the_same_and_repeat_bit_for_bit():
    model = network()
    on_cpu = model(images()).numpy()
    np.testing.assert_array_equal(minidl.cpu(model)(images()).numpy(), on_cpu)
    np.testing.assert_allclose(model.to("reference")(images()).numpy(), on_cpu, rtol=1e-5, atol=1e-6)


def test_arrays_join_the_backend_of_the_parameters():
    model = network().to("reference")
    assert model(images()).backend.name == "reference"
    assert model[0](images()).backend.name == "reference"


def test_use_backend_decides_where_layers_are_made():
    assert network()[0].weight.backend.name == "cpu"
    with use_backend("reference"):
        assert {x.backend.name for x in network().tensors().values()} == {"reference"}
        with use_backend("cpu"):
            assert network()[0].weight.backend.name == "cpu"
    assert network()[0].weight.backend.name == "cpu"
    with pytest.raises(ValueError, match="unknown backend 'tpu': choose one of"):
        use_backend("tpu")


def test_one_seed_repeats_bit_for_bit_on_every_backend_and_two_differ():
    def weights(seed, backend="cpu"):
        minidl.seed(seed)
        with use_backend(backend):
            return copies(network())

    assert_equal(weights(1), weights(1))
    assert_equal(weights(1), weights(1, "reference"))
    assert not np.array_equal(weights(1)["layers.0.weight"], weights(2)["layers.0.weight"])
    assert not np.array_equal(Dense(2, 2).weight.numpy(), Dense(2, 2).weight.numpy())  # a stream, not one draw


@pytest.mark.parametrize("number", [-1, 1.5, "1", None])
def test_a_seed_is_a_whole_number_and_a_wrong_one_changes_nothing(number):
    before = generator()
    with pytest.raises(ValueError, match="seed: expected a whole number, 0 or more"):
        minidl.seed(number)
    assert generator() is before


def test_a_layer_without_call_says_what_is_missing():
    class Half(Layer):
        pass

    with pytest.raises(NotImplementedError, match=r"Half does not define __call__\(self, x\)"):
        Half()(images())
