"""What a chain computes together means what its layers mean one by one: Flux's law, for everything that is a layer.

    chain(x) == chain[k:](chain[:k](x))        for every k

Forward, gradients and running statistics, in training and in evaluation, recorded and not. Equal to the bit, but for
batch norm that evaluation makes a part of the convolution before it, which is rounded differently.
"""

import functools
import inspect
import itertools

import numpy as np
import pytest

import minidl
from minidl import (
    AdaptiveMaxPool,
    AdaptiveMeanPool,
    BatchNorm,
    Chain,
    Conv,
    ConvTranspose,
    Dense,
    Dropout,
    GlobalMaxPool,
    GlobalMeanPool,
    GroupNorm,
    Layer,
    LayerNorm,
    MaxPool,
    MeanPool,
    Parallel,
    SkipConnection,
    Tensor,
    Upsample,
    activations,
    check_gradients,
    flatten,
    grad,
    identity,
    no_grad,
    relu,
    tanh,
    training_mode,
    unfused,
)
from minidl import layers as public
from minidl.functions import add
from minidl.gradient_check import GradientError
from minidl.layers import fusion
from minidl.layers.fusion import RULES, plan
from minidl.modes import evaluation_mode, recording
from minidl.ops.conv2d.evaluation import conv2d_batch_norm
from minidl.summary import summarise
from minidl.tensor import record
from minidl.training.diagnosis import untouched

MODES = {
    "training": (True, True),  # recorded, in training
    "training, unrecorded": (False, True),
    "evaluation, recorded": (True, False),
    "evaluation": (False, False),
}
ROUNDING = 2e-6  # of a convolution that batch norm is a part of, relative to its largest number


@pytest.fixture(autouse=True)
def _same_weights():
    minidl.seed(0)


def varied(layer):
    """The layer with parameters and statistics that are neither 0 nor 1: batch norm's scales have both signs, and 0."""
    random = np.random.default_rng(1)
    for name, x in layer.tensors().items():
        if x.ndim == 1:
            x.array = random.uniform(0.5, 1.5, x.shape).astype(np.float32)
            if name.endswith(("scale", "mean", "bias")):
                x.array[1:] *= np.resize([-1, 0], x.size - 1)
    return layer


def conv(activation=identity, **options):
    return varied(Conv((3, 3), (3, 3), activation, pad=1, **options))


def norm(activation=identity, **options):
    return varied(BatchNorm(3, activation, **options))


PUBLIC = {  # each class that ships
    Conv: conv,
    ConvTranspose: lambda: ConvTranspose((3, 3), (3, 3), relu, pad=1),
    BatchNorm: norm,
    GroupNorm: lambda: GroupNorm(3, 1, relu),
    LayerNorm: lambda: LayerNorm(3),
    MaxPool: lambda: MaxPool(2),
    MeanPool: lambda: MeanPool(2),
    AdaptiveMaxPool: lambda: AdaptiveMaxPool((2, 2)),
    AdaptiveMeanPool: lambda: AdaptiveMeanPool((2, 2)),
    GlobalMaxPool: GlobalMaxPool,
    GlobalMeanPool: GlobalMeanPool,
    Upsample: lambda: Upsample(2),
    Dropout: lambda: Dropout(0.5),
    Dense: lambda: Dense(3, 3, relu),
    Chain: lambda: Chain(conv(), relu, norm()),
    Parallel: lambda: Parallel(add, conv(), relu),
    SkipConnection: lambda: SkipConnection(conv(), add),
}


def test_every_layer_that_ships_is_in_the_list():
    ship = {getattr(public, name) for name in public.__all__}
    layers = {thing for thing in ship if inspect.isclass(thing) and issubclass(thing, Layer)}
    assert layers - {Layer} == set(PUBLIC)


def mine(layer, *classes, **members):
    """The layer as an object of a class of the user's, which overrides `members`."""
    layer.__class__ = type("Mine", (*classes, type(layer)), members)
    return layer


def halved(make):
    """What `make` makes, but its class halves what comes out."""
    layer = make()
    kind = type(layer)
    return mine(layer, __call__=lambda self, *inputs: 0.5 * kind.__call__(self, *inputs))


