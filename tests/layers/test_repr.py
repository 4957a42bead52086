"""Printed layers: Flux's columns and words, and text that makes the same network when Python reads it."""

import numpy as np
import pytest

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
    LayerNorm,
    MaxPool,
    MeanPool,
    Parallel,
    SamePad,
    SkipConnection,
    Upsample,
    flatten,
    functions,
    layers,
    models,
    relu,
    softmax,
    tanh,
)
from minidl.functions import add

NESTED = """\
Chain(
  Conv((3, 3), (3, 8), relu, stride=(1, 1), pad=(1, 1)),  # 224 parameters
  BatchNorm(8),                         # 16 parameters, plus 16
  SkipConnection(
    Chain(
      Conv((3, 3), (8, 8), pad=1),      # 584 parameters
      relu,
    ),
    add,
  ),
  MaxPool((2, 2)),
  flatten,
  Dense(128, 10),                       # 1_290 parameters
  softmax,
)         # Total: 8 trainable arrays, 2_114 parameters,
          # plus 2 non-trainable, 16 parameters, 8.320 KiB."""


def of_all_kinds():
    """A layer of each kind that nested() has not."""
    branches = Parallel(add, Conv((1, 1), (8, 8)), Chain(GroupNorm(8, 2, relu), Conv((3, 3), (8, 8), pad=SamePad())))
    return Chain(
        ConvTranspose((2, 2), (3, 8), stride=2), branches, Upsample(2), AdaptiveMeanPool((2, 2)), LayerNorm((2, 2, 8)),
        MeanPool(2), Dropout(0.1, active=True), GlobalMaxPool(), AdaptiveMaxPool((1, 1)), GlobalMeanPool(), flatten,
    )  # fmt: skip


def nested():
    return Chain(
        Conv((3, 3), (3, 8), relu, pad=(1, 1), stride=(1, 1)),
        BatchNorm(8),
        SkipConnection(Chain(Conv((3, 3), (8, 8), pad=1), relu), add),
        MaxPool((2, 2)),
        flatten,
        Dense(128, 10),
        softmax,
    )


def test_branches_are_opened():
    assert repr(Chain(Parallel(add, Dense(2, 3), Chain(relu, Dense(2, 3))))) == (
        "Chain(\n"
        "  Parallel(\n"
        "    add,\n"
        "    Dense(2, 3),                        # 9 parameters\n"
        "    Chain(\n"
        "      relu,\n"
        "      Dense(2, 3),                      # 9 parameters\n"
        "    ),\n"
        "  ),\n"
        ")                   # Total: 4 arrays, 18 parameters, 72 bytes."
    )


def test_nested_with_untrained_parameters():
    assert repr(nested()) == NESTED


def test_only_trained_parameters():
    """As in Flux's documentation, with => written as a comma: the # of the total stands in column 20."""
    assert repr(Chain(Dense(10, 5, tanh), Dense(5, 2))) == (
        "Chain(\n"
        "  Dense(10, 5, tanh),                   # 55 parameters\n"
        "  Dense(5, 2),                          # 12 parameters\n"
        ")                   # Total: 4 arrays, 67 parameters, 268 bytes."
    )


@pytest.mark.parametrize(
    ("model", "text"),
    [
        (Chain(relu), "Chain(\n  relu,\n)"),
        (Chain(Dense(2, 3)), "Chain(\n  Dense(2, 3),                          # 9 parameters\n)"),
        (Chain(), "Chain(\n)"),
    ],
    ids=["function", "two arrays", "empty"],
)
def test_up_to_two_arrays_have_no_total(model, text):
    assert repr(model) == text


@pytest.mark.parametrize(
    ("layer", "text"),
    [
        (Dense(2, 3), "Dense(2, 3)         # 9 parameters"),
        (Dense(2000, 300, bias=False), "Dense(2000, 300, bias=False)  # 600_000 parameters"),
        (BatchNorm(4, relu), "BatchNorm(4, relu)  # 8 parameters, plus 8 non-trainable"),
        (BatchNorm(4, eps=1e-3), "BatchNorm(4, eps=0.001)  # 8 parameters, plus 8 non-trainable"),
        (Conv((1, 1), (4, 6), groups=2, dilation=2), "Conv((1, 1), (4, 6), dilation=2, groups=2)  # 18 parameters"),
        (MaxPool((2, 2), stride=1), "MaxPool((2, 2), stride=1)"),
        (MeanPool(3, pad=1), "MeanPool(3, pad=1)"),
        (GlobalMeanPool(), "GlobalMeanPool()"),
        (Dropout(0.5), "Dropout(0.5)"),
        (Dropout(0.5, active=False), "Dropout(0.5, active=False)"),
        (BatchNorm(4, active=True), "BatchNorm(4, active=True)  # 8 parameters, plus 8 non-trainable"),
        (Conv((3, 3), (1, 2), pad=SamePad()), "Conv((3, 3), (1, 2), pad=SamePad())  # 20 parameters"),
        (
            ConvTranspose((2, 3), (4, 6), relu, groups=2),
            "ConvTranspose((2, 3), (4, 6), relu, groups=2)  # 78 parameters",
        ),
        (AdaptiveMaxPool((2, 3)), "AdaptiveMaxPool((2, 3))"),
        (AdaptiveMeanPool((1, 1)), "AdaptiveMeanPool((1, 1))"),
        (GlobalMaxPool(), "GlobalMaxPool()"),
        (GroupNorm(6, 2, relu), "GroupNorm(6, 2, relu)  # 12 parameters"),
        (LayerNorm(3), "LayerNorm(3)        # 6 parameters"),
        (LayerNorm((2, 3), eps=0.1), "LayerNorm((2, 3), eps=0.1)  # 12 parameters"),
        (Upsample(2), "Upsample(2)"),
        (Upsample(3, "bilinear"), "Upsample(3, mode='bilinear')"),
    ],
    ids=lambda value: "" if isinstance(value, str) else type(value).__name__,
)
def test_a_layer_alone(layer, text):
    assert repr(layer) == text


@pytest.mark.parametrize(
    ("weight", "flag"), [(0, "  (all zero)"), (np.nan, "  (some NaN)"), (np.inf, "  (some Inf)"), (1, "")]
)
def test_numbers_that_look_wrong_are_pointed_out(weight, flag):
    model = Chain(Dense(1, 1))
    model[0].weight.array = np.full((1, 1), weight, np.float32)
    assert repr(model).splitlines()[1] == "  Dense(1, 1),                          # 2 parameters" + flag


@pytest.mark.parametrize(
    "make", [nested, of_all_kinds, models.vgg11, models.article_flux], ids=lambda make: make.__name__
)
def test_the_text_is_code_that_makes_the_same_network(make):
    model = make()
    names = {name: getattr(module, name) for module in (functions, layers) for name in module.__all__}
    again = eval(repr(model), names)  # our own text
    assert repr(again) == repr(model)
    assert {name: x.shape for name, x in again.tensors().items()} == {n: x.shape for n, x in model.tensors().items()}
