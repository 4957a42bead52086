"""What is done to gradients, worked out by hand; and that a chain of rules is an optimiser."""

import numpy as np
import pytest

from minidl import Dense, Tensor
from minidl.gradient_rules import ClipGlobalNorm, ClipGrad, ClipNorm, GradientRule, OptimiserChain, WeightDecay
from minidl.optimisers import Adam, Descent, Momentum
from minidl.training import load_checkpoint, save_checkpoint

BACKENDS = pytest.mark.parametrize("backend", ["cpu", pytest.param("gpu", marks=pytest.mark.gpu)])


def parameters(gradients, values=None, backend="cpu", dtype=np.float32):
    params = {}
    for name, gradient in gradients.items():
        value = np.zeros(len(gradient)) if values is None else values[name]
        params[name] = Tensor(np.array(value, dtype), backend, requires_grad=True)
        params[name].grad = Tensor(np.array(gradient, dtype), backend)
    return params


@BACKENDS
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (WeightDecay(0.5), {"a": [3.5, 5], "b": [0.5]}),
        (ClipGrad(3.5), {"a": [3, 3.5], "b": [0]}),
        (ClipNorm(10), {"a": [3, 4], "b": [0]}),
        (ClipNorm(2.5), {"a": [1.5, 2], "b": [0]}),
        (ClipGlobalNorm(1), {"a": [0.6, 0.8], "b": [0]}),
        (ClipGlobalNorm(10), {"a": [3, 4], "b": [0]}),
    ],
)
def test_by_hand(rule, expected, backend, dtype):
    params = parameters({"a": [3, 4], "b": [0]}, {"a": [1, 2], "b": [1]}, backend, dtype)
    rule.apply(params)
    for name, gradient in expected.items():
        assert params[name].grad.dtype == dtype
        assert params[name].grad.backend.name == backend
        np.testing.assert_allclose(params[name].grad.numpy(), gradient, rtol=1e-6)


def test_the_global_norm_is_that_of_all_gradients():
    params = parameters({"a": [3], "b": [4]})
    ClipGlobalNorm(1).apply(params)
    assert [float(x.grad) for x in params.values()] == pytest.approx([0.6, 0.8])


def test_parameters_without_a_gradient_are_left_alone():
    for rule in [WeightDecay(1), ClipNorm(1), ClipGlobalNorm(1)]:
        x = Tensor([1.0], requires_grad=True)
        rule.apply({"x": x})
        assert x.grad is None


def test_rules_come_one_after_the_other():
    params = parameters({"a": [3, 4]}, {"a": [10, 0]})
    OptimiserChain(ClipNorm(2.5), WeightDecay(0.1), ClipGrad(2.2), Descent(1.0)).step(params)
    np.testing.assert_allclose(params["a"].numpy(), [10 - 2.2, -2], rtol=1e-6)
    assert params["a"].grad is None


def test_decay_before_momentum_is_momentum_with_decay():
    moved = []
    for optimiser in [OptimiserChain(WeightDecay(0.3), Momentum(0.1, 0.5)), Momentum(0.1, 0.5, 0.3)]:
        x = Tensor(np.ones(3), requires_grad=True)
        for step in range(4):
            x.grad = Tensor(np.arange(3.0) - step)
            optimiser.step({"x": x})
        moved.append(x.numpy())
    np.testing.assert_allclose(*moved, rtol=1e-12)


def test_rate_steps_and_state_are_the_optimisers(tmp_path):
    chain, layer = OptimiserChain(ClipNorm(1), Adam(0.5)), Dense(2, 1)
    chain.learning_rate = 0.25
    layer(np.ones((1, 2), np.float32)).sum().backward()
    chain.step(layer.params())
    assert (chain.optimiser.learning_rate, chain.steps, chain.memories) == (0.25, 1, ("mean", "square"))
    assert chain.state["mean"].keys() == layer.params().keys()
    save_checkpoint(tmp_path / "checkpoint", layer, chain)
    again = OptimiserChain(ClipNorm(1), Adam(0.5))
    load_checkpoint(tmp_path / "checkpoint", Dense(2, 1), again)
    assert again.steps == 1
    np.testing.assert_array_equal(again.state["mean"]["weight"], chain.state["mean"]["weight"])


@pytest.mark.parametrize("parts", [(), (ClipNorm(1),), (Descent(), ClipNorm(1)), (ClipNorm, Descent()), (1, Descent())])
def test_a_chain_has_an_optimiser_at_its_end(parts):
    with pytest.raises(TypeError, match="expected gradient rules and an optimiser behind them"):
        OptimiserChain(*parts)


@pytest.mark.parametrize("make", [WeightDecay, ClipGrad, ClipNorm, ClipGlobalNorm])
@pytest.mark.parametrize("value", [-1, float("nan")])
def test_impossible_values(make, value):
    with pytest.raises(ValueError, match=f"{make.__name__}: expected a"):
        make(value)


def test_a_rule_says_what_it_does():
    with pytest.raises(NotImplementedError, match="GradientRule does not define change"):
        GradientRule().apply(parameters({"a": [1]}))
