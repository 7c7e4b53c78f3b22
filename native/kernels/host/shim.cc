// Runs kernels on the CPU (see shim.h): fibers for the threads of a block, and the table of kernels by name.
#include "../all.cu"

#include <csetjmp>
#include <memory>
#include <tuple>
#include <ucontext.h>
#include <utility>
#include <vector>

namespace shim {

thread_local Index3 thread_index, block_index, block_size, grid_size;

namespace {

constexpr size_t STACK_BYTES = 64 << 10;
constexpr unsigned THREADS_MAX = 1024;

struct Copy {
    void* to;
    const void* from;
    size_t bytes;
};

// A fiber lives as long as its thread and takes part in one block after another. Its first entry is by ucontext; after
// that _setjmp and _longjmp do, which unlike swapcontext ask nothing of the kernel.
struct Fiber {
    jmp_buf at;
    std::unique_ptr<char[]> stack;
    bool started = false;
    bool done = true;
    // Copies under way, and how many of them each group that has ended holds.
    std::vector<Copy> copies;
    std::vector<size_t> groups;
    unsigned exchanges = 0;
};

// Threads that meet: the last to arrive lets all go on.
struct Meeting {
    unsigned members = 0, arrived = 0, times = 0;

    void open() {
        if (arrived < members || members == 0) return;
        arrived = 0;
        times++;
    }
};

constexpr unsigned LANES = 32;

struct Warp {
    Meeting meeting;
    // Two exchanges: while some still read one, others may already give to the next.
    Given given[2][LANES];
};

struct Block {
    std::vector<Fiber> fibers;
    Meeting meeting;
    Warp warps[THREADS_MAX / LANES];
    bool reversed = false;
    jmp_buf scheduler;
    unsigned current = 0;
    void (*body)(void*) = nullptr;
    void* arguments = nullptr;
};

thread_local Block block;

// Back to the scheduler until it is this fiber's turn again.
void leave() {
    if (_setjmp(block.fibers[block.current].at) == 0) _longjmp(block.scheduler, 1);
}

void meet(Meeting& meeting) {
    unsigned before = meeting.times;
    meeting.arrived++;
    meeting.open();
    while (meeting.times == before) leave();
}

// Who has ended is no longer waited for.
void quit(Meeting& meeting) {
    meeting.members--;
    meeting.open();
}

void live() {
    for (;;) {
        block.body(block.arguments);
        copy_wait(0);
        block.fibers[block.current].done = true;
        quit(block.meeting);
        quit(block.warps[block.current / LANES].meeting);
        leave();
    }
}

// Lets fiber `t` go on until it waits or has ended its block.
void resume(unsigned t) {
    block.current = t;
    if (_setjmp(block.scheduler) != 0) return;
    Fiber& fiber = block.fibers[block.current];
    if (fiber.started) _longjmp(fiber.at, 1);
    fiber.started = true;
    fiber.stack = std::make_unique<char[]>(STACK_BYTES);
    ucontext_t context;
    getcontext(&context);
    context.uc_stack.ss_sp = fiber.stack.get();
    context.uc_stack.ss_size = STACK_BYTES;
    context.uc_link = nullptr;
    makecontext(&context, live, 0);
    setcontext(&context);
}

// Runs all threads of one block to their ends.
void run(unsigned threads, bool reversed) {
    if (block.fibers.size() < THREADS_MAX) block.fibers.resize(THREADS_MAX);
    block.meeting = {threads};
    block.reversed = reversed;
    for (unsigned t = 0; t < threads; t += LANES) block.warps[t / LANES].meeting = {least(LANES, threads - t)};
    for (unsigned t = 0; t < threads; t++) block.fibers[t].done = false;
    for (unsigned left = threads; left > 0;) {
        for (unsigned i = 0; i < threads; i++) {
            unsigned t = reversed ? threads - 1 - i : i;
            if (block.fibers[t].done) continue;
            thread_index = {t, 0, 0};
            resume(t);
            if (block.fibers[t].done) left--;
        }
    }
}

template <class... A, size_t... I>
void call(void (*kernel)(A...), void** arguments, std::index_sequence<I...>) {
    kernel(*static_cast<A*>(arguments[I])...);
}

// A kernel with its types forgotten: what a launch needs.
struct Entry {
    const char* name;
    bool barriers;
    void (*invoke)(void**);
};

template <auto kernel, class... A>
void invoke(void** arguments, void (*)(A...)) {
    call(kernel, arguments, std::index_sequence_for<A...>());
}

#define WITH_BARRIERS(name) {#name, true, [](void** a) { invoke<&name>(a, &name); }}
#define WITHOUT(name) {#name, false, [](void** a) { invoke<&name>(a, &name); }}

const Entry KERNELS[] = {
    WITH_BARRIERS(attention),
    WITHOUT(attention_backward_keys),
    WITHOUT(attention_backward_query),
    WITH_BARRIERS(attention_backward_scores),
    WITH_BARRIERS(softmax_loss),
    WITHOUT(draw_labels),
    WITHOUT(subtract_one_hot),
    WITHOUT(add_into),
    WITHOUT(add_samples),
    WITHOUT(scale),
    WITHOUT(multiply),
    WITHOUT(add_product),
    WITHOUT(widen),
    WITHOUT(gather_rows),
    WITHOUT(scatter_rows),
    WITH_BARRIERS(gemm_f32_128x128),
    WITH_BARRIERS(gemm_f32_64x16),
    WITH_BARRIERS(gemm_f32_16x64),
    WITH_BARRIERS(gemm_f32_16x128),
    WITH_BARRIERS(gemm_f32_32x64),
    WITH_BARRIERS(gemm_f32_32x128),
    WITH_BARRIERS(gemm_i8_128x128),
    WITH_BARRIERS(gemm_i8_scaled_64x128),
    WITH_BARRIERS(gemm_i8_scaled_64x64),
    WITH_BARRIERS(gemm_i8_scaled_32x128),
    WITH_BARRIERS(gemm_i8_few_8),
    WITH_BARRIERS(gemm_i8_few_16),
    WITH_BARRIERS(gemm_row_f32),
    WITH_BARRIERS(gemm_rows4_f32),
    WITH_BARRIERS(gemm_rows8_f32),
    WITH_BARRIERS(gemm_samples_f32_64x64),
    WITH_BARRIERS(gemm_samples_f32_64x16),
    WITH_BARRIERS(gemm_samples_f32_16x64),
    WITHOUT(kv_append),
    WITH_BARRIERS(lora_expand),
    WITH_BARRIERS(lora_shrink),
    WITHOUT(adamw),
    WITHOUT(sgd),
    WITHOUT(squares),
    WITH_BARRIERS(quantise_i8),
    WITH_BARRIERS(rms_norm),
    WITH_BARRIERS(rms_norm_backward),
    WITHOUT(rope),
    WITH_BARRIERS(raw_scores),
    WITH_BARRIERS(swiglu),
    WITHOUT(swiglu_backward),
};

}  // namespace

void barrier() { meet(block.meeting); }
void warp_barrier() { meet(block.warps[block.current / LANES].meeting); }

const Given* exchange(const Given& mine) {
    Warp& warp = block.warps[block.current / LANES];
    Given* given = warp.given[block.fibers[block.current].exchanges++ % 2];
    given[block.current % LANES] = mine;
    warp_barrier();
    return given;
}

void copy_begin(void* to, const void* from, size_t bytes) {
    if (block.reversed)
        std::memcpy(to, from, bytes);
    else
        block.fibers[block.current].copies.push_back({to, from, bytes});
}

void copy_group() {
    Fiber& me = block.fibers[block.current];
    size_t grouped = 0;
    for (size_t count : me.groups) grouped += count;
    me.groups.push_back(me.copies.size() - grouped);
}

void copy_wait(unsigned left) {
    Fiber& me = block.fibers[block.current];
    size_t arrived = 0;
    for (; me.groups.size() > left; me.groups.erase(me.groups.begin())) arrived += me.groups.front();
    for (size_t i = 0; i < arrived; i++) std::memcpy(me.copies[i].to, me.copies[i].from, me.copies[i].bytes);
    me.copies.erase(me.copies.begin(), me.copies.begin() + (ptrdiff_t)arrived);
}

}  // namespace shim

