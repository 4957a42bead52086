"""What all optimisers share: memories and counts of each parameter, rules, groups, and settings that make no sense."""

import copy
import inspect
import pickle
from dataclasses import dataclass

import numpy as np
import pytest

from minidl import Chain, Dense, Tensor, freeze, gradient_rules, optimisers, thaw
from minidl.gradient_rules import ClipGlobalNorm, ClipNorm, GradientRule, OptimiserChain, WeightDecay
from minidl.keras import optimizers as keras_optimizers
from minidl.optimisers import Adam, AdamW, Descent, Group, Momentum, Nesterov, Optimiser, RMSProp

ALL = [Descent, Momentum, Nesterov, RMSProp, Adam, AdamW]
BACKENDS = pytest.mark.parametrize("backend", ["cpu", "reference", pytest.param("gpu", marks=pytest.mark.gpu)])
NAMES = ["layers.0.weight", "layers.0.bias", "layers.1.scale", "layers.1.shift"]


def params(names=NAMES, backend="cpu", dtype=np.float64):
    random = np.random.default_rng(0)
    return {name: Tensor(random.normal(size=(2, 3)).astype(dtype), backend, requires_grad=True) for name in names}


def take_steps(optimiser, parameters, count=1, without=(), seed=1):
    random = np.random.default_rng(seed)
    for _ in range(count):
        for name, x in parameters.items():
            gradient = random.normal(size=x.shape).astype(x.dtype)
            x.grad = None if name in without else Tensor(gradient, x.backend)
        optimiser.step(parameters)
    return {name: x.numpy().copy() for name, x in parameters.items()}


def assert_same(first, second):
    assert first.keys() == second.keys()
    for name in first:
        np.testing.assert_array_equal(first[name], second[name], err_msg=name)


# What belongs to a parameter ------------------------------------------------------------------------------------------


@BACKENDS
@pytest.mark.parametrize("make", [Adam, AdamW])
def test_a_parameter_that_is_thawed_late_moves_one_learning_rate(make, backend):
    """3.2 learning rates at once where the bias is corrected by a count of all steps."""
    early, late = (Tensor(np.zeros(2), backend, requires_grad=True) for _ in range(2))
    optimiser = make(0.01)
    for _ in range(10_000 if backend == "cpu" else 20):
        early.grad = Tensor(np.ones(2), backend)
        optimiser.step({"early": early, "late": late})
    before = early.numpy().copy()
    early.grad, late.grad = (Tensor(np.full(2, 1.0), backend) for _ in range(2))
    optimiser.step({"early": early, "late": late})
    np.testing.assert_allclose(late.numpy(), -0.01, rtol=1e-6)
    np.testing.assert_allclose(early.numpy() - before, -0.01, rtol=1e-6)


@pytest.mark.parametrize("make", ALL)
def test_steps_of_one_parameter_do_not_depend_on_others(make):
    """Those that come later, or have no gradient in some steps, move as they would with optimisers of their own."""
    shared, parameters, alone = make(0.1), params(["a", "b", "c"]), params(["a", "b", "c"])
    own = {name: make(0.1) for name in parameters}
    for step, present in enumerate(["a", "ab", "b", "abc", "c", "abc", "ac"]):
        for name in present:
            parameters[name].grad = alone[name].grad = Tensor(np.full((2, 3), 1.0 + step))
            own[name].step({name: alone[name]})
        shared.step({name: parameters[name] for name in present} if step % 2 else parameters)
    assert_same(*({name: x.numpy() for name, x in which.items()} for which in (parameters, alone)))
    assert shared.counts == {"a": 5, "b": 4, "c": 4}
    assert shared.steps == 7  # of the training