KINDS = {kind.__name__: make for kind, make in PUBLIC.items()}
KINDS |= {f"half of {name}": functools.partial(halved, make) for name, make in KINDS.items()}
KINDS |= {"relu": lambda: relu, "flatten": lambda: flatten, "tanh": lambda: tanh}
CORE = {  # what the rules are about, and what looks like it
    **{name: KINDS[name] for name in ("Conv", "BatchNorm", "MaxPool", "relu")},
    **{name: KINDS[name] for name in ("half of Conv", "half of BatchNorm", "half of MaxPool")},
    "Conv(relu)": lambda: conv(relu),
    "Conv(a function like relu)": lambda: conv(lambda x: relu(x)),
    "BatchNorm(relu)": lambda: norm(relu),
    "another pool": lambda: MaxPool(2, stride=1),
    "a function like relu": lambda: lambda x: relu(x),
}


def images(kind="plain"):
    """A batch (n, h, w, 3), odd in height and width. No number is met twice, or all that is awkward is there."""
    x = np.random.default_rng(2).standard_normal((2, 5, 7, 3)).astype(np.float32)
    if kind == "awkward":
        x[0] = np.round(x[0])  # ties
        x[0, 1, 1], x[1, 2, 3, 0], x[1, 0, 0, 1], x[1, 4] = np.nan, np.inf, -np.inf, -0.0
    return {"one": x[:1], "empty": x[:0], "zeros": np.full((2, 4, 4, 3), -0.0, np.float32)}.get(kind, x)


def results(model, chain, x, mode, backend="cpu"):
    """What model(x) gives: its numbers, gradients and statistics, or the type of its error."""
    recorded, training = MODES[mode]
    x = Tensor(x, backend, requires_grad=True)
    for layer in chain.layers_inside():
        if isinstance(layer, Dropout):
            layer.outside.masks = 0
    with untouched(chain), np.errstate(all="ignore"):
        try:
            with recording(recorded), training_mode(3) if training else evaluation_mode():
                y = model(x)
        except (ValueError, TypeError) as error:
            return [type(error)]
        numbers = [y.numpy()]
        if y.requires_grad:
            dy = np.random.default_rng(3).standard_normal(y.shape).astype(np.float32)
            numbers += [dx.numpy() for dx in grad((y * Tensor(dy, backend)).sum(), [x, *chain.params().values()])]
        return [*numbers, *(tensor.numpy() for tensor in chain.tensors().values())]


def one_by_one(chain):
    def run(x):
        with unfused():
            return functools.reduce(lambda y, layer: layer(y), chain.layers, x)

    return run


def cut(chain, k):
    return lambda x: chain[k:](chain[:k](x))


def steps_of(layers, mode):
    recorded, training = MODES[mode]
    with training_mode() if training else evaluation_mode():
        return [(step.compute, layers[step.start : step.end]) for step in plan(layers, recorded)]


def is_rounded(chain, mode):
    """Whether a batch norm becomes a part of the convolution before it, somewhere inside."""
    chains = [layer for layer in chain.layers_inside() if isinstance(layer, Chain)]
    steps = [inside for inner in chains for _, inside in steps_of(inner.layers, mode)]
    return any(type(inside[0]) is Conv and any(type(x) is BatchNorm for x in inside) for inside in steps)


def assert_same(came, expected, rounded, where):
    assert len(came) == len(expected), where
    for a, b in zip(came, expected, strict=True):
        if isinstance(b, type):
            assert a is b, where
            continue
        if not rounded:
            np.testing.assert_array_equal(a, b, err_msg=where)
            np.testing.assert_array_equal(np.signbit(a[a == a]), np.signbit(b[b == b]), err_msg=where)  # -0.0
        else:
            largest = np.abs(b[np.isfinite(b)]).max(initial=1)
            np.testing.assert_allclose(a, b, rtol=0, atol=ROUNDING * largest, err_msg=where)


def assert_law(chain, x, mode, where="", backend="cpu"):
    expected = results(one_by_one(chain), chain, x, mode, backend)
    rounded = backend == "gpu" or is_rounded(chain, mode)
    for model in (chain, *(cut(chain, k) for k in range(1, len(chain)))):
        assert_same(results(model, chain, x, mode, backend), expected, rounded, f"{where}, {mode}")


@pytest.mark.parametrize("first", KINDS)
def test_pairs_of_all_layers(first):
    for second, make in KINDS.items():
        chain = Chain(KINDS[first](), make())
        for mode in ("training", "evaluation"):
            assert_law(chain, images(), mode, f"{first}, {second}")


