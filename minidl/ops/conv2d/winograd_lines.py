"""Winograd's transforms along one line of numbers, and in both directions of a tile.

Each of the five functions below multiplies a line of vectors by one constant matrix; winograd.py says what the matrices
are for. `size` is 6, 4 or 3: how many products a line takes, for 4 outputs, for 2, or for 2 with zeros on both sides. A
line starts at index `first` of a one-dimensional array and goes on in steps of `step`.
"""

from numba import njit

from minidl.ops.simd import lanes, load, store


@njit(no_cfunc_wrapper=True)
def image_line(size, source, s_first, s_step, target, t_first, t_step):
    """BT @ d: pixels -> products' left factors"""
    d0, d1 = load(source, s_first), load(source, s_first + s_step)
    if size == 3:
        store(target, t_first, d0 + d1)
        store(target, t_first + t_step, d1)
        store(target, t_first + 2 * t_step, d0)
        return
    d2, d3 = load(source, s_first + 2 * s_step), load(source, s_first + 3 * s_step)
    if size == 4:
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


@njit(no_cfunc_wrapper=True)
def filter_line(size, source, s_first, s_step, target, t_first, t_step):
    """G @ g: 3 taps -> products' right factors"""
    g0, g1, g2 = load(source, s_first), load(source, s_first + s_step), load(source, s_first + 2 * s_step)
    if size == 3:
        store(target, t_first, g1)
        store(target, t_first + t_step, g2 - g1)
        store(target, t_first + 2 * t_step, g0 - g1)
    elif size == 4:
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


@njit(no_cfunc_wrapper=True)
def output_line(size, source, s_first, s_step, target, t_first, t_step):
    """AT @ q: products -> outputs"""
    q0, q1, q2 = load(source, s_first), load(source, s_first + s_step), load(source, s_first + 2 * s_step)
    if size == 3:
        store(target, t_first, q0 + q1)
        store(target, t_first + t_step, q0 + q2)
        return
    q3, even1, odd1 = load(source, s_first + 3 * s_step), q1 + q2, q1 - q2
    if size == 4:
        store(target, t_first, q0 + even1)
        store(target, t_first + t_step, odd1 - q3)
    else:
        q4, q5 = load(source, s_first + 4 * s_step), load(source, s_first + 5 * s_step)
        even2, odd2 = q3 + q4, q3 - q4
        store(target, t_first, q0 + even1 + even2)
        store(target, t_first + t_step, odd1 + 2.0 * odd2)
        store(target, t_first + 2 * t_step, even1 + 4.0 * even2)
        store(target, t_first + 3 * t_step, odd1 + 8.0 * odd2 + q5)


@njit(no_cfunc_wrapper=True)
def output_gradient_line(size, source, s_first, s_step, target, t_first, t_step):
    """A @ dy: outputs' gradients -> those of products; output_line backwards"""
    y0, y1 = load(source, s_first), load(source, s_first + s_step)
    if size == 3:
        store(target, t_first, y0 + y1)
        store(target, t_first + t_step, y0)
        store(target, t_first + 2 * t_step, y1)
    elif size == 4:
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


@njit(no_cfunc_wrapper=True)
def filter_gradient_line(size, source, s_first, s_step, target, t_first, t_step):
    """GT @ dw: right factors' gradients -> those of 3 taps; filter_line backwards"""
    w0, w1, w2 = load(source, s_first), load(source, s_first + s_step), load(source, s_first + 2 * s_step)
    if size == 3:
        store(target, t_first, w2)
        store(target, t_first + t_step, w0 - w1 - w2)
        store(target, t_first + 2 * t_step, w1)
        return
    w3, even1, odd1 = load(source, s_first + 3 * s_step), w1 + w2, w1 - w2
    if size == 4:
        store(target, t_first, w0 + 0.5 * even1)
        store(target, t_first + t_step, 0.5 * odd1)
        store(target, t_first + 2 * t_step, 0.5 * even1 + w3)
    else:
        w4, w5 = load(source, s_first + 4 * s_step), load(source, s_first + 5 * s_step)
        even2, odd2 = w3 + w4, w3 - w4
        store(target, t_first, 0.25 * w0 - (1 / 6) * even1 + (1 / 24) * even2)
        store(target, t_first + t_step, (1 / 12) * odd2 - (1 / 6) * odd1)
        store(target, t_first + 2 * t_step, (1 / 6) * (even2 - even1) + w5)


def _both_ways(name, line, before, behind):
    """The transform of a tile, matrix @ tile @ matrix.T: `line` along every column, then along every row.

    Each has a name of its own. Machine code in the cache calls functions by their names, and of two with one name, from
    two processes that compiled different kernels, a third process would take either for both.

    For 6, 4 and 3 products in a line, tiles have the sides `before` it and `behind` it. These numbers are known when
    the loops are compiled, which are then unrolled.
    """
    (before_6, before_4, before_3), (behind_6, behind_4, behind_3) = before, behind

    def transform(size, source, s_first, s_down, s_across, between, target, t_first, t_down, t_across, count):
        """Of so many tiles side by side in memory, a vector of them at a time: s_down and s_across are the source's
        distances between neighbours in a tile, t_down and t_across the target's; `between` has room for 36 vectors."""
        lane = lanes(source)
        for first in range(0, count, lane):
            s, t = s_first + first, t_first + first
            if size == 6:
                for column in range(before_6):
                    line(6, source, s + column * s_across, s_down, between, column * lane, before_6 * lane)
                for row in range(behind_6):
                    line(6, between, row * before_6 * lane, lane, target, t + row * t_down, t_across)
            elif size == 4:
                for column in range(before_4):
                    line(4, source, s + column * s_across, s_down, between, column * lane, before_4 * lane)
                for row in range(behind_4):
                    line(4, between, row * before_4 * lane, lane, target, t + row * t_down, t_across)
            else:
                for column in range(before_3):
                    line(3, source, s + column * s_across, s_down, between, column * lane, before_3 * lane)
                for row in range(behind_3):
                    line(3, between, row * before_3 * lane, lane, target, t + row * t_down, t_across)

    transform.__name__ = transform.__qualname__ = name
    return njit(no_cfunc_wrapper=True)(transform)


image_transform = _both_ways("image_transform", image_line, (6, 4, 2), (6, 4, 3))
filter_transform = _both_ways("filter_transform", filter_line, (3, 3, 3), (6, 4, 3))
output_transform = _both_ways("output_transform", output_line, (6, 4, 3), (4, 2, 2))
output_gradient_transform = _both_ways("output_gradient_transform", output_gradient_line, (4, 2, 2), (6, 4, 3))
filter_gradient_transform = _both_ways("filter_gradient_transform", filter_gradient_line, (6, 4, 3), (3, 3, 3))
