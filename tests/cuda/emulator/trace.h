// What the scheduler tells the tracer; without TRACE, nothing.
#pragma once
#include <stddef.h>

namespace emulator {

#ifdef TRACE
void trace_block(int number);                                        // a block begins
void trace_barrier();                                                // all its threads have met
void trace_syncwarp(unsigned warp);                                  // the threads of a warp have met
void trace_shared(char* start, size_t bytes, const char* name);      // a variable in shared memory
void trace_stack(void* start, size_t bytes);                         // of the thread that runs now
void trace_own_memory(void* start, size_t bytes);                    // the scheduler's, which kernels read as threadIdx
[[noreturn]] void fail_in_trace(const char* what);
#else
inline void trace_block(int) {}
inline void trace_barrier() {}
inline void trace_syncwarp(unsigned) {}
inline void trace_shared(char*, size_t, const char*) {}
inline void trace_stack(void*, size_t) {}
inline void trace_own_memory(void*, size_t) {}
#endif

}  // namespace emulator