@pytest.mark.parametrize("first", CORE)
def test_triples_of_layers_that_rules_are_about(first):
    for names in itertools.product([first], CORE, CORE):
        chain = Chain(*(CORE[name]() for name in names))
        for mode in MODES:
            if mode == "evaluation" or any(len(inside) > 1 for _, inside in steps_of(chain.layers, mode)):
                assert_law(chain, images(), mode, ", ".join(names))


def test_of_all_triples_only_what_is_known_exactly_is_fused():
    made = {name: make() for name, make in (KINDS | CORE).items()}
    for layers in itertools.product(made.values(), repeat=3):
        for compute, inside in steps_of(layers, "evaluation"):
            if len(inside) == 1:
                assert compute is inside[0]
            else:
                assert all(x is relu or type(x) in (Conv, BatchNorm, MaxPool) for x in inside)


FUSED = {  # what a rule is about, in all its forms
    "conv, relu": lambda: [conv(), relu],
    "conv, relu, pool": lambda: [conv(stride=2), relu, MaxPool(2)],
    "conv with relu, pool": lambda: [conv(relu), MaxPool((2, 2))],
    "conv without bias, relu, pool": lambda: [conv(bias=False), relu, MaxPool(2, pad=(0, 0), stride=(2, 2))],
    "norm, relu": lambda: [norm(), relu],
    "conv, norm": lambda: [conv(groups=3), norm(), tanh],
    "conv, norm, relu": lambda: [conv(dilation=2), norm(eps=0.1), relu],
    "conv, norm with relu": lambda: [conv(bias=False), norm(relu)],
    "conv, norm, relu, pool": lambda: [conv(), norm(), relu, MaxPool(2)],
    "conv, norm with relu, pool": lambda: [conv(), norm(relu), MaxPool(2), relu],
    "norm that keeps its statistics": lambda: [conv(), norm(active=False), relu],
    "norm that always uses its batch": lambda: [conv(), norm(active=True), relu],
}


@pytest.mark.parametrize(
    ("layers", "recorded", "evaluation"),
    [  # how many layers each step has
        ([conv(), relu, MaxPool(2)], [3], [3]),
        ([conv(relu), relu, MaxPool(2)], [1, 1, 1], [1, 1, 1]),
        ([conv(), relu, MaxPool(2, stride=1)], [2, 1], [2, 1]),
        ([conv(), MaxPool(2)], [1, 1], [1, 1]),
        ([relu, conv(), relu, conv(relu), MaxPool(2), norm(), relu], [1, 2, 2, 2], [1, 2, 2, 2]),
        ([conv(), norm(), relu, MaxPool(2)], [1, 2, 1], [4]),
        ([conv(), norm(relu), MaxPool(2)], [1, 1, 1], [3]),
        ([conv(), norm(relu), relu, MaxPool(2)], [1, 1, 1, 1], [2, 1, 1]),
        ([conv(), norm(), MaxPool(2)], [1, 1, 1], [2, 1]),
        ([conv(), norm(tanh), MaxPool(2)], [1, 1, 1], [1, 1, 1]),
        ([conv(relu), norm(), relu], [1, 2], [1, 2]),
        ([conv(), norm(), conv(), norm()], [1, 1, 1, 1], [2, 2]),
        ([conv(), relu, mine(MaxPool(2))], [2, 1], [2, 1]),
        ([], [], []),
    ],
)
def test_the_longest_rule_is_taken(layers, recorded, evaluation):
    for mode in MODES:
        expected = evaluation if mode == "evaluation" else recorded
        assert [len(inside) for _, inside in steps_of(layers, mode)] == expected, mode
    with unfused():
        assert [len(inside) for _, inside in steps_of(layers, "evaluation")] == [1] * len(layers)


def test_every_rule_has_an_example():
    steps = [compute for make in FUSED.values() for mode in MODES for compute, _ in steps_of(make(), mode)]
    used = {compute.func for compute in steps if isinstance(compute, functools.partial)}
    assert used == set(RULES.values())


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("backend", ["reference", "cpu"])
@pytest.mark.parametrize("kind", ["plain", "awkward", "one", "empty", "zeros"])
def test_fused_layers_keep_the_law_for_awkward_images(kind, backend, mode):
    for name, make in FUSED.items():
        assert_law(Chain(*make()).to(backend), images(kind), mode, name, backend)


@pytest.mark.parametrize("mode", MODES)
def test_a_layer_may_stand_at_two_places(mode):
    for name, make in FUSED.items():
        layers = make()
        assert_law(Chain(*layers, *layers), images(), mode, name)


