"""BLAS: a dense layer is a matrix product and nothing else, and NumPy's library does those on all cores."""

from numpy.typing import NDArray


def forward(x: NDArray, weight: NDArray, bias: NDArray) -> NDArray:
    y: NDArray = x @ weight
    y += bias
    return y


def input_gradient(dy: NDArray, weight: NDArray) -> NDArray:
    return dy @ weight.T


def weight_gradient(dy: NDArray, x: NDArray) -> NDArray:
    return x.T @ dy
