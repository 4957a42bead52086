// Looks at every access to memory. The kernel is compiled with -fsanitize=thread, which puts a call before each access,
// and with -fsanitize=bounds-strict, which compares indices with the lengths of a kernel's own arrays. The calls come
// here instead of to the sanitizers' libraries.
//
// - Out of bounds: an access that lies in no array and no shared variable, or behind the end of a variable.
// - Race: two accesses to the same bytes, one of them a write, by two threads that no barrier keeps apart. Blocks have
//   no order, so between blocks there is nothing that could.
// - Cost: what the 32 threads of a warp ask for at once. Global memory is read in sectors of 32 bytes: the fewer, the
//   better. Shared memory has 32 banks, 4 bytes wide: numbers in different rows of one bank take turns.
#include "shim.h"

#undef threadIdx
#undef blockIdx
#undef blockDim
#undef gridDim
#include <algorithm>
#include <dlfcn.h>
#include <map>
#include <set>
#include <string>
#include <tuple>
#include <unordered_map>
#include <vector>

#include "trace.h"

namespace emulator {

struct Access {
    int block = -1, thread = -1;
    unsigned barrier = 0, syncwarp = 0;
    uint8_t bytes = 0;  // which of a cell's four
    void* place = nullptr;
};

// Four bytes, and who used them last. Two readers are remembered, so that one of them is not the next writer itself.
struct Cell { Access write, read, other_read; };

struct Memory { char* start; size_t bytes; bool is_shared; std::string name; std::vector<Cell> cells; };

struct Request { std::vector<uint64_t> addresses; unsigned bytes; bool is_shared, is_write; };

struct Cost { unsigned long long requests = 0, sectors = 0, fewest_sectors = 0, turns = 0; bool is_shared, is_write; };

static std::vector<Memory> memories;
static std::map<std::string, std::pair<std::string, int>> mistakes;  // by kind and place: the first of them, how many
static std::map<void*, Cost> costs;
static std::map<std::tuple<void*, unsigned, unsigned>, Request> requests;  // by place, warp and how often it was there
static std::map<std::pair<void*, unsigned>, unsigned> visits;              // by place and thread
static int block;
static unsigned barriers;
static std::map<unsigned, unsigned> syncwarps;
static char *stack_start, *stack_end, *own_start, *own_end;

static std::string offset_in_library(void* place) {
    Dl_info library;
    dladdr(place, &library);
    char text[32];
    snprintf(text, sizeof text, "%zx", (size_t)((char*)place - (char*)library.dli_fbase - 1));
    return text;
}

static void report(const std::string& what, void* place, const std::string& details) {
    const std::string at = offset_in_library(place);
    auto& mistake = mistakes[what + at];
    if (!mistake.second++) mistake.first = what + "|" + at + "|" + details;
}

static void add_to_costs() {
    for (auto& [key, request] : requests) {
        Cost& cost = costs[std::get<0>(key)];
        cost.is_shared = request.is_shared;
        cost.is_write = request.is_write;
        ++cost.requests;
        std::set<uint64_t> pieces;
        const unsigned piece = request.is_shared ? 4 : 32;
        for (uint64_t address : request.addresses)
            for (uint64_t p = address / piece; p <= (address + request.bytes - 1) / piece; ++p) pieces.insert(p);
        if (request.is_shared) {
            unsigned of_bank[32] = {}, turns = 0;
            for (uint64_t word : pieces) turns = std::max(turns, ++of_bank[word % 32]);
            cost.turns += turns;
        } else {
            const std::set<uint64_t> different(request.addresses.begin(), request.addresses.end());
            cost.sectors += pieces.size();
            cost.fewest_sectors += (different.size() * request.bytes + 31) / 32;
        }
    }
    requests.clear();
    visits.clear();
}

static bool kept_apart(const Access& before) {
    if (before.block != block) return false;
    const bool same_warp = before.thread / 32 == (int)current->warp;
    return before.barrier != barriers || (same_warp && before.syncwarp != syncwarps[current->warp]);
}

static void check_race(const char* what, const Access& before, const Access& now, const Memory& memory, size_t offset) {
    const bool same_thread = before.thread == now.thread && before.block == now.block;
    if (before.thread < 0 || same_thread || !(before.bytes & now.bytes) || kept_apart(before)) return;
    char who[120];
    snprintf(who, sizeof who, "thread %d of block %d and thread %d of block %d", before.thread, before.block,
             now.thread, now.block);
    report(what, now.place,
           memory.name + "|" + std::to_string(offset) + "|" + offset_in_library(before.place) + "|" + who);
}

static void remember(Memory& memory, size_t offset, size_t bytes, bool is_write, void* place) {
    for (size_t byte = offset; byte < offset + bytes;) {
        const size_t cell_number = byte / 4, cell_end = std::min(offset + bytes, (cell_number + 1) * 4);
        Access now{block, (int)current->number, barriers, syncwarps[current->warp], 0, place};
        for (; byte < cell_end; ++byte) now.bytes |= 1 << byte % 4;
        Cell& cell = memory.cells[cell_number];
        check_race(is_write ? "race of two writes" : "race of a read with a write", cell.write, now, memory, offset);
        if (is_write) {
            check_race("race of a write with a read", cell.read, now, memory, offset);
            check_race("race of a write with a read", cell.other_read, now, memory, offset);
            cell.write = now;
        } else {
            if (cell.read.thread != now.thread || cell.read.block != now.block) cell.other_read = cell.read;
            cell.read = now;
        }
    }
}

static bool is_own(char* address) {
    if (address >= stack_start && address < stack_end) return true;  // a thread's own variables
    if (address >= own_start && address < own_end) return true;      // threadIdx
    return address == (char*)&current || (address >= (char*)&grid && address < (char*)(&grid + 1));
}

static void access(void* address, unsigned bytes, bool is_write, void* place) {
    char* start = (char*)address;
    if (is_own(start)) return;
    Memory* memory = nullptr;
    for (Memory& candidate : memories)
        if (start >= candidate.start && start < candidate.start + candidate.bytes) memory = &candidate;
    if (!memory || start + bytes > memory->start + memory->bytes) {
        Dl_info library;
        if (!memory && dladdr(address, &library)) return;  // a constant of the kernel's own
        report(is_write ? "write out of bounds" : "read out of bounds", place, memory ? memory->name : "no array");
        fail_in_trace(is_write ? "write out of bounds" : "read out of bounds");
    }
    remember(*memory, start - memory->start, bytes, is_write, place);
    const unsigned visit = visits[{place, current->number}]++;
    Request& request = requests[{place, current->warp, visit}];
    // On a device, arrays start where a sector does
    request.addresses.push_back(memory->is_shared ? (uint64_t)start : (uint64_t)(start - memory->start));
    request.bytes = bytes;
    request.is_shared = memory->is_shared;
    request.is_write = is_write;
}

void trace_block(int number) {
    add_to_costs();
    block = number;
    barriers = 0;
    syncwarps.clear();
    memories.erase(std::remove_if(memories.begin(), memories.end(), [](const Memory& m) { return m.is_shared; }),
                   memories.end());
}

void trace_barrier() { ++barriers; }
void trace_syncwarp(unsigned warp) { ++syncwarps[warp]; }

void trace_shared(char* start, size_t bytes, const char* name) {
    memories.push_back({start, bytes, true, name, std::vector<Cell>(bytes / 4 + 1)});
}

void trace_stack(void* start, size_t bytes) {
    stack_start = (char*)start;
    stack_end = stack_start + bytes;
}

void trace_own_memory(void* start, size_t bytes) {
    own_start = (char*)start;
    own_end = own_start + bytes;
}

extern "C" void emulator_trace_begin() {
    memories.clear();
    mistakes.clear();
    costs.clear();
    requests.clear();
    visits.clear();
}

extern "C" void emulator_trace_array(char* start, size_t bytes, const char* name) {
    memories.push_back({start, bytes, false, name, std::vector<Cell>(bytes / 4 + 1)});
}

// "mistake|times|what|place|array|byte|other place|who" and "cost|place|shared|write|requests|sectors|fewest|turns"
extern "C" const char* emulator_trace_end() {
    static std::string text;
    text.clear();
    add_to_costs();
    for (const auto& [key, mistake] : mistakes)
        text += "mistake|" + std::to_string(mistake.second) + "|" + mistake.first + "\n";
    for (const auto& [place, cost] : costs) {
        text += "cost|" + offset_in_library(place) + "|" + std::to_string(cost.is_shared) + "|"
              + std::to_string(cost.is_write);
        for (unsigned long long number : {cost.requests, cost.sectors, cost.fewest_sectors, cost.turns})
            text += "|" + std::to_string(number);
        text += "\n";
    }
    return text.c_str();
}

}  // namespace emulator

// What -fsanitize=thread calls ----------------------------------------------------------------------------------------

#define HERE __builtin_return_address(0)
#define ACCESS(NAME, BYTES, IS_WRITE) \
    extern "C" void __tsan_##NAME(void* address) { emulator::access(address, BYTES, IS_WRITE, HERE); }
#define ACCESSES(BYTES)                            \
    ACCESS(read##BYTES, BYTES, false)              \
    ACCESS(write##BYTES, BYTES, true)              \
    ACCESS(unaligned_read##BYTES, BYTES, false)    \
    ACCESS(unaligned_write##BYTES, BYTES, true)
ACCESSES(1)
ACCESSES(2)
ACCESSES(4)
ACCESSES(8)
ACCESSES(16)
extern "C" void __tsan_read_range(void* address, size_t bytes) { emulator::access(address, bytes, false, HERE); }
extern "C" void __tsan_write_range(void* address, size_t bytes) { emulator::access(address, bytes, true, HERE); }
extern "C" void __tsan_init() {}
extern "C" void __tsan_func_entry(void*) {}
extern "C" void __tsan_func_exit() {}
extern "C" void __ubsan_handle_out_of_bounds_abort(void*, void*) {
    emulator::fail_in_trace("index out of the bounds of a variable");
}