@pytest.mark.gpu
@pytest.mark.parametrize("mode", ["training", "evaluation"])
@pytest.mark.parametrize("name", ["conv, relu, pool", "norm, relu", "conv, norm, relu, pool"])
def test_fused_layers_keep_the_law_on_a_gpu(name, mode):
    assert_law(Chain(*FUSED[name]()).to("gpu"), images(), mode, name, "gpu")


@pytest.mark.parametrize("mode", ["training", "evaluation"])
@pytest.mark.parametrize("channels", [3, 64], ids=["few channels", "Winograd"])
def test_the_law_holds_at_the_size_of_a_network(channels, mode):
    chain = Chain(varied(Conv((3, 3), (channels, 64), pad=1)), varied(BatchNorm(64)), relu, MaxPool(2))
    x = np.random.default_rng(0).standard_normal((4, 32, 32, channels)).astype(np.float32)
    for _ in range(2):
        assert_law(chain, x, mode)
        assert_law(chain[::2], x, mode)  # without batch norm
        x[0, 3, 4], x[1, 5, 6, 0], x[2, 20, 20, 1], x[3] = np.nan, np.inf, -np.inf, np.round(x[3])


@pytest.mark.parametrize(("offset", "bias"), [(0, 0), (0, 1e4), (1e4, 0), (1e4, -1e4)])
def test_batch_norm_in_a_convolution_is_as_exact_as_after_it(offset, bias):
    """Also where sums and their mean are large, and what is left of them small: each is rounded at other places."""
    x = offset + np.random.default_rng(0).standard_normal((2, 16, 16, 3)).astype(np.float32)
    layers = [Conv((3, 3), (3, 8)), BatchNorm(8)]
    layers[0].bias.array = np.full(8, bias, np.float32)
    layers[1].mean.array = layers[0](x).mean((0, 1, 2)).array
    with no_grad():
        apart, together = one_by_one(Chain(*layers))(Tensor(x)).numpy(), Chain(*layers)(x).numpy()
        exact = one_by_one(Chain(*layers).to("reference", "float64"))(Tensor(x.astype(float), "reference")).numpy()
    assert np.abs(together - exact).max() <= 1.5 * np.abs(apart - exact).max()


# Classes and functions of the user's ----------------------------------------------------------------------------------


class Loud:
    """A class beside minidl's, which comes first."""

    def __call__(self, x):
        return 3 * super().__call__(x)


class Square:
    """A function that cannot be a key, and says that it is equal to anything."""

    __hash__ = None

    def __eq__(self, other):
        return True

    def __call__(self, x):
        return x * x


OVERRIDDEN = {
    "Conv.__call__": lambda: [halved(conv), relu, MaxPool(2)],
    "Conv.__call__ from a second class": lambda: [mine(conv(), Loud), relu],
    "Conv._compute": lambda: [mine(conv(), _compute=lambda self, function, x: x * x), norm(), relu],
    "Conv._sizes": lambda: [mine(conv(), _sizes=lambda self: (2, 1, 1, 1)), relu, MaxPool(2)],
    "Conv.activation": lambda: [mine(conv(), activation=property(lambda self: tanh)), relu],
    "MaxPool.__call__": lambda: [conv(), relu, mine(MaxPool(2), __call__=lambda self, x: 0.5 * x)],
    "MaxPool._windows": lambda: [conv(), relu, mine(MaxPool(2), _windows=lambda self: (1, 1, 0))],
    "BatchNorm.__call__": lambda: [halved(norm), relu],
    "BatchNorm.__call__ after conv": lambda: [conv(), mine(norm(), __call__=lambda self, x: x + 1), relu],
    "BatchNorm._compute": lambda: [conv(), mine(norm(), _compute=lambda self, activation, x: x * x), relu],
    "BatchNorm.uses_batch": lambda: [conv(), mine(norm(), uses_batch=property(lambda self: True)), relu],
    "a function like relu": lambda: [conv(), norm(), lambda x: relu(x) - 1, MaxPool(2)],
    "an activation like relu": lambda: [conv(lambda x: relu(x) - 1), MaxPool(2)],
    "an activation like identity": lambda: [norm(lambda x: -x), relu],
    "an activation that is equal to all": lambda: [conv(Square()), norm(Square()), Square(), MaxPool(2)],
    "a function that is equal to all": lambda: [conv(), Square(), MaxPool(2)],
}


