// exp, ln and sigmoid in f32: the twin of core/src/math/single.rs, operation by operation.
#pragma once
#include "common.cuh"

#define LOG2_E 1.44269504088896340736f
#define LN2_HI __uint_as_float(0x3f317200u)
#define LN2_LO __uint_as_float(0x35bfbe8eu)
// 1.5 * 2^23: adding it rounds to the nearest integer, ties to even.
#define ROUND 12582912.0f

DEVICE float power_of_two(int k) { return __uint_as_float((u32)(k + 127) << 23); }

// e^x. Above 88.73 it is infinity, below -103.98 zero; NaN stays NaN.
DEVICE float exp_f32(float x) {
    x = x > 89.0f ? 89.0f : x;
    x = x < -105.0f ? -105.0f : x;
    float shifted = fma_rn(x, LOG2_E, ROUND);
    float n = __fsub_rn(shifted, ROUND);
    float r = fma_rn(n, -LN2_HI, x);
    r = fma_rn(n, -LN2_LO, r);
    float p = fma_rn(1.0f / 5040.0f, r, 1.0f / 720.0f);
    p = fma_rn(p, r, 1.0f / 120.0f);
    p = fma_rn(p, r, 1.0f / 24.0f);
    p = fma_rn(p, r, 1.0f / 6.0f);
    p = fma_rn(p, r, 0.5f);
    p = fma_rn(p, r, 1.0f);
    p = fma_rn(p, r, 1.0f);
    int e = (int)(__float_as_uint(shifted) - __float_as_uint(ROUND));
    int half = e >> 1;
    return __fmul_rn(__fmul_rn(p, power_of_two(half)), power_of_two(e - half));
}

// Natural logarithm. Zero gives -infinity, negative numbers and NaN give NaN.
DEVICE float ln_f32(float x) {
    const float infinity = __uint_as_float(0x7f800000u);
    bool tiny = x < __uint_as_float(0x00800000u);
    float scaled = tiny ? __fmul_rn(x, 8388608.0f) : x;
    u32 shift = __float_as_uint(scaled) - 0x3f3504f3u;
    float m = __uint_as_float((shift & 0x007fffffu) + 0x3f3504f3u);
    float e = __fsub_rn((float)((int)shift >> 23), tiny ? 23.0f : 0.0f);
    float f = __fsub_rn(m, 1.0f);
    float s = __fdiv_rn(f, __fadd_rn(m, 1.0f));
    float z = __fmul_rn(s, s);
    float p = fma_rn(1.0f / 9.0f, z, 1.0f / 7.0f);
    p = fma_rn(p, z, 0.2f);
    p = fma_rn(p, z, 1.0f / 3.0f);
    float tail = __fmul_rn(z, p);
    float log_m = __fsub_rn(f, __fmul_rn(s, __fsub_rn(f, __fmul_rn(2.0f, tail))));
    float out = fma_rn(e, LN2_HI, fma_rn(e, LN2_LO, log_m));
    out = x == infinity ? infinity : out;
    out = x == 0.0f ? -infinity : out;
    return x < 0.0f || x != x ? __uint_as_float(0x7fc00000u) : out;
}

DEVICE float sigmoid_f32(float x) { return __fdiv_rn(1.0f, __fadd_rn(1.0f, exp_f32(-x))); }
