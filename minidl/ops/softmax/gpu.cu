// A warp for each row of scores, blocks of 32 x 8 threads: lane x of a warp has the classes x, x + 32, ...
#include "softmax/row.cuh"

template <typename T>
__global__ void softmax(const T* x, T* y, int rows, int classes) {
    const int row = blockIdx.x * blockDim.y + threadIdx.y;
    if (row >= rows) return;  // a whole warp leaves
    const T *scores = x + row * classes, largest = row_max(scores, classes);
    const T sum = row_sum(scores, classes, largest);
    for (int c = threadIdx.x; c < classes; c += LANES) y[row * classes + c] = exp(scores[c] - largest) / sum;
}

template <typename T>
__global__ void logsoftmax(const T* x, T* y, int rows, int classes) {
    const int row = blockIdx.x * blockDim.y + threadIdx.y;
    if (row >= rows) return;
    const T *scores = x + row * classes, largest = row_max(scores, classes);
    const T log_sum = log(row_sum(scores, classes, largest));
    for (int c = threadIdx.x; c < classes; c += LANES) y[row * classes + c] = scores[c] - largest - log_sum;
}