def test_freezing_keeps_what_is_remembered():
    model, optimiser = Chain(Dense(3, 2), Dense(2, 1)), Adam(0.1)
    for trained in (None, freeze, thaw):
        if trained is not None:
            trained(model[0])
        model(Tensor(np.ones((2, 3), np.float32))).sum().backward()
        optimiser.step(model.params())
    assert {name: optimiser.counts[name] for name in ("layers.0.weight", "layers.1.weight")} == {
        "layers.0.weight": 2, "layers.1.weight": 3,
    }  # fmt: skip


@pytest.mark.parametrize("make", [make for make in ALL if make.memories])
def test_a_name_is_not_used_again_for_another_tensor(make):
    optimiser, other = make(0.1), params()
    take_steps(optimiser, params())
    before = {name: x.numpy().copy() for name, x in other.items()}
    with pytest.raises(ValueError, match=r"layers.0.weight is another tensor .* an optimiser belongs to one network"):
        take_steps(optimiser, other)
    assert_same({name: x.numpy() for name, x in other.items()}, before)
    assert optimiser.steps == 1
    assert all(x.grad is not None for x in other.values())


@pytest.mark.parametrize("make", [*ALL, lambda rate: OptimiserChain(ClipNorm(1), Adam(rate))])
@pytest.mark.parametrize("copied", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))], ids=["deepcopy", "pickle"])
def test_a_copy_goes_on_with_a_copy_of_the_network(make, copied):
    optimiser, parameters = make(0.1), params()
    take_steps(optimiser, parameters, 3)
    again = params()
    for name, x in again.items():
        x.array = parameters[name].array.copy()
    twin = copied(optimiser)
    assert_same(take_steps(twin, again, 2, seed=2), take_steps(optimiser, parameters, 2, seed=2))
    assert (twin.steps, twin.counts) == (optimiser.steps, optimiser.counts)


def test_memories_put_in_by_hand_are_as_old_as_the_training():
    optimiser, parameters = Adam(0.1), params()
    take_steps(optimiser, parameters, 5)
    again, twins = Adam(0.1), params()
    for name, x in twins.items():
        x.array = parameters[name].array.copy()
    again.steps, again.state = optimiser.steps, copy.deepcopy(optimiser.state)
    assert_same(take_steps(again, twins), take_steps(optimiser, parameters))


class Counting(Optimiser):
    """What a new optimiser needs; it moves by its count of updates."""

    def update(self, parameters, gradients, *memories):
        for parameter in parameters:
            parameter.array = parameter.array - self.learning_rate * self.update_number


def test_a_new_optimiser_sees_the_count_and_the_rate_of_its_parameters():
    optimiser = Counting(1.0, groups=[Group("b", rate_factor=10)])
    parameters = {name: Tensor(np.zeros(1), requires_grad=True) for name in "ab"}
    take_steps(optimiser, parameters, without="a")
    take_steps(optimiser, parameters)
    assert [float(x.item()) for x in parameters.values()] == [-1, -30]
    assert optimiser.learning_rate == 1.0


# Rules ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", ALL)
def test_rules_are_part_of_every_optimiser(make):
    """The same bits, whether the rules are the optimiser's, a chain's, some of each, or applied before."""
    rules = [ClipNorm(0.5), WeightDecay(0.1), ClipGlobalNorm(0.8)]
    moved = [
        take_steps(optimiser, params(), 3)
        for optimiser in (
            make(0.1, rules=rules),
            OptimiserChain(*rules, make(0.1)),
            OptimiserChain(rules[0], make(0.1, rules=rules[1:])),
            OptimiserChain(rules[0], OptimiserChain(*rules[1:], make(0.1))),
        )
    ]

    class Applied(type(make(0.1))):
        def step(self, parameters):
            for rule in rules:
                rule.apply(parameters)
            super().step(parameters)

    for other in [*moved[1:], take_steps(Applied(0.1), params(), 3)]:
        assert_same(moved[0], other)
    plain = take_steps(make(0.1), params(), 3)
    assert any((moved[0][name] != plain[name]).any() for name in NAMES)


