// RMSNorm: y = (x * inv) * w, inv = 1 / sqrt(sum(x^2) / h + eps).
// With `added`, x += added comes first and stays: the residual stream between two operators.
// Scalar twins: ops::elementwise::add_into, ops::norm::rms_norm (core/src/ops/norm.rs). x, added, out [rows, h], inv [rows].
// With `q`, the rows also in int8, as quantise_i8.cu makes them: q [rows, h rounded up to 64], scales [blocks, rows].
// grid (rows), block 128: a chain of 256 squares a thread, then all threads scale.
#include "quantise.cuh"

// Longest row that is read through shared memory.
#define NEAR_WIDTH 4096u

KERNEL __launch_bounds__(128)
    rms_norm(float* x, const float* added, const float* w, float* out, float* inv, signed char* q, float* scales, u32 h,
             float eps) {
    __shared__ float sums[128u];
    __shared__ float shared_scale;
    __shared__ float near_row[NEAR_WIDTH];
    float* from = x + (u64)blockIdx.x * h;
    const float* row = h <= NEAR_WIDTH ? near_row : from;
    if (h <= NEAR_WIDTH || added != nullptr) {
        for (u32 i = threadIdx.x; i < h; i += 128u) {
            float value = from[i];
            if (added != nullptr) from[i] = value = __fadd_rn(value, added[(u64)blockIdx.x * h + i]);
            if (h <= NEAR_WIDTH) near_row[i] = value;
        }
        __syncthreads();
    }
    const u32 blocks = (h + BLOCK_K - 1) / BLOCK_K;
    float total = 0.0f;
    for (u32 b0 = 0; b0 < blocks; b0 += 128u) {
        u32 k0 = (b0 + threadIdx.x) * BLOCK_K;
        if (b0 + threadIdx.x < blocks) {
            float sum = 0.0f;
            u32 k1 = least(k0 + BLOCK_K, h);
#pragma unroll 16
            for (u32 k = k0; k < k1; k++) sum = fma_rn(row[k], row[k], sum);
            sums[threadIdx.x] = sum;
        }
        __syncthreads();
        if (threadIdx.x == 0)
            for (u32 b = 0; b < least(128u, blocks - b0); b++)
                total = b0 + b == 0 ? sums[b] : __fadd_rn(total, sums[b]);
        __syncthreads();
    }
    if (threadIdx.x == 0) {
        float mean = __fadd_rn(__fdiv_rn(total, (float)h), eps);
        shared_scale = __fdiv_rn(1.0f, __fsqrt_rn(mean));
        inv[blockIdx.x] = shared_scale;
    }
    __syncthreads();
    const u32 count = (h + 63) / 64;
    for (u32 block = threadIdx.x / 32; block < count; block += 4) {
        float value[2];
        for (u32 i = 0; i < 2; i++) {
            const u32 at = block * 64 + threadIdx.x % 32 * 2 + i;
            value[i] = at < h ? __fmul_rn(__fmul_rn(row[at], shared_scale), w[at]) : 0.0f;
            if (at < h) out[(u64)blockIdx.x * h + at] = value[i];
        }
        if (q != nullptr)
            quantise_block(value[0], value[1], q + ((u64)blockIdx.x * count + block) * 64,
                           scales + (u64)block * gridDim.x + blockIdx.x);
    }
}
