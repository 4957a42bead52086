// The three products of a dense layer, written by hand; cuBLAS computes the same, see gpu.py.
#include "tiles.cuh"

// sums (chunks, rows, columns); A_ALONG_K, B_ALONG_K: whether k runs along the rows that a and b have in memory
template <typename T, bool A_ALONG_K, bool B_ALONG_K>
__global__ void multiply(
    const T* a, const T* b, T* sums, int rows, int columns, int depth, int width_of_a, int width_of_b
) {
    const int chunk = blockIdx.z, chunks = gridDim.z;
    T* y = sums + chunk * rows * columns;
    multiply_tiles<T>(
        Matrix<T, A_ALONG_K>{a, width_of_a}, Matrix<T, B_ALONG_K>{b, width_of_b}, rows, columns,
        chunk_start(chunk, chunks, depth), chunk_start(chunk + 1, chunks, depth),
        [=](int row, int column, T sum) { y[row * columns + column] = sum; }
    );
}