@pytest.mark.parametrize("name", OVERRIDDEN)
def test_what_a_class_of_the_users_does_is_what_a_chain_does(name):
    for mode in MODES:
        assert_law(Chain(*OVERRIDDEN[name]()), images(), mode, name)


@pytest.mark.parametrize("make", PUBLIC.values(), ids=[kind.__name__ for kind in PUBLIC])
def test_what_is_shown_has_the_name_of_the_users_class(make):
    layer = mine(make())
    assert layer.code().startswith("Mine(")
    assert repr(layer).startswith("Mine(")
    assert "\n  Mine(" in repr(Chain(layer))


def test_a_method_that_is_replaced_is_called(monkeypatch):
    chain, calls = Chain(conv(), norm(), relu, MaxPool(2)), []
    for kind in (Conv, BatchNorm, MaxPool):
        original = kind.__call__
        monkeypatch.setattr(
            kind, "__call__", lambda self, x, original=original: calls.append(self) or original(self, x)
        )
    with no_grad():
        chain(images())
    assert calls == [chain[0], chain[1], chain[3]]


def test_a_plan_follows_what_is_changed_between_two_calls():
    chain, x = Chain(conv(), norm(), relu, MaxPool(2)), images()
    assert_law(chain, x, "evaluation")
    chain[1].active = True
    assert_law(chain, x, "evaluation")
    chain[0].activation, chain[3].stride = tanh, 1
    assert_law(chain, x, "evaluation")
    chain.layers[1:] = [lambda y: chain.layers.append(relu) or y]  # while it is called
    with no_grad():
        assert chain(x).numpy().min() == 0


def test_a_gradient_check_sees_the_users_class():
    def wrong(self, x):
        y = Conv.__call__(self, x)
        return record(y.array * 2, (y,), lambda dy: (3 * dy,))

    x = images()[:, :3, :3].astype(float)
    with minidl.use_backend("reference"):
        assert (
            check_gradients(Chain(mine(conv(), __call__=lambda self, x: 2 * Conv.__call__(self, x)), tanh), [x]) < 1e-6
        )
        with pytest.raises(GradientError):
            check_gradients(Chain(mine(conv(), __call__=wrong), relu), [x + 9])


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("wrong", ["dtype", "backend", "channels"])
def test_layers_that_do_not_fit_are_refused_whether_fused_or_not(wrong, mode):
    chain = Chain(conv(), BatchNorm(4) if wrong == "channels" else norm(), relu)
    chain[1].to("reference" if wrong == "backend" else None, "float64" if wrong == "dtype" else None)
    assert results(chain, chain, images(), mode) == [TypeError if wrong == "dtype" else ValueError]
    assert_law(chain, images(), mode)


# Readers --------------------------------------------------------------------------------------------------------------


def names_of_functions(y):
    names = []
    while y._op:
        names.append(y._op)
        y = y._inputs[0]
    return names[::-1]


def test_unfused_shows_every_function():
    layers = [conv(), relu, MaxPool(2), conv(relu), norm(relu), norm(), relu]
    x = Tensor(images(), requires_grad=True)
    apart = ["conv2d", "relu", "max_pool2d", "conv2d", "relu", "normalise", "relu", "normalise", "relu"]
    assert names_of_functions(Chain(*layers)(x)) == ["conv2d_relu_max_pool2d", "conv2d_relu", "normalise", "normalise"]
    with unfused():
        assert names_of_functions(Chain(*layers)(x)) == apart
        assert names_of_functions(Chain(Chain(*layers))(x)) == apart
        with training_mode():
            assert names_of_functions(norm(relu)(x)) == ["batch_norm", "relu"]
    assert len(names_of_functions(Chain(*layers)(x))) == 4  # closed again


@pytest.mark.parametrize("name", FUSED)
def test_a_summary_counts_what_training_computes_together(name):
    layers = FUSED[name]()
    rows = summarise(Chain(*layers), (8, 8, 3)).rows[1:]
    kept = [inside[-1] for _, inside in steps_of(layers, "training")]
    for layer, row in zip(layers, rows, strict=True):
        assert (row.activation_bytes > 0) == any(layer is x for x in kept), row.name
    with unfused():
        assert all(row.activation_bytes > 0 for row in summarise(Chain(*layers), (8, 8, 3)).rows)


