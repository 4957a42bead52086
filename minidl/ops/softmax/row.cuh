// What a warp finds out about a row of scores.
#include "warps.cuh"

template <typename T>
__device__ T row_max(const T* scores, int classes) {
    T largest = scores[0];
    for (int c = threadIdx.x; c < classes; c += LANES) largest = scores[c] > largest ? scores[c] : largest;
    return warp_max(largest);
}

// The sum of exp(score - largest), which cannot overflow
template <typename T>
__device__ double row_sum(const T* scores, int classes, T largest) {
    double sum = 0;
    for (int c = threadIdx.x; c < classes; c += LANES) sum += exp(scores[c] - largest);
    return warp_sum(sum);
}
