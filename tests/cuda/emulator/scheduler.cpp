// Runs a kernel: its blocks one after the other, the threads of a block as fibers that take turns.
//
// A thread runs until it waits: at a barrier, in a warp operation, or at its end. When no thread can run, those that wait
// for each other are let go together. If that is nobody, the kernel has a mistake, and the message says which.
#include "shim.h"

#undef threadIdx
#undef blockIdx
#undef blockDim
#undef gridDim
#include <algorithm>
#include <numeric>
#include <string>
#include <sys/mman.h>
#include <vector>

#include "trace.h"

// Saves the registers that a function must keep on the old stack, and takes those of the new one.
extern "C" void emulator_switch(void** old_stack_pointer, void* new_stack_pointer);
asm(R"(
.text
.globl emulator_switch
.hidden emulator_switch
emulator_switch:
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, (%rdi)
    movq %rsi, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    ret
)");

namespace emulator {

Thread* current;
Grid grid;

static const size_t STACK = 64 << 10, PAGE = 4096, SHARED_LIMIT = 48 << 10;
static std::vector<Thread> threads;
static void* scheduler_stack_pointer;
static void (*kernel)(void**);
static void** kernel_arguments;
static std::string mistake;

// Shared memory -----------------------------------------------------------------------------------------------------

struct Shared { const void* key; char* start; };
static std::vector<Shared> shared;
alignas(128) static char shared_bytes[SHARED_LIMIT];
static size_t shared_used;

static std::string thread_name(const Thread& thread) {
    char text[120];
    snprintf(text, sizeof text, "thread (%u, %u, %u) of block (%u, %u, %u)", thread.index.x, thread.index.y,
             thread.index.z, grid.block.x, grid.block.y, grid.block.z);
    return text;
}

static void leave() { emulator_switch(&current->stack_pointer, scheduler_stack_pointer); }

[[noreturn]] static void fail(const std::string& what, int line) {
    if (mistake.empty()) mistake = "line " + std::to_string(line) + ": " + what + ", " + thread_name(*current);
    current->waits_for = Wait::END;
    leave();
    __builtin_trap();
}

[[noreturn]] void fail_in_trace(const char* what) { fail(what, 0); }

// The first thread of a block that comes by makes the variable; it holds nan, or -1, as memory that nobody has written.
void* shared_memory(const void* key, size_t bytes, const char* name) {
    for (const Shared& variable : shared)
        if (variable.key == key) return variable.start;
    shared_used = (shared_used + 15) / 16 * 16;
    if (shared_used + bytes > SHARED_LIMIT) fail("more than 48 KiB of shared memory", 0);
    char* start = shared_bytes + shared_used;
    shared_used += bytes;
    memset(start, 0xff, bytes);
    shared.push_back({key, start});
    trace_shared(start, bytes, name);
    return start;
}

// Waiting -----------------------------------------------------------------------------------------------------------

void wait_for_block(int line) {
    current->waits_for = Wait::BARRIER;
    current->operation = SYNCTHREADS;
    current->line = line;
    leave();
}

uint64_t wait_for_warp(Operation operation, unsigned mask, int from_lane, uint64_t gives, int line) {
    Thread& own = *current;
    if (!(mask >> own.lane & 1)) fail("a thread is not in the mask that it gives", line);
    own.waits_for = Wait::WARP;
    own.operation = operation;
    own.mask = mask;
    own.from_lane = from_lane;
    own.gives = gives;
    own.line = line;
    leave();
    return own.gets;
}

// Lets the threads in the mask of `thread` go, if all that have not ended wait in the same place.
static bool release_mask(const Thread& thread) {
    const unsigned first = thread.warp * 32, end = std::min<unsigned>(first + 32, threads.size());
    std::vector<Thread*> together;
    for (unsigned i = first; i < end; ++i) {
        Thread& other = threads[i];
        if (!(thread.mask >> other.lane & 1) || other.waits_for == Wait::END) continue;
        if (other.waits_for != Wait::WARP || other.mask != thread.mask || other.line != thread.line) return false;
        together.push_back(&other);
    }
    const uint64_t nothing = 0x7fc0dead7fc0dead;  // of a lane that takes no part: nan in both float types
    for (Thread* own : together) {
        own->gets = nothing;
        for (const Thread* other : together)
            if ((int)other->lane == own->from_lane) own->gets = other->gives;
    }
    if (thread.operation == SYNCWARP) trace_syncwarp(thread.warp);
    for (Thread* own : together) own->waits_for = Wait::NOTHING;
    return true;
}

static bool release_warps() {
    bool any = false;
    for (const Thread& thread : threads)
        if (thread.waits_for == Wait::WARP) any |= release_mask(thread);
    return any;
}

static size_t count(Wait wait) {
    return std::count_if(threads.begin(), threads.end(), [=](const Thread& t) { return t.waits_for == wait; });
}

// A barrier is for all threads of a block: none may have left, and all must stand at the same one.
static bool release_barrier() {
    const size_t waiting = count(Wait::BARRIER), ended = count(Wait::END);
    if (!waiting || waiting + ended < threads.size()) return false;
    const Thread& one = *std::find_if(threads.begin(), threads.end(), [](const Thread& t) {
        return t.waits_for == Wait::BARRIER;
    });
    const std::string at = "line " + std::to_string(one.line) + ": __syncthreads()";
    if (ended)
        mistake = at + " is waited for by " + thread_name(one) + ", but " + std::to_string(ended) + " of "
                + std::to_string(threads.size()) + " threads have already returned";
    for (Thread& thread : threads)
        if (thread.waits_for == Wait::BARRIER && thread.line != one.line)
            mistake = at + " and line " + std::to_string(thread.line) + ": " + thread_name(one) + " and "
                    + thread_name(thread) + " wait at different barriers";
    for (Thread& thread : threads)
        if (thread.waits_for == Wait::BARRIER) thread.waits_for = Wait::NOTHING;
    trace_barrier();
    return true;
}

// Running -----------------------------------------------------------------------------------------------------------

static void fiber() {
    kernel(kernel_arguments);
    current->waits_for = Wait::END;
    leave();
    __builtin_trap();
}

static void prepare(Thread& thread) {
    void** top = (void**)((char*)thread.stack + STACK - 64);
    *--top = nullptr;           // where fiber() would return to
    *--top = (void*)fiber;      // where emulator_switch() returns to
    for (int registers = 0; registers < 6; ++registers) *--top = nullptr;
    thread.stack_pointer = top;
    thread.waits_for = Wait::NOTHING;
}

static uint32_t random_state;
static uint32_t random_number() {
    random_state ^= random_state << 13;
    random_state ^= random_state >> 17;
    return random_state ^= random_state << 5;
}

enum Order { ASCENDING, DESCENDING, RANDOM };

static std::vector<unsigned> in_order(unsigned count, int order) {
    std::vector<unsigned> numbers(count);
    std::iota(numbers.begin(), numbers.end(), 0);
    if (order == DESCENDING) std::reverse(numbers.begin(), numbers.end());
    if (order == RANDOM)
        for (unsigned i = count; i > 1; --i) std::swap(numbers[i - 1], numbers[random_number() % i]);
    return numbers;
}

static void run_block(int order) {
    shared.clear();
    shared_used = 0;
    trace_block((grid.block.z * grid.size.y + grid.block.y) * grid.size.x + grid.block.x);
    for (Thread& thread : threads) prepare(thread);
    std::vector<unsigned> turns = in_order(threads.size(), order);
    while (mistake.empty()) {
        for (unsigned i : turns) {
            if (threads[i].waits_for != Wait::NOTHING) continue;
            current = &threads[i];
            trace_stack(current->stack, STACK);
            emulator_switch(&scheduler_stack_pointer, current->stack_pointer);
            if (!mistake.empty()) return;
        }
        if (count(Wait::END) == threads.size()) return;
        if (!release_warps() && !release_barrier()) {
            mistake = "threads wait for each other for ever:";
            for (const Thread& thread : threads)
                if (thread.waits_for == Wait::WARP) {
                    mistake += " line " + std::to_string(thread.line) + ", " + thread_name(thread);
                    break;
                }
        }
        if (order == RANDOM) turns = in_order(threads.size(), order);
    }
}

static void make_threads(unsigned count) {
    while (threads.size() < count) {
        void* memory = mmap(nullptr, STACK + PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        mprotect(memory, PAGE, PROT_NONE);  // so that a stack that overflows is noticed
        threads.push_back({});
        threads.back().stack = (char*)memory + PAGE;
    }
    while (threads.size() > count) {
        munmap((char*)threads.back().stack - PAGE, STACK + PAGE);
        threads.pop_back();
    }
    const Index size = grid.block_size;
    for (unsigned i = 0; i < count; ++i) {
        threads[i].index = {i % size.x, i / size.x % size.y, i / size.x / size.y};
        threads[i].number = i;
        threads[i].lane = i % 32;
        threads[i].warp = i / 32;
    }
    trace_own_memory(threads.data(), threads.size() * sizeof(Thread));
}

// Returns what is wrong with the kernel, or an empty text.
extern "C" const char* emulator_launch(
    void (*called)(void**), void** arguments, const unsigned* grid_size, const unsigned* block_size, int order, int seed
) {
    kernel = called;
    kernel_arguments = arguments;
    mistake.clear();
    random_state = 2654435761u * (seed + 1);
    grid.size = {grid_size[0], grid_size[1], grid_size[2]};
    grid.block_size = {block_size[0], block_size[1], block_size[2]};
    make_threads(block_size[0] * block_size[1] * block_size[2]);
    for (unsigned block : in_order(grid_size[0] * grid_size[1] * grid_size[2], order)) {
        grid.block = {block % grid_size[0], block / grid_size[0] % grid_size[1], block / grid_size[0] / grid_size[1]};
        run_block(order);
        if (!mistake.empty()) break;
    }
    return mistake.c_str();
}

}  // namespace emulator
