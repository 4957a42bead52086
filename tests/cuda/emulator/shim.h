// CUDA C++ for g++: put before an unmodified kernel, it makes threads, barriers and warps of the host's means.
// Each CUDA thread is a fiber, all of them run on one processor, one after the other; see scheduler.cpp.
#pragma once
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <type_traits>
#include <utility>

struct Index { unsigned x, y, z; };

#define NOT_TRACED __attribute__((no_sanitize("thread")))

namespace emulator {

enum class Wait { NOTHING, BARRIER, WARP, END };
enum Operation : int { SYNCTHREADS, SYNCWARP, SHUFFLE };

struct Thread {
    Index index;
    unsigned number, lane, warp;
    Wait waits_for;
    int line, operation, from_lane;  // of what it waits for
    unsigned mask;
    uint64_t gives, gets;
    void *stack, *stack_pointer;
};

struct Grid { Index block, block_size, size; };

extern Thread* current;
extern Grid grid;

void wait_for_block(int line);
uint64_t wait_for_warp(Operation operation, unsigned mask, int from_lane, uint64_t gives, int line);
void* shared_memory(const void* key, size_t bytes, const char* name);

template <typename T>
T shuffle(unsigned mask, T own, int from_lane, int line) {
    static_assert(sizeof(T) <= 8 && std::is_trivially_copyable_v<T>);
    uint64_t bits = 0;
    memcpy(&bits, &own, sizeof own);
    bits = wait_for_warp(SHUFFLE, mask, from_lane, bits, line);
    memcpy(&own, &bits, sizeof own);
    return own;
}

// What a kernel declares, for the check of its arguments: "Pf4;i4;S40;" is float*, int, a struct of 40 bytes.
template <typename T>
NOT_TRACED void describe(char*& text) {
    using Plain = std::remove_cv_t<T>;
    if constexpr (std::is_pointer_v<Plain>) {
        *text++ = 'P';
        describe<std::remove_pointer_t<Plain>>(text);
        return;
    }
    const char kind = std::is_same_v<Plain, bool> ? 'b' : std::is_floating_point_v<Plain> ? 'f'
                    : std::is_unsigned_v<Plain> ? 'u' : std::is_integral_v<Plain> ? 'i' : 'S';
    text += sprintf(text, "%c%zu;", kind, sizeof(Plain));
}

template <typename... Parameters>
NOT_TRACED const char* signature(void (*)(Parameters...)) {
    static char text[16 * (sizeof...(Parameters) + 1)];
    char* end = text;
    (describe<Parameters>(end), ...);
    *end = 0;
    return text;
}

template <typename... Parameters, size_t... I>
NOT_TRACED void call_with(
    void (*kernel)(Parameters...), void** arguments, std::index_sequence<I...>
) {
    kernel(*(Parameters*)arguments[I]...);
}

template <typename... Parameters>
NOT_TRACED void call(void (*kernel)(Parameters...), void** arguments) {
    call_with(kernel, arguments, std::index_sequence_for<Parameters...>{});
}

}  // namespace emulator

// Makes a kernel, such as forward<float>, callable from outside.
#define EMULATOR_ENTRY(...)                                                                                \
    extern "C" NOT_TRACED void emulator_call(void** arguments) { emulator::call(__VA_ARGS__, arguments); }  \
    extern "C" NOT_TRACED const char* emulator_signature() { return emulator::signature(__VA_ARGS__); }

#define threadIdx (emulator::current->index)
#define blockIdx (emulator::grid.block)
#define blockDim (emulator::grid.block_size)
#define gridDim (emulator::grid.size)
#define __global__
#define __device__

inline void __syncthreads(int line = __builtin_LINE()) { emulator::wait_for_block(line); }
inline void __syncwarp(unsigned mask = 0xffffffff, int line = __builtin_LINE()) {
    emulator::wait_for_warp(emulator::SYNCWARP, mask, 0, 0, line);
}
template <typename T>
T __shfl_sync(unsigned mask, T own, int from_lane, int line = __builtin_LINE()) {
    return emulator::shuffle(mask, own, from_lane & 31, line);
}
template <typename T>
T __shfl_xor_sync(unsigned mask, T own, int lanes, int line = __builtin_LINE()) {
    return emulator::shuffle(mask, own, emulator::current->lane ^ lanes, line);
}
template <typename T>
T __shfl_down_sync(unsigned mask, T own, unsigned lanes, int line = __builtin_LINE()) {
    const unsigned from = emulator::current->lane + lanes;
    return emulator::shuffle(mask, own, from < 32 ? from : emulator::current->lane, line);
}

template <typename A, typename B>
std::common_type_t<A, B> min(A a, B b) { return b < a ? b : a; }
template <typename A, typename B>
std::common_type_t<A, B> max(A a, B b) { return a < b ? b : a; }

// Only one fiber runs at a time, so that no other one can come between
NOT_TRACED inline int atomicCAS(int* place, int expected, int value) {
    const int before = *place;
    if (before == expected) *place = value;
    return before;
}
NOT_TRACED inline int atomicMax(int* place, int value) {
    const int before = *place;
    *place = max(before, value);
    return before;
}
