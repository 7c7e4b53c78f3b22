// The CUDA that the kernels use, on a CPU: enough to run native/kernels/*.cu as they are, so that their
// logic (indices, barriers, order of sums) is tested on machines without a GPU. Not made for speed.
//
// A launch runs its blocks one after the other. The threads of a block are fibers: each runs until it meets
// __syncthreads() or ends, then the next goes on, so that a barrier means what it means on a GPU. The order
// in which fibers go on can be turned round (`reversed`): a kernel that lacks a barrier then gives other
// results. Copies to shared memory that run beside the arithmetic arrive as late as they may, at the wait for them; turned
// round, as early, when they begin: a kernel that waits too little, or writes where others still read, shows either way.
#pragma once
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>

struct Index3 {
    unsigned x, y, z;
};
struct alignas(16) float4 {
    float x, y, z, w;
};
struct alignas(8) float2 {
    float x, y;
};
struct alignas(16) int4 {
    int x, y, z, w;
};
struct alignas(8) int2 {
    int x, y;
};
struct alignas(2) char2 {
    signed char x, y;
};

namespace shim {
extern thread_local Index3 thread_index, block_index, block_size, grid_size;
void barrier();
void warp_barrier();
void copy_begin(void* to, const void* from, size_t bytes);
void copy_group();
void copy_wait(unsigned left);

// What a lane gives the others of its warp at once.
struct Given {
    int words[6];
};
// Returns what all 32 gave, once all have; good until the next exchange.
const Given* exchange(const Given& mine);
}  // namespace shim

#define threadIdx shim::thread_index
#define blockIdx shim::block_index
#define blockDim shim::block_size
#define gridDim shim::grid_size

#define KERNEL extern "C" void
#define DEVICE static inline
#define DEVICE_MEMBER inline
#define NOINLINE static inline
#define __shared__ static thread_local
#define __align__(n) __attribute__((aligned(n)))
#define __launch_bounds__(...)

static inline void __syncthreads() { shim::barrier(); }

// Compiled with -ffp-contract=off: each of these rounds once, as its CUDA name says.
static inline float __fmaf_rn(float a, float b, float c) { return __builtin_fmaf(a, b, c); }
static inline float __fadd_rn(float a, float b) { return a + b; }
static inline float __fsub_rn(float a, float b) { return a - b; }
static inline float __fmul_rn(float a, float b) { return a * b; }
static inline float __fdiv_rn(float a, float b) { return a / b; }
static inline float __fsqrt_rn(float a) { return __builtin_sqrtf(a); }
static inline double __dadd_rn(double a, double b) { return a + b; }
static inline double __dmul_rn(double a, double b) { return a * b; }

static inline float __uint_as_float(unsigned bits) {
    float f;
    std::memcpy(&f, &bits, 4);
    return f;
}
static inline unsigned __float_as_uint(float f) {
    unsigned bits;
    std::memcpy(&bits, &f, 4);
    return bits;
}

// Blocks run one after the other: whatever one has written the next sees.
static inline void __threadfence() {}
template <class T>
static inline T __ldcg(const T* from) {
    return *from;
}
static inline unsigned atomicAdd(unsigned* at, unsigned value) {
    unsigned before = *at;
    *at += value;
    return before;
}

static inline int __dp4a(int a, int b, int c) {
    for (int i = 0; i < 4; i++) c += (signed char)(a >> (8 * i)) * (signed char)(b >> (8 * i));
    return c;
}

// As kernels/tensor.cuh says.
static inline void warp_sync() { shim::warp_barrier(); }
static inline void copy_begin(void* to, const void* from) { shim::copy_begin(to, from, 16); }
static inline void copy_begin(float* to, const float* from) { shim::copy_begin(to, from, 4); }
static inline void copy_group() { shim::copy_group(); }
template <unsigned LEFT>
static inline void copy_wait() {
    shim::copy_wait(LEFT);
}

static inline void multiply_i8(int (&d)[4], int a0, int a1, int a2, int a3, int b0, int b1, const int (&c)[4]) {
    const shim::Given* all = shim::exchange({{a0, a1, a2, a3, b0, b1}});
    const unsigned lane = shim::thread_index.x % 32, g = lane / 4, t = lane % 4;
    int sum[4] = {c[0], c[1], c[2], c[3]};
    for (unsigned l = 0; l < 4; l++)
        for (unsigned i = 0; i < 4; i++) {
            // Row g or g + 8 of a by column 2 t or 2 t + 1 of b; lane i of a row's or column's four holds these k.
            const int *a = all[g * 4 + i].words, *b = all[(2 * t + l % 2) * 4 + i].words + 4;
            sum[l] = __dp4a(a[l / 2], b[0], sum[l]);
            sum[l] = __dp4a(a[2 + l / 2], b[1], sum[l]);
        }
    for (unsigned l = 0; l < 4; l++) d[l] = sum[l];
}

static inline void fragments(int (&d)[4], const signed char* row) {
    shim::Given mine = {};
    std::memcpy(mine.words, &row, sizeof row);
    const shim::Given* all = shim::exchange(mine);
    const unsigned lane = shim::thread_index.x % 32;
    for (unsigned i = 0; i < 4; i++) {
        const signed char* from;
        std::memcpy(&from, all[8 * i + lane / 4].words, sizeof from);
        std::memcpy(&d[i], from + lane % 4 * 4, 4);
    }
}

static inline unsigned warp_max(unsigned value) {
    const shim::Given* all = shim::exchange({{(int)value}});
    unsigned largest = 0;
    for (unsigned lane = 0; lane < 32; lane++) {
        unsigned other = (unsigned)all[lane].words[0];
        if (other > largest) largest = other;
    }
    return largest;
}