def test_a_chain_leaves_the_rules_of_its_optimiser_alone():
    adam = Adam(rules=[ClipNorm(1)])
    for _ in range(2):
        chain = OptimiserChain(WeightDecay(0.1), adam)
        take_steps(chain, params())
        adam.restore(0, {}, {"mean": {}, "square": {}})
        assert [type(rule) for rule in adam.rules] == [ClipNorm]
        assert chain.description() == {"optimiser": "Adam", "rules": ["WeightDecay", "ClipNorm"], "groups": []}


def test_rules_leave_the_gradients_of_the_caller_alone():
    parameters = params(["x"])
    gradient = parameters["x"].grad = Tensor(np.full((2, 3), 100.0))
    Descent(rules=[ClipNorm(1), WeightDecay(0.1)]).step(parameters)
    np.testing.assert_array_equal(gradient.numpy(), 100)


@dataclass
class Halved(GradientRule):
    """What a new rule needs; it compares by its settings, so it has no hash."""

    share: float = 0.5

    def change(self, gradient, parameter):
        return gradient * self.share


def test_a_new_rule_defines_change():
    x = Tensor(np.zeros(2), requires_grad=True)
    x.grad = Tensor(np.ones(2))
    Descent(1.0, rules=[Halved(), Halved()]).step({"x": x})
    np.testing.assert_array_equal(x.numpy(), -0.25)


class Broken(GradientRule):
    def apply(self, params):
        raise ArithmeticError


@pytest.mark.parametrize("make", ALL)
def test_a_step_that_is_refused_changes_nothing(make):
    optimiser, parameters = make(0.1, rules=[ClipNorm(1)]), params()
    take_steps(optimiser, parameters)
    state, counts = copy.deepcopy(optimiser.state), optimiser.counts
    before = {name: x.numpy().copy() for name, x in parameters.items()}
    gradients = {name: Tensor(np.full((2, 3), 7.0)) for name in parameters}
    for spoil, error in (
        (lambda: optimiser.rules.append(Broken()), ArithmeticError),
        (lambda: setattr(optimiser, "learning_rate", float("nan")), ValueError),
        (lambda: setattr(optimiser, "groups", [Group("nothing")]), ValueError),
    ):
        for name, x in parameters.items():
            x.grad = gradients[name]
        spoil()
        with pytest.raises(error):
            optimiser.step(parameters)
        assert all(x.grad is gradients[name] for name, x in parameters.items())
        assert_same({name: x.numpy() for name, x in parameters.items()}, before)
        assert (optimiser.steps, optimiser.counts) == (1, counts)
        for memory in optimiser.memories:
            assert_same(optimiser.state[memory], state[memory])


def test_a_rule_may_hold_a_parameter_still():
    class Still(GradientRule):
        def apply(self, params):
            params["layers.0.bias"].grad = None

    optimiser, parameters = Adam(0.1, rules=[Still()]), params()
    start = parameters["layers.0.bias"].numpy().copy()
    np.testing.assert_array_equal(take_steps(optimiser, parameters)["layers.0.bias"], start)
    assert "layers.0.bias" not in optimiser.counts
    assert parameters["layers.0.bias"].grad is None


# Groups ---------------------------------------------------------------------------------------------------------------


@BACKENDS
@pytest.mark.parametrize("make", ALL)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_group_is_as_an_optimiser_of_its_own(make, backend, dtype):
    together = make(0.1, groups=[Group("*.bias", rate_factor=4), Group("*.scale", "*.shift", rate_factor=0.5)])
    moved = take_steps(together, params(backend=backend, dtype=dtype), 3)
    for factor, names in ((1, NAMES[:1]), (4, NAMES[1:2]), (0.5, NAMES[2:])):
        alone = take_steps(make(0.1 * factor), params(backend=backend, dtype=dtype), 3)
        assert_same({name: moved[name] for name in names}, {name: alone[name] for name in names})