def test_a_summary_of_the_users_classes_shows_what_these_do():
    strided = mine(Chain(conv()), __call__=lambda self, x: Chain.__call__(self, x)[:, ::2])
    model = Chain(mine(conv(), __call__=lambda self, x: Conv.__call__(self, x)[:, ::2]), relu, strided, MaxPool(2))
    rows = summarise(model, (8, 8, 3)).rows[1:]
    assert [row.output_shape[1:] for row in rows] == [(4, 8, 3), (4, 8, 3), (2, 8, 3), (1, 4, 3)]
    assert [row.multiply_adds for row in rows] == [None, 0, None, 0]
    assert all(row.activation_bytes > 0 for row in rows)
    only_made_otherwise = summarise(Chain(mine(Chain(conv(), relu), __init__=lambda self: None)), (8, 8, 3))
    assert only_made_otherwise.total.multiply_adds == 8 * 8 * 3 * 3 * 3 * 3


# Errors ---------------------------------------------------------------------------------------------------------------


def raising(error):
    def run(*_, **__):
        raise error

    return run


@pytest.mark.parametrize("error", [ValueError("no"), ZeroDivisionError("no"), MemoryError("no"), NotImplementedError()])
def test_any_error_of_fused_layers_names_them(monkeypatch, error):
    inner = Chain(conv(), norm(), relu, MaxPool(2))
    monkeypatch.setattr(fusion, "conv2d_batch_norm", raising(error))
    with no_grad(), pytest.raises(type(error)) as caught:
        Chain(identity, inner)(images())
    layers, shape = "Conv((3, 3), (3, 3), pad=1), BatchNorm(3), relu, MaxPool(2)", "a tensor of shape (2, 5, 7, 3)"
    assert caught.value.__notes__ == [
        f"in layers 0-3 of the Chain: {layers}, given {shape}",
        f"in layer 1 of the Chain, Chain({layers}), given {shape}",
    ]


def test_no_layer_is_called_again_after_an_error():
    calls = []
    first = mine(conv(), __call__=lambda self, x: calls.append(self) or Conv.__call__(self, x))
    chain = Chain(first, norm(), relu, conv(), relu, MaxPool(9))
    with (
        training_mode(),
        untouched(chain),
        pytest.raises(ValueError, match="does not fit into the padded image") as caught,
    ):
        chain(images())
    assert len(calls) == 1
    assert caught.value.__notes__[0].startswith("in layer 5 of the Chain, MaxPool(9), given")


def test_a_layer_that_cannot_even_be_named_keeps_its_error():
    broken = conv()
    del broken.weight
    with pytest.raises(AttributeError) as caught:
        Chain(identity, broken, relu)(images())
    assert caught.value.__notes__ == ["in layers 1-2 of the Chain: Conv, relu, given a tensor of shape (2, 5, 7, 3)"]


def test_what_is_no_error_of_a_layer_passes_as_it_is(monkeypatch):
    monkeypatch.setattr(fusion, "conv2d_batch_norm", raising(KeyboardInterrupt()))
    with no_grad(), pytest.raises(KeyboardInterrupt) as caught:
        Chain(conv(), norm())(images())
    assert not hasattr(caught.value, "__notes__")


def test_unfused_finds_the_layer_of_an_error():
    chain = Chain(conv(), BatchNorm(4, relu))
    with no_grad(), pytest.raises(ValueError, match=r"expected mean, variance, scale and shift \(3,\)") as caught:
        chain(images())
    assert caught.value.__notes__[0].startswith("in layers 0-1 of the Chain: Conv(")
    with no_grad(), unfused(), pytest.raises(ValueError, match=r"BatchNorm: expected x \(..., 4\), got") as caught:
        chain(images())
    assert caught.value.__notes__[0].startswith("in layer 1 of the Chain, BatchNorm(4, relu), given")


def test_activations_are_those_of_each_layer_by_itself():
    chain = Chain(conv(), norm(), relu, MaxPool(2))
    with no_grad():
        for y, k in zip(activations(chain, images()), range(1, 5), strict=True):
            np.testing.assert_allclose(y.numpy(), chain[:k](images()).numpy(), atol=1e-6)


def test_convolution_with_batch_norm_is_refused_where_gradients_are_wanted():
    with pytest.raises(RuntimeError, match=r"has no gradients; call it inside no_grad\(\)"):
        conv2d_batch_norm([], [], None, 1, 0, 1, 1, ([], []), [], [], 1e-5, True, False)
