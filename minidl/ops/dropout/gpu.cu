// A thread for each number; the hash is that of reference.py, so the masks are, too.
#include "cuda.cuh"

// Shuffle 32 bits
__device__ inline unsigned mix(unsigned bits) {
    bits ^= bits >> 16;
    bits *= 0x7FEB352D;
    bits ^= bits >> 15;
    bits *= 0x846CA68B;
    return bits ^ (bits >> 16);
}

template <typename T>
__global__ void apply(
    const T* x, T* y, unsigned threshold, T keep_rate, unsigned seed, unsigned step, unsigned mask, int count
) {
    const unsigned start = mix(mix(mix(seed) + step) + mask);
    for (int i = first_index(); i < count; i += thread_count())
        y[i] = mix(i ^ start) < threshold ? T(0) : x[i] / keep_rate;
}