@pytest.mark.parametrize("make", ALL)
def test_groups_that_change_nothing_change_no_bit(make):
    grouped = make(0.1, groups=[Group("*.bias"), Group("*.0.*", rate_factor=1.0)])
    assert_same(take_steps(grouped, params(), 3), take_steps(make(0.1), params(), 3))


DECAYING = {
    "Momentum": lambda decay, **options: Momentum(0.1, weight_decay=decay, **options),
    "AdamW": lambda decay, **options: AdamW(0.1, decay=decay, **options),
    "a rule": lambda decay, **options: RMSProp(0.1, rules=[WeightDecay(decay)], **options),
    "a chain": lambda decay, **options: OptimiserChain(WeightDecay(decay), ClipNorm(1), Nesterov(0.1, **options)),
}


@pytest.mark.parametrize("make", DECAYING.values(), ids=DECAYING.keys())
@pytest.mark.parametrize("decay", [0, 0.5])
def test_a_group_has_a_weight_decay_of_its_own(make, decay):
    optimiser = make(0.25, groups=[Group("*.bias", "*.shift", weight_decay=decay)])
    moved = take_steps(optimiser, params(), 3)
    with_theirs, with_other = (take_steps(make(value), params(), 3) for value in (decay, 0.25))
    assert_same(moved, {name: (with_theirs if name[-1] in "st" and "w" not in name else with_other)[name]
                        for name in NAMES})  # fmt: skip
    assert any((with_theirs[name] != with_other[name]).any() for name in NAMES)


def test_the_first_group_that_fits_counts_and_schedules_go_on():
    optimiser = Descent(1.0, groups=[Group("layers.0.bias", rate_factor=2), Group("*.bias", "*.0.*", rate_factor=3)])
    parameters = {name: Tensor(np.zeros(1), requires_grad=True) for name in [*NAMES, "layers.1.bias"]}
    for rate in (1.0, 0.5):
        optimiser.learning_rate = rate
        for x in parameters.values():
            x.grad = Tensor(np.ones(1))
        optimiser.step(parameters)
    moved = {name: x.item() / -1.5 for name, x in parameters.items()}
    assert moved == {
        "layers.0.weight": 3, "layers.0.bias": 2, "layers.1.scale": 1, "layers.1.shift": 1, "layers.1.bias": 3,
    }  # fmt: skip


def test_patterns_fit_the_names_of_a_layer_alone():
    group = Group("*.bias", "layers.[01].weight")
    fitting = ["bias", "layers.0.bias", "layers.1.weight", "layers.2.weight", "abias", "layers.0.Bias"]
    assert [name for name in fitting if group.fits(name)] == ["bias", "layers.0.bias", "layers.1.weight"]


@pytest.mark.parametrize("make", ALL)
@pytest.mark.parametrize("pattern", ["*.bais", "layers.7.*", "weight"])
def test_a_pattern_that_fits_nothing_is_an_error_in_the_first_step(make, pattern):
    optimiser = make(0.1, groups=[Group("*.bias"), Group("*.scale", pattern, rate_factor=2)])
    with pytest.raises(ValueError, match=r"the group .* fits none of 4 parameters, such as 'layers.0.bias'"):
        take_steps(optimiser, params())
    assert optimiser.steps == 0


def test_a_group_may_be_frozen_later():
    optimiser, parameters = Adam(0.1, groups=[Group("*.bias", rate_factor=2)]), params()
    take_steps(optimiser, parameters)
    del parameters["layers.0.bias"]
    take_steps(optimiser, parameters)
    assert optimiser.steps == 2


@pytest.mark.parametrize("make", [Descent, Nesterov, RMSProp, Adam])
def test_a_groups_decay_needs_a_place(make):
    with pytest.raises(ValueError, match=f"{make.__name__}: a group's weight_decay takes the place of one .* are 0"):
        take_steps(make(0.1, groups=[Group("*.bias", weight_decay=0)]), params())


