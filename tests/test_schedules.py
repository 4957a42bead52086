"""Learning rates that change: their values at the corners."""

import math

import pytest

from minidl.schedules import constant, cosine, exponential, inverse, one_cycle, piecewise, warmed_up


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


@pytest.mark.parametrize(
    ("schedule", "rates"),
    [
        (exponential(0.4, decay=0.5, every=3), {0: 0.4, 2: 0.4, 3: 0.2, 5: 0.2, 6: 0.1}),
        (exponential(0.4, decay=0.5, every=1, lowest=0.15), {0: 0.4, 1: 0.2, 2: 0.15, 9: 0.15}),
        (inverse(0.6, decay=0.5), {0: 0.6, 1: 0.4, 2: 0.3, 4: 0.2}),
        (piecewise({0: 1.0, 10: 0.1, 20: 0.01}), {0: 1.0, 9: 1.0, 10: 0.1, 19: 0.1, 20: 0.01, 999: 0.01}),
        (warmed_up(piecewise({0: 2.0, 6: 0.2}), 4), {0: 0.5, 1: 1.0, 3: 2.0, 4: 2.0, 5: 2.0, 6: 0.2}),
        (one_cycle(1.0, 2, rise=0.5, start=10, end=100), {0: 1.0, 1: 0.001}),
        (one_cycle(1.0, 21, rise=0.5, start=10, end=100), {0: 0.1, 9.5: 1.0, 20: 0.001, 50: 0.001}),
    ],
)
def test_rates_at_the_corners(schedule, rates):
    assert {step: schedule(step) for step in rates} == pytest.approx(rates)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: exponential(1.0, every=0), "exponential: expected every of at least 1 step, got 0"),
        (lambda: piecewise({1: 0.1}), "piecewise: expected a rate from step 0 on"),
        (lambda: piecewise({}), "piecewise: expected a rate"),
        (lambda: warmed_up(constant(1.0), 0), "warmed_up: expected a warmup of at least 1 step, got 0"),
        (lambda: one_cycle(1.0, 10, rise=1.0), "one_cycle: expected a rise between 0 and 1"),
        (lambda: one_cycle(1.0, 1), "at least 2 steps, got 0.3 and 1"),
    ],
)
def test_refuses(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.torch
@pytest.mark.parametrize(("steps", "rise"), [(100, 0.3), (37, 0.45)])
def test_one_cycle_is_that_of_pytorch(steps, rise):
    torch = pytest.importorskip("torch")
    optimiser = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    theirs = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, 0.8, total_steps=steps, pct_start=rise, cycle_momentum=False
    )
    ours = one_cycle(0.8, steps, rise)
    for step in range(steps):
        assert ours(step) == pytest.approx(optimiser.param_groups[0]["lr"], rel=1e-9)
        optimiser.step()
        if step < steps - 1:
            theirs.step()
