// Rotary position embedding in place, halves of each head; `sign` -1 turns back (the gradient's way).
// Scalar twin: ops::rope (core/src/ops/rope.rs), whose tables are uploaded.
// x [rows, ldx], heads side by side from column 0; positions [rows]; cos, sin [positions, half].
// grid (ceil(heads * half / 128), rows), block 128.
#include "common.cuh"

KERNEL rope(float* x, const u32* positions, const float* cos, const float* sin, u32 heads, u32 half, u64 ldx,
            float sign) {
    u32 at = blockIdx.x * blockDim.x + threadIdx.x;
    if (at >= heads * half) return;
    u32 i = at % half;
    float* low = x + blockIdx.y * ldx + at / half * 2 * half + i;
    float* high = low + half;
    u64 entry = (u64)positions[blockIdx.y] * half + i;
    float a = *low, b = *high, c = cos[entry], s = __fmul_rn(sign, sin[entry]);
    *low = fma_rn(a, c, -__fmul_rn(b, s));
    *high = fma_rn(b, c, __fmul_rn(a, s));
}
