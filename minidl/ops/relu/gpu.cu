// A thread for each number.
#include "cuda.cuh"

template <typename T>
__global__ void forward(const T* x, T* y, int count) {
    for (int i = first_index(); i < count; i += thread_count()) y[i] = relu(x[i]);
}

template <typename T>
__global__ void gradient(const T* dy, const T* y, T* dx, int count) {
    for (int i = first_index(); i < count; i += thread_count()) dx[i] = y[i] > 0 ? dy[i] : T(0);
}
