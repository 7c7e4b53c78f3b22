// A block of 64 entries as int8 under one scale, by one warp, two entries a lane.
// Scalar twin: gemm::int8::quantise::quantise_row (core/src/gemm/int8/quantise.rs).
#pragma once
#include "tensor.cuh"

// Adding and subtracting it rounds to the nearest integer, ties to even.
#define ROUND_BITS 0x4b400000u
#define NOT_FINITE 0x7f800000u

// Lane l gives entries 2 l and 2 l + 1; `q` is the block's first, `scale` where its scale goes.
DEVICE void quantise_block(float first, float second, signed char* q, float* scale) {
    // Bits of magnitudes order as the magnitudes do, a NaN above all.
    const u32 a = __float_as_uint(first) & 0x7fffffffu, b = __float_as_uint(second) & 0x7fffffffu;
    const u32 largest = warp_max(a > b ? a : b), lane = threadIdx.x % 32;
    const float top = __uint_as_float(largest), inverse = __fdiv_rn(127.0f, top);
    const bool is_finite = largest < NOT_FINITE, is_zero = __float_as_uint(inverse) == NOT_FINITE;
    const float value[2] = {first, second};
    signed char entry[2] = {0, 0};
    if (is_finite && !is_zero)
        for (u32 i = 0; i < 2; i++) {
            float shifted = __fadd_rn(__fmul_rn(value[i], inverse), __uint_as_float(ROUND_BITS));
            entry[i] = (signed char)(int)(__float_as_uint(shifted) - ROUND_BITS);
        }
    *(char2*)(q + lane * 2) = {entry[0], entry[1]};
    if (lane == 0) *scale = is_finite ? (is_zero ? 0.0f : __fdiv_rn(top, 127.0f)) : __uint_as_float(0x7fc00000u);
}
