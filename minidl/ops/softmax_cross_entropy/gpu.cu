// A warp for each row of scores, see softmax/gpu.cu.
#include "softmax/row.cuh"

template <typename T>
__global__ void forward(const T* x, const T* targets, T* losses, int rows, int classes) {
    const int row = blockIdx.x * blockDim.y + threadIdx.y;
    if (row >= rows) return;  // a whole warp leaves
    const T *scores = x + row * classes, largest = row_max(scores, classes);
    const T log_sum = log(row_sum(scores, classes, largest));
    double loss = 0;
    for (int c = threadIdx.x; c < classes; c += LANES) {
        const T target = targets[row * classes + c], log_share = scores[c] - largest - log_sum;
        if (target != 0 || !isinf(log_share)) loss -= target * log_share;  // 0 * log 0 is 0
    }
    loss = warp_sum(loss);
    if (threadIdx.x == 0) losses[row] = loss;
}
