"""The networks that all peers build are those of minidl.models, and minidl's peer builds them."""

import numpy as np
import pytest

from benchmarks import networks, op_cases
from benchmarks.checks import compare, mismatch
from benchmarks.peers.minidl import Peer, make_chain
from minidl import use_backend
from minidl.models import vgg19


@pytest.mark.parametrize("batchnorm", [True, False])
def test_the_table_is_vgg19(batchnorm):
    assert repr(make_chain(networks.vgg19(batchnorm))) == repr(vgg19(batchnorm=batchnorm))


@pytest.mark.parametrize("name", ["tiny", "tiny-plain"])
def test_weights_fit_and_repeat(name):
    weights = networks.initial_weights(networks.NETWORKS[name])
    make_chain(networks.NETWORKS[name]).check_fits(weights)
    again = networks.initial_weights(networks.NETWORKS[name])
    assert all(np.array_equal(weights[key], again[key]) for key in weights)


def test_the_convolutions_of_vgg19():
    cases = networks.convolutions(networks.NETWORKS["vgg19"], 64)
    shapes = [(case.pixels, case.inputs, case.outputs) for case in cases]
    assert shapes == [
        (32, 3, 64), (32, 64, 64), (16, 64, 128), (16, 128, 128), (8, 128, 256), (8, 256, 256), (4, 256, 512),
        (4, 512, 512), (2, 512, 512),
    ]  # fmt: skip
    assert [case.needs_input_gradient for case in cases] == [False, *[True] * 8]


def test_nothing_random_is_left_without_dropout():
    rates = [layer.rate for layer in networks.without_dropout(networks.NETWORKS["tiny"]) if hasattr(layer, "rate")]
    assert rates == [0.0]
    assert networks.ends(networks.NETWORKS["tiny"]) == {"first": 0, "last": 8}


@pytest.fixture(params=["cpu", pytest.param("gpu", marks=pytest.mark.gpu)])
def peer(request):
    with use_backend("cpu"):  # a peer sets the backend for its process
        yield Peer(1, "", request.param)


def test_a_step_learns_and_scores_do_not_depend_on_dropout(peer):
    network = networks.NETWORKS["tiny"]
    peer.build(network, networks.initial_weights(network))
    peer.take(*networks.random_batch(16))
    scores = peer.forward()
    assert scores.shape == (16, 10)
    np.testing.assert_array_equal(scores, peer.forward())
    before = peer.weight(0)
    assert peer.step() > 0
    peer.wait()
    assert not np.array_equal(before, peer.weight(0))
    assert peer.versions().keys() > {"minidl", "numpy"}


def test_a_convolution_has_all_outputs(peer):
    first, second = networks.convolutions(networks.NETWORKS["tiny"], batch=2)
    for case, names in ((first, {"y", "dweight", "dbias"}), (second, {"y", "dx", "dweight", "dbias"})):
        convolution = peer.convolution(case)
        result = convolution.forward()
        convolution.backward(result)
        assert convolution.arrays(result).keys() == names


SMALL = {
    "batch_norm": (3, 4, 4, 2), "max_pool2d": (2, 4, 4, 3), "mean_pool2d": (2, 4, 4, 3), "relu": (2, 3, 3, 2),
    "row_sums": (2, 3, 3, 2), "sum": (2, 3, 3, 2), "mean": (2, 3, 3, 2), "dense": (3, 5), "dropout": (4, 5),
    "softmax": (3, 6), "softmax_cross_entropy": (3, 6),
}  # fmt: skip


@pytest.fixture
def small_shapes(monkeypatch):
    for op, shapes in op_cases.SHAPES.items():
        others = {"weight": (5, 4), "bias": (4,), "scale": (2,), "shift": (2,)}
        monkeypatch.setitem(op_cases.SHAPES, op, {name: others.get(name, SMALL[op]) for name in shapes})
    monkeypatch.setattr(op_cases, "ROWS", SMALL["softmax"])


def outputs(peer, op):
    layer = peer.op(op_cases.OpCase(op), dropout=False)
    result = layer.forward()
    layer.backward(result)
    return layer.arrays(result)


@pytest.mark.parametrize("op", op_cases.SHAPES)
def test_an_op_has_all_outputs(op, peer, small_shapes):
    trained = op_cases.SHAPES[op].keys() - op_cases.NOT_TRAINED
    assert outputs(peer, op).keys() == {"y", *(f"d{name}" for name in trained)}


@pytest.mark.torch
@pytest.mark.parametrize("layout", ["", "channels-last"])
@pytest.mark.parametrize("op", op_cases.SHAPES)
def test_pytorch_computes_the_same_op(op, layout, small_shapes):
    pytest.importorskip("torch")
    from benchmarks.peers import pytorch

    with use_backend("cpu"):
        ours = outputs(Peer(1, "", "cpu"), op)
    theirs = outputs(pytorch.Peer(1, layout, "cpu"), op)
    assert mismatch(compare(ours, theirs)) is None
