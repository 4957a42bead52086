"""Exponentials of rows are exact to the last digit or two, for any length and down to the smallest floats."""

import numpy as np
import pytest

from minidl.ops.exponentials import exponentials, largest_of
from minidl.ops.simd import lane_count

DTYPES = pytest.mark.parametrize("dtype", [np.float32, np.float64])
EDGES = [0, -1e-30, -0.34657, -0.34658, -1, -87, -88, -103, -103.9, -104.1, -700, -745, -746.1, -1e30, -np.inf]


def powers(x, largest=0):
    """exp(x - largest), and the sum."""
    y = np.full_like(x, 7)
    return y, exponentials(x, x.dtype.type(largest), y)


@DTYPES
def test_each_is_as_near_as_the_type_allows(dtype):
    x = np.concatenate([EDGES, -np.geomspace(1e-9, 750, 50_001)]).astype(dtype)
    y, _ = powers(x)
    exact = np.exp(x.astype(np.longdouble))
    info = np.finfo(dtype)
    spacing = np.maximum(info.eps * exact, info.smallest_subnormal)  # tiny floats have fewer digits
    assert np.max(np.abs(y - exact) / spacing) < 0.75
    assert y[0] == 1
    assert y[EDGES.index(-np.inf)] == 0


@DTYPES
def test_rows_of_any_length_and_nothing_beside_them(dtype):
    random, lane = np.random.default_rng(0), lane_count(np.dtype(dtype))
    for n in [1, 2, lane - 1, lane, lane + 1, 3 * lane + 5, 64 * lane, 64 * lane + 1, 129 * lane]:
        array = random.standard_normal(n + 2).astype(dtype)
        row, around = array[1:-1].copy(), np.full(n + 2 * lane, 7, dtype)
        total = exponentials(row, row.max(), around[lane:-lane])
        exact = np.exp((row - row.max()).astype(np.longdouble))
        np.testing.assert_allclose(around[lane:-lane], exact.astype(dtype), rtol=2 * np.finfo(dtype).eps)
        assert (around[:lane] == 7).all()
        assert (around[-lane:] == 7).all()
        assert total == pytest.approx(float(exact.sum()), rel=20 * float(np.finfo(dtype).eps))
        assert total == exponentials(row, row.max(), None)
        assert largest_of(row) == row.max()


@DTYPES
def test_a_sum_of_a_million_equal_numbers_loses_nothing(dtype):
    assert exponentials(np.zeros(2**20 + 1, dtype), dtype(0), None) == 2**20 + 1


@DTYPES
def test_nan_stays_where_it_is(dtype):
    y, total = powers(np.array([0, np.nan, -1], dtype))
    assert np.isnan(y).tolist() == [False, True, False]
    assert np.isnan(total)


@DTYPES
@pytest.mark.parametrize("place", [0, 5, 40, 99])
def test_the_largest_is_found_anywhere(dtype, place):
    row = -np.arange(1, 101, dtype=dtype)
    row[place] = -0.5
    assert largest_of(row) == -0.5
    assert largest_of(np.full(3, -np.inf, dtype)) == -np.inf
