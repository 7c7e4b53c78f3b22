// Blocks of 64 entries of a row as int8 under one scale each. Scalar twin: gemm::int8::Quantised (core/src/gemm/int8).
// x [rows, ldx], q [rows, width], width = k rounded up to whole blocks and zeros past k, scales [width / 64, rows].
// grid (ceil(rows * blocks / 8)), block 256: a warp a block, two entries a lane.
#include "tensor.cuh"

// Adding and subtracting it rounds to the nearest integer, ties to even.
#define ROUND_BITS 0x4b400000u
#define NOT_FINITE 0x7f800000u

KERNEL __launch_bounds__(256) quantise_i8(const float* x, signed char* q, float* scales, u32 rows, u32 k, u32 width, u64 ldx) {
    const u32 blocks = width / 64, at = blockIdx.x * 8 + threadIdx.x / 32, row = at / blocks, block = at % blocks;
    if (row >= rows) return;
    const u32 first = block * 64 + threadIdx.x % 32 * 2;
    const float* from = x + (u64)row * ldx + first;
    const float value[2] = {first < k ? from[0] : 0.0f, first + 1 < k ? from[1] : 0.0f};
    // Bits of magnitudes order as the magnitudes do, a NaN above all.
    const u32 size[2] = {__float_as_uint(value[0]) & 0x7fffffffu, __float_as_uint(value[1]) & 0x7fffffffu};
    const u32 largest = warp_max(size[0] > size[1] ? size[0] : size[1]);
    const float top = __uint_as_float(largest), inverse = __fdiv_rn(127.0f, top);
    const bool is_finite = largest < NOT_FINITE, is_zero = __float_as_uint(inverse) == NOT_FINITE;
    signed char entry[2] = {0, 0};
    if (is_finite && !is_zero)
        for (u32 i = 0; i < 2; i++) {
            float shifted = __fadd_rn(__fmul_rn(value[i], inverse), __uint_as_float(ROUND_BITS));
            entry[i] = (signed char)(int)(__float_as_uint(shifted) - ROUND_BITS);
        }
    *(char2*)(q + (u64)row * width + first) = {entry[0], entry[1]};
    if (threadIdx.x % 32 == 0) {
        float scale = is_zero ? 0.0f : __fdiv_rn(top, 127.0f);
        scales[(u64)block * rows + row] = is_finite ? scale : __uint_as_float(0x7fc00000u);
    }
}
