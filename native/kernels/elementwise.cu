// The small additions and scalings between operators, and the copies.
// Scalar twins: ops::elementwise::{add_into, scale} (core/src/ops/elementwise.rs); model::weights::Linear::row
// (embed); attribution::whiten (multiply), attribution::sketch::project (add_product); the averages of train_lora.
// grid (ceil(n / 256)), block 256; embed and rows: grid (ceil(width / 256), rows).
#include "common.cuh"

// to += from.
KERNEL add_into(float* to, const float* from, u64 n) {
    u64 i = (u64)blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) to[i] = __fadd_rn(to[i], from[i]);
}

// out = values * factor (in place when they are the same).
KERNEL scale(const float* values, float* out, u64 n, float factor) {
    u64 i = (u64)blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) out[i] = __fmul_rn(values[i], factor);
}

// values[z * m + i] *= factors[i]: a sample's gradient by the inverse roots.
KERNEL multiply(float* values, const float* factors, u64 n, u64 m) {
    u64 i = (u64)blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) values[i] = __fmul_rn(values[i], factors[i % m]);
}

// to[i] += part[i] * scales[i mod k]: one factor's share of a sketch.
KERNEL add_product(float* to, const float* part, const float* scales, u64 n, u32 k) {
    u64 i = (u64)blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) to[i] = __fadd_rn(to[i], __fmul_rn(part[i], scales[i % k]));
}

// out[i] = codes[i]: stored integers as floats.
KERNEL widen(const short* codes, float* out, u64 n) {
    u64 i = (u64)blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) out[i] = (float)codes[i];
}

// Row r of out is row ids[r] of `table` [.., width].
KERNEL gather_rows(const float* table, const u32* ids, float* out, u32 width) {
    u32 i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < width) out[(u64)blockIdx.y * width + i] = table[(u64)ids[blockIdx.y] * width + i];
}

// Row ids[r] of out is row r of `from`.
KERNEL scatter_rows(const float* from, const u32* ids, float* out, u32 width) {
    u32 i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < width) out[(u64)ids[blockIdx.y] * width + i] = from[(u64)blockIdx.y * width + i];
}
