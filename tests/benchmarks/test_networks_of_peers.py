"""The networks that all peers build are those of minidl.models, and minidl's peer builds them."""

import numpy as np
import pytest

from benchmarks import networks
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
