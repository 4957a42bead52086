"""Learning rates that change: their values at the corners."""

import math

import pytest

from minidl.schedules import constant, cosine


def test_constant():
    assert [constant(0.3)(step) for step in (0, 7, 10**6)] == [0.3] * 3


@pytest.mark.parametrize(
    ("warmup", "step", "expected"),
    [
        (0, 0, 2.0),
        (0, 50, 1.0),
        (0, 25, 1 + math.cos(math.pi / 4)),
        (0, 100, 0.0),
        (0, 500, 0.0),  # it stays there
        (20, 0, 0.1),  # the first step is taken, not wasted at 0
        (20, 9, 1.0),
        (20, 19, 2.0),
        (20, 20, 2.0),
        (20, 60, 1.0),
        (20, 100, 0.0),
    ],
)
def test_cosine(warmup, step, expected):
    assert cosine(2.0, 100, warmup)(step) == pytest.approx(expected, abs=1e-12)


def test_cosine_never_rises_behind_its_warmup():
    rates = [cosine(1.0, 50, 10)(step) for step in range(60)]
    assert rates[:10] == sorted(rates[:10])
    assert rates[10:] == sorted(rates[10:], reverse=True)


@pytest.mark.parametrize(("steps", "warmup"), [(0, 0), (10, 10), (10, -1), (10, 11)])
def test_impossible_lengths(steps, warmup):
    with pytest.raises(ValueError, match="cosine: expected 0 <= warmup < steps"):
        cosine(1.0, steps, warmup)