@pytest.mark.parametrize("make", [Momentum, AdamW])
def test_a_groups_decay_has_one_place(make):
    with pytest.raises(ValueError, match=f"{make.__name__}: a group's weight_decay .* are 2"):
        take_steps(make(0.1, rules=[WeightDecay(0.1)], groups=[Group("*.bias", weight_decay=0)]), params())


# Settings that make no sense ------------------------------------------------------------------------------------------

IMPOSSIBLE = [float("nan"), float("inf"), -float("inf"), -0.1]
NUMBERS = {"learning_rate", "weight_decay", "eps", "decay", "limit", "momentum", "rate_factor", "beta_1", "beta_2",
           "epsilon", "rho", "initial_accumulator_value", "clipnorm", "clipvalue", "global_clipnorm"}  # fmt: skip
OTHERS = {"betas", "rules", "groups", "patterns", "parts", "nesterov", "amsgrad", "centered", "name"}


def kinds():
    """Every optimiser, rule and group."""
    for module in (optimisers, gradient_rules, keras_optimizers):
        for kind in vars(module).values():
            if isinstance(kind, type) and issubclass(kind, Optimiser | GradientRule | Group):
                yield kind


def settings():
    for kind in dict.fromkeys(kinds()):
        names = [name for name in inspect.signature(kind.__init__).parameters if name not in ("self", "settings")]
        if issubclass(kind, keras_optimizers.Optimizer):
            names += ["weight_decay", "clipnorm", "clipvalue", "global_clipnorm"]
        if kind not in (Optimiser, GradientRule, OptimiserChain, keras_optimizers.Optimizer):
            yield from ((kind, name) for name in dict.fromkeys(names) if name not in OTHERS)


def test_every_setting_is_known():
    assert {name for _, name in settings()} <= NUMBERS
    assert len(list(settings())) > 50


@pytest.mark.parametrize("value", IMPOSSIBLE)
@pytest.mark.parametrize(("kind", "name"), list(settings()), ids=lambda value: getattr(value, "__name__", value))
def test_settings_that_are_not_finite_or_negative_are_refused(kind, name, value):
    required = ["*"] if kind is Group else []
    with pytest.raises(ValueError, match="expected"):
        kind(*required, **{name: value})


@pytest.mark.parametrize("make", ALL)
@pytest.mark.parametrize("rate", IMPOSSIBLE)
def test_a_schedule_cannot_break_the_parameters(make, rate):
    optimiser, parameters = make(0.1), params()
    optimiser.learning_rate = rate
    before = {name: x.numpy().copy() for name, x in parameters.items()}
    with pytest.raises(ValueError, match=f"{make.__name__}: expected a learning rate of 0 or more, got"):
        take_steps(optimiser, parameters)
    assert_same({name: x.numpy() for name, x in parameters.items()}, before)


@pytest.mark.parametrize("make", ALL)
@pytest.mark.parametrize(
    "options",
    [{"rules": ClipNorm(1)}, {"rules": [ClipNorm]}, {"groups": Group("*")}, {"groups": ["*.bias"]}],
    ids=["one rule", "a class", "one group", "a text"],
)
def test_rules_and_groups_are_lists_of_such(make, options):
    with pytest.raises(TypeError, match=f"{make.__name__}: expected a list of objects of class "):
        make(**options)


@pytest.mark.parametrize("make", [Adam, AdamW])
@pytest.mark.parametrize("betas", [(), (0.9,), (0.9, 0.99, 0.999)])
def test_there_are_two_betas(make, betas):
    with pytest.raises(ValueError, match=f"{make.__name__}: expected two betas, got"):
        make(betas=betas)


@pytest.mark.parametrize("patterns", [(), ("",), (3,)])
def test_a_group_has_patterns(patterns):
    with pytest.raises(ValueError, match="Group: expected patterns of names"):
        Group(*patterns)
