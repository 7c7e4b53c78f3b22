// Blocks of 64 entries of a row as int8 under one scale each. Scalar twin: gemm::int8::Quantised (core/src/gemm/int8).
// x [rows, ldx], q [rows, width], width = k rounded up to 4 and zeros past k, scales [rows, blocks].
// grid (blocks, rows), block 64: one entry a thread.
#include "common.cuh"

// Adding and subtracting it rounds to the nearest integer, ties to even.
#define ROUND_BITS 0x4b400000u
#define NOT_FINITE 0x7f800000u

KERNEL __launch_bounds__(64) quantise_i8(const float* x, signed char* q, float* scales, u32 k, u32 width, u64 ldx) {
    __shared__ u32 sizes[64];
    const u32 at = blockIdx.x * 64u + threadIdx.x, row = blockIdx.y;
    const float value = at < k ? x[(u64)row * ldx + at] : 0.0f;
    // Bits of magnitudes order as the magnitudes do, a NaN above all.
    sizes[threadIdx.x] = __float_as_uint(value) & 0x7fffffffu;
    __syncthreads();
    u32 largest = 0;
    for (u32 i = 0; i < 64u; i++) largest = sizes[i] > largest ? sizes[i] : largest;
    const float top = __uint_as_float(largest), inverse = __fdiv_rn(127.0f, top);
    const bool is_finite = largest < NOT_FINITE, is_zero = __float_as_uint(inverse) == NOT_FINITE;
    int entry = 0;
    if (is_finite && !is_zero) {
        float shifted = __fadd_rn(__fmul_rn(value, inverse), __uint_as_float(ROUND_BITS));
        entry = (int)(__float_as_uint(shifted) - ROUND_BITS);
    }
    if (at < width) q[(u64)row * width + at] = (signed char)entry;
    if (threadIdx.x == 0) {
        float scale = is_zero ? 0.0f : __fdiv_rn(top, 127.0f);
        scales[row * gridDim.x + blockIdx.x] = is_finite ? scale : __uint_as_float(0x7fc00000u);
    }
}
