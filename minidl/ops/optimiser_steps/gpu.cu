// One launch moves up to 96 tensors. Most parameters of a network are in few large tensors, and most tensors are small:
// a launch for each would take longer to start than to run.
//
// The host hands over a table of where the tensors lie. Each block takes a chunk of one of them.
#include "cuda.cuh"

constexpr int MOST_TENSORS = 96;  // the table is an argument, and in older versions of CUDA these may take 4 KB in all
constexpr int CHUNK = 2048;       // numbers of a tensor

template <typename T>
struct Table {
    T* parameters[MOST_TENSORS];
    const T* gradients[MOST_TENSORS];
    T* memories[2][MOST_TENSORS];  // what the optimiser keeps: none, one or two for each number
    const int* stop;               // nothing is done while this is not 0; there may be none
    int sizes[MOST_TENSORS];
    int first_blocks[MOST_TENSORS];
    int count;
};

// update(t, i) for each number i of tensor t in the block's chunk
template <typename T, typename Update>
__device__ void for_each_number(const Table<T>& table, Update update) {
    if (table.stop && *table.stop) return;
    int t = 0;
    while (t + 1 < table.count && table.first_blocks[t + 1] <= blockIdx.x) ++t;
    const int first = (blockIdx.x - table.first_blocks[t]) * CHUNK;
    for (int i = first + threadIdx.x; i < min(first + CHUNK, table.sizes[t]); i += blockDim.x) update(t, i);
}

// found = (step, number of the last tensor whose gradient is not finite), as long as nothing was found in an earlier step
template <typename T>
__global__ void find_not_finite(const Table<T> table, int* found, int step, int first) {
    for_each_number(table, [&](int t, int i) {
        const T number = table.gradients[t][i];
        if (number - number == 0) return;
        const int before = atomicCAS(found, 0, step);
        if (before == 0 || before == step) atomicMax(found + 1, first + t);
    });
}

template <typename T>
__global__ void descent(const Table<T> table, T learning_rate) {
    for_each_number(table, [&](int t, int i) { table.parameters[t][i] -= learning_rate * table.gradients[t][i]; });
}

// Everything is read before anything is written: else the compiler must expect that a write has changed what comes next.

template <typename T>
__global__ void momentum(const Table<T> table, T learning_rate, T momentum, T weight_decay) {
    for_each_number(table, [&](int t, int i) {
        const T parameter = table.parameters[t][i], gradient = table.gradients[t][i], before = table.memories[0][t][i];
        const T velocity = momentum * before - learning_rate * (gradient + weight_decay * parameter);
        table.memories[0][t][i] = velocity;
        table.parameters[t][i] = parameter + velocity;
    });
}

template <typename T>
__global__ void nesterov(const Table<T> table, T learning_rate, T momentum) {
    for_each_number(table, [&](int t, int i) {
        const T parameter = table.parameters[t][i], velocity = table.memories[0][t][i];
        const T push = learning_rate * table.gradients[t][i];
        table.memories[0][t][i] = momentum * velocity - push;
        table.parameters[t][i] = parameter + momentum * momentum * velocity - (1 + momentum) * push;
    });
}

template <typename T>
__global__ void rmsprop(const Table<T> table, T learning_rate, T decay, T share, T eps) {
    for_each_number(table, [&](int t, int i) {
        const T parameter = table.parameters[t][i], gradient = table.gradients[t][i];
        const T square = decay * table.memories[0][t][i] + share * gradient * gradient;
        table.memories[0][t][i] = square;
        table.parameters[t][i] = parameter - learning_rate * gradient / (sqrt(square) + eps);
    });
}

template <typename T>
__global__ void adam(
    const Table<T> table, T rate, T beta1, T share1, T beta2, T share2, T square_correction, T eps, T kept
) {
    for_each_number(table, [&](int t, int i) {
        const T parameter = table.parameters[t][i], gradient = table.gradients[t][i];
        const T mean = beta1 * table.memories[0][t][i] + share1 * gradient;
        const T square = beta2 * table.memories[1][t][i] + share2 * gradient * gradient;
        table.memories[0][t][i] = mean;
        table.memories[1][t][i] = square;
        table.parameters[t][i] = kept * parameter - rate * mean / (sqrt(square / square_correction) + eps);
    });
}
