// dx += inv * (dy w) - x * (sum(dy w x) * inv^3 / h).
// Scalar twin: ops::norm::rms_norm_backward (core/src/ops/norm.rs). dy, x, dx [rows, h], inv [rows].
// grid (rows), block 128: a chain of 256 a thread, then all threads add.
#include "common.cuh"


KERNEL __launch_bounds__(128)
    rms_norm_backward(const float* dy, const float* x, const float* w, const float* inv, float* dx, u32 h) {
    __shared__ float sums[128u];
    __shared__ float shared_pull;
    const u64 start = (u64)blockIdx.x * h;
    const float inverse = inv[blockIdx.x];
    const u32 blocks = (h + BLOCK_K - 1) / BLOCK_K;
    float total = 0.0f;
    for (u32 b0 = 0; b0 < blocks; b0 += 128u) {
        u32 k0 = (b0 + threadIdx.x) * BLOCK_K;
        if (b0 + threadIdx.x < blocks) {
            float sum = 0.0f;
            u32 k1 = least(k0 + BLOCK_K, h);
#pragma unroll 8
            for (u32 k = k0; k < k1; k++) sum = fma_rn(__fmul_rn(dy[start + k], w[k]), x[start + k], sum);
            sums[threadIdx.x] = sum;
        }
        __syncthreads();
        if (threadIdx.x == 0)
            for (u32 b = 0; b < least(128u, blocks - b0); b++)
                total = b0 + b == 0 ? sums[b] : __fadd_rn(total, sums[b]);
        __syncthreads();
    }
    if (threadIdx.x == 0) {
        float cube = __fmul_rn(__fmul_rn(inverse, inverse), inverse);
        shared_pull = __fdiv_rn(__fmul_rn(total, cube), (float)h);
    }
    __syncthreads();
    for (u32 i = threadIdx.x; i < h; i += 128u) {
        float along = __fmul_rn(x[start + i], shared_pull);
        float added = fma_rn(__fmul_rn(dy[start + i], w[i]), inverse, -along);
        dx[start + i] = __fadd_rn(dx[start + i], added);
    }
}
