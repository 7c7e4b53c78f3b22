// The CUDA that the kernels use, on a CPU: enough to run native/kernels/*.cu as they are, so that their
// logic (indices, barriers, order of sums) is tested on machines without a GPU. Not made for speed.
//
// A launch runs its blocks one after the other. The threads of a block are fibers: each runs until it meets
// __syncthreads() or ends, then the next goes on, so that a barrier means what it means on a GPU. The order
// in which fibers go on can be turned round (`reversed`): a kernel that lacks a barrier then gives other
// results.
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

namespace shim {
extern thread_local Index3 thread_index, block_index, block_size, grid_size;
void barrier();
}  // namespace shim

#define threadIdx shim::thread_index
#define blockIdx shim::block_index
#define blockDim shim::block_size
#define gridDim shim::grid_size

#define KERNEL extern "C" void
#define DEVICE static inline
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

static inline int __dp4a(int a, int b, int c) {
    for (int i = 0; i < 4; i++) c += (signed char)(a >> (8 * i)) * (signed char)(b >> (8 * i));
    return c;
}
