// RMSNorm: y = (x * inv) * w, inv = 1 / sqrt(sum(x^2) / h + eps).
// With `added`, x += added comes first and stays: the residual stream between two operators.
// Scalar twins: ops::elementwise::add_into, ops::norm::rms_norm (core/src/ops/norm.rs). x, added, out [rows, h], inv [rows].
// With `q`, the rows also in int8, as quantise_i8.cu makes them: q [rows, h rounded up to 64], scales [blocks, rows].
// grid (rows), block 128: a chain of 256 squares a thread, then all threads scale. A row alone is all waiting, so what is
// read is asked for together and early.
#include "quantise.cuh"

// Longest row that is read through shared memory, where chains start four floats apart in the banks.
#define NEAR_WIDTH 4096u
// Values a thread asks for at once, and blocks of 64 that a warp does.
#define AT_ONCE 8u
#define BLOCKS_AT_ONCE 4u

DEVICE u32 near_at(u32 i) { return i + i / BLOCK_K * 4; }

// sum + the squares of `count` values.
DEVICE float chain_of_squares(const float* from, u32 count, float sum) {
    u32 k = 0;
    for (; k + 4 * AT_ONCE <= count; k += 4 * AT_ONCE) {
        float4 v[AT_ONCE];
#pragma unroll
        for (u32 i = 0; i < AT_ONCE; i++) v[i] = *(const float4*)(from + k + 4 * i);
#pragma unroll
        for (u32 i = 0; i < AT_ONCE; i++) {
            sum = fma_rn(v[i].x, v[i].x, sum);
            sum = fma_rn(v[i].y, v[i].y, sum);
            sum = fma_rn(v[i].z, v[i].z, sum);
            sum = fma_rn(v[i].w, v[i].w, sum);
        }
    }
    for (; k < count; k++) sum = fma_rn(from[k], from[k], sum);
    return sum;
}

KERNEL __launch_bounds__(128)
    rms_norm(float* x, const float* added, const float* w, float* out, float* inv, signed char* q, float* scales, u32 h,
             float eps) {
    __shared__ float sums[128u];
    __shared__ float shared_scale;
    __shared__ __align__(16) float near_row[NEAR_WIDTH + NEAR_WIDTH / BLOCK_K * 4];
    float* from = x + (u64)blockIdx.x * h;
    const float* other = added + (u64)blockIdx.x * h;
    const bool near = h <= NEAR_WIDTH;
    const u32 count = (h + 63) / 64, lane = threadIdx.x % 32;
    float weight[BLOCKS_AT_ONCE][2];
    auto weigh = [&](u32 block0) {
#pragma unroll
        for (u32 b = 0; b < BLOCKS_AT_ONCE; b++)
#pragma unroll
            for (u32 i = 0; i < 2; i++) {
                const u32 at = (block0 + 4 * b) * 64 + lane * 2 + i;
                weight[b][i] = at < h ? w[at] : 0.0f;
            }
    };
    weigh(threadIdx.x / 32);
    if (near || added != nullptr) {
        for (u32 i0 = threadIdx.x; i0 < h; i0 += 128u * AT_ONCE) {
            float value[AT_ONCE], more[AT_ONCE];
#pragma unroll
            for (u32 e = 0; e < AT_ONCE; e++) {
                const u32 i = i0 + 128u * e;
                value[e] = i < h ? from[i] : 0.0f;
                more[e] = i < h && added != nullptr ? other[i] : 0.0f;
            }
#pragma unroll
            for (u32 e = 0; e < AT_ONCE; e++) {
                const u32 i = i0 + 128u * e;
                if (i >= h) continue;
                if (added != nullptr) from[i] = value[e] = __fadd_rn(value[e], more[e]);
                if (near) near_row[near_at(i)] = value[e];
            }
        }
        __syncthreads();
    }
    const u32 blocks = (h + BLOCK_K - 1) / BLOCK_K;
    float total = 0.0f;
    for (u32 b0 = 0; b0 < blocks; b0 += 128u) {
        const u32 k0 = (b0 + threadIdx.x) * BLOCK_K;
        if (k0 < h) {
            const u32 length = least(BLOCK_K, h - k0);
            float sum = 0.0f;
            if (near) {
                sum = chain_of_squares(near_row + near_at(k0), length, sum);
            } else {
#pragma unroll 16
                for (u32 k = k0; k < k0 + length; k++) sum = fma_rn(from[k], from[k], sum);
            }
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
    for (u32 block0 = threadIdx.x / 32; block0 < count; block0 += 4 * BLOCKS_AT_ONCE) {
        if (block0 >= 4 * BLOCKS_AT_ONCE) weigh(block0);
#pragma unroll
        for (u32 b = 0; b < BLOCKS_AT_ONCE; b++) {
            const u32 block = block0 + 4 * b;
            if (block >= count) break;
            float value[2];
            for (u32 i = 0; i < 2; i++) {
                const u32 at = block * 64 + lane * 2 + i;
                const float v = at < h ? (near ? near_row[near_at(at)] : from[at]) : 0.0f;
                value[i] = at < h ? __fmul_rn(__fmul_rn(v, shared_scale), weight[b][i]) : 0.0f;
                if (at < h) out[(u64)blockIdx.x * h + at] = value[i];
            }
            if (q != nullptr)
                quantise_block(value[0], value[1], q + ((u64)blockIdx.x * count + block) * 64,
                               scales + (u64)block * gridDim.x + blockIdx.x);
        }
    }
}
