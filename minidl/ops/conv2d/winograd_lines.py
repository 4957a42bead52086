"""Winograd's transforms along one line of numbers, and in both directions of a tile.

Each of the five functions below multiplies a line of vectors by one constant matrix; winograd.py says what the matrices
are for. `m` is 4 or 2: how many outputs a tile has in each direction. A line starts at index `first` of a
one-dimensional array and goes on in steps of `step`.
"""

from numba import njit

from minidl.ops.simd import lanes, load, store


@njit
def image_line(m, source, s_first, s_step, target, t_first, t_step):
    """BT @ d: m + 2 pixels -> m + 2 products' left factors"""
    d0, d1 = load(source, s_first), load(source, s_first + s_step)
    d2, d3 = load(source, s_first + 2 * s_step), load(source, s_first + 3 * s_step)
    if m == 2:
        store(target, t_first, d0 - d2)
        store(target, t_first + t_step, d1 + d2)
        store(target, t_first + 2 * t_step, d2 - d1)
        store(target, t_first + 3 * t_step, d1 - d3)
    else:
        d4, d5 = load(source, s_first + 4 * s_step), load(source, s_first + 5 * s_step)
        even1, odd1 = d4 - 4.0 * d2, d3 - 4.0 * d1
        even2, odd2 = d4 - d2, 2.0 * (d3 - d1)
        store(target, t_first, 4.0 * d0 - 5.0 * d2 + d4)
        store(target, t_first + t_step, even1 + odd1)
        store(target, t_first + 2 * t_step, even1 - odd1)
        store(target, t_first + 3 * t_step, even2 + odd2)
        store(target, t_first + 4 * t_step, even2 - odd2)
        store(target, t_first + 5 * t_step, 4.0 * d1 - 5.0 * d3 + d5)


@njit
def filter_line(m, source, s_first, s_step, target, t_first, t_step):
    """G @ g: 3 taps -> m + 2 products' right factors"""
    g0, g1, g2 = load(source, s_first), load(source, s_first + s_step), load(source, s_first + 2 * s_step)
    if m == 2:
        even, odd = 0.5 * (g0 + g2), 0.5 * g1
        store(target, t_first, g0)
        store(target, t_first + t_step, even + odd)
        store(target, t_first + 2 * t_step, even - odd)
        store(target, t_first + 3 * t_step, g2)
    else:
        even1, odd1 = (-1 / 6) * (g0 + g2), (-1 / 6) * g1
        even2, odd2 = (1 / 24) * g0 + (1 / 6) * g2, (1 / 12) * g1
        store(target, t_first, 0.25 * g0)
        store(target, t_first + t_step, even1 + odd1)
        store(target, t_first + 2 * t_step, even1 - odd1)
        store(target, t_first + 3 * t_step, even2 + odd2)
        store(target, t_first + 4 * t_step, even2 - odd2)
        store(target, t_first + 5 * t_step, g2)


@njit
def output_line(m, source, s_first, s_step, target, t_first, t_step):
    """AT @ q: m + 2 products -> m outputs"""
    q0, q1 = load(source, s_first), load(source, s_first + s_step)
    q2, q3 = load(source, s_first + 2 * s_step), load(source, s_first + 3 * s_step)
    even1, odd1 = q1 + q2, q1 - q2
    if m == 2:
        store(target, t_first, q0 + even1)
        store(target, t_first + t_step, odd1 - q3)
    else:
        q4, q5 = load(source, s_first + 4 * s_step), load(source, s_first + 5 * s_step)
        even2, odd2 = q3 + q4, q3 - q4
        store(target, t_first, q0 + even1 + even2)
        store(target, t_first + t_step, odd1 + 2.0 * odd2)
        store(target, t_first + 2 * t_step, even1 + 4.0 * even2)
        store(target, t_first + 3 * t_step, odd1 + 8.0 * odd2 + q5)


@njit
def output_gradient_line(m, source, s_first, s_step, target, t_first, t_step):
    """A @ dy: m outputs' gradients -> those of m + 2 products; output_line backwards"""
    y0, y1 = load(source, s_first), load(source, s_first + s_step)
    if m == 2:
        store(target, t_first, y0)
        store(target, t_first + t_step, y0 + y1)
        store(target, t_first + 2 * t_step, y0 - y1)
        store(target, t_first + 3 * t_step, -1.0 * y1)
    else:
        y2, y3 = load(source, s_first + 2 * s_step), load(source, s_first + 3 * s_step)
        even1, odd1 = y0 + y2, y1 + y3
        even2, odd2 = y0 + 4.0 * y2, 2.0 * y1 + 8.0 * y3
        store(target, t_first, y0)
        store(target, t_first + t_step, even1 + odd1)
        store(target, t_first + 2 * t_step, even1 - odd1)
        store(target, t_first + 3 * t_step, even2 + odd2)
        store(target, t_first + 4 * t_step, even2 - odd2)
        store(target, t_first + 5 * t_step, y3)


@njit
def filter_gradient_line(m, source, s_first, s_step, target, t_first, t_step):
    """GT @ dw: m + 2 right factors' gradients -> those of 3 taps; filter_line backwards"""
    w0, w1 = load(source, s_first), load(source, s_first + s_step)
    w2, w3 = load(source, s_first + 2 * s_step), load(source, s_first + 3 * s_step)
    even1, odd1 = w1 + w2, w1 - w2
    if m == 2:
        store(target, t_first, w0 + 0.5 * even1)
        store(target, t_first + t_step, 0.5 * odd1)
        store(target, t_first + 2 * t_step, 0.5 * even1 + w3)
    else:
        w4, w5 = load(source, s_first + 4 * s_step), load(source, s_first + 5 * s_step)
        even2, odd2 = w3 + w4, w3 - w4
        store(target, t_first, 0.25 * w0 - (1 / 6) * even1 + (1 / 24) * even2)
        store(target, t_first + t_step, (1 / 12) * odd2 - (1 / 6) * odd1)
        store(target, t_first + 2 * t_step, (1 / 6) * (even2 - even1) + w5)


def _both_ways(line, sizes, results):
    """The transform of a tile, matrix @ tile @ matrix.T: `line` along every column, then along every row.

    Tiles of m = 4 and of m = 2 have `sizes` before and `results` behind. These numbers are known when the loops are
    compiled, which are then unrolled.
    """
    (size_4, size_2), (result_4, result_2) = sizes, results

    @njit
    def transform(m, source, s_first, s_down, s_across, between, target, t_first, t_down, t_across):
        """s_down and s_across are the source's distances between neighbours, t_down and t_across the target's;
        `between` has room for 36 vectors."""
        lane = lanes(source)
        if m == 4:
            for column in range(size_4):
                line(4, source, s_first + column * s_across, s_down, between, column * lane, size_4 * lane)
            for row in range(result_4):
                line(4, between, row * size_4 * lane, lane, target, t_first + row * t_down, t_across)
        else:
            for column in range(size_2):
                line(2, source, s_first + column * s_across, s_down, between, column * lane, size_2 * lane)
            for row in range(result_2):
                line(2, between, row * size_2 * lane, lane, target, t_first + row * t_down, t_across)

    return transform


image_transform = _both_ways(image_line, (6, 4), (6, 4))
filter_transform = _both_ways(filter_line, (3, 3), (6, 4))
output_transform = _both_ways(output_line, (6, 4), (4, 2))
output_gradient_transform = _both_ways(output_gradient_line, (4, 2), (6, 4))
filter_gradient_transform = _both_ways(filter_gradient_line, (6, 4), (3, 3))