// Launches a kernel; `arguments` points to each parameter, as for cuLaunchKernel. 0, or 1: no such kernel,
// 2: too many threads.
extern "C" int openledger_shim_launch(const char* name, const unsigned* grid, unsigned threads, void** arguments,
                                      int reversed) {
    using namespace shim;
    for (const Entry& entry : KERNELS) {
        if (std::strcmp(entry.name, name) != 0) continue;
        if (threads > THREADS_MAX) return 2;
        grid_size = {grid[0], grid[1], grid[2]};
        block_size = {threads, 1, 1};
        struct Call {
            const Entry* entry;
            void** arguments;
        } call{&entry, arguments};
        block.arguments = &call;
        block.body = [](void* data) {
            Call* call = static_cast<Call*>(data);
            call->entry->invoke(call->arguments);
        };
        for (unsigned z = 0; z < grid[2]; z++)
            for (unsigned y = 0; y < grid[1]; y++)
                for (unsigned x = 0; x < grid[0]; x++) {
                    block_index = {x, y, z};
                    if (entry.barriers) {
                        run(threads, reversed != 0);
                        continue;
                    }
                    for (unsigned t = 0; t < threads; t++) {
                        thread_index = {t, 0, 0};
                        entry.invoke(arguments);
                    }
                }
        return 0;
    }
    return 1;
}
