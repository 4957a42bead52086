// The 32 threads of a warp run in step and can hand each other numbers without shared memory. Each thread gives its own
// number to the one 16 lanes away, then 8, 4, 2, 1: after five rounds all of them have the result.

constexpr int LANES = 32;
constexpr unsigned ALL_LANES = 0xffffffff;

template <typename T>
__device__ T warp_sum(T own) {
    for (int distance = LANES / 2; distance; distance /= 2) own += __shfl_xor_sync(ALL_LANES, own, distance);
    return own;
}

template <typename T>
__device__ T warp_max(T own) {
    for (int distance = LANES / 2; distance; distance /= 2) {
        const T other = __shfl_xor_sync(ALL_LANES, own, distance);
        own = other > own ? other : own;
    }
    return own;
}
