// AdamW and SGD with decoupled weight decay, and the squares that clipping measures.
// Scalar twins: train::optimizer (core/src/train/optimizer.rs). grid (ceil(n / 256)), block 256.
#include "common.cuh"

// beta1, beta2, 1 - beta1, 1 - beta2; then the two bias corrections.
KERNEL adamw(float* p, const float* g, float* m, float* v, u64 n, float beta1, float beta2, float rest1, float rest2,
             float correction1, float correction2, float eps, float rate, float decay) {
    u64 i = (u64)blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    float first = fma_rn(beta1, m[i], __fmul_rn(rest1, g[i]));
    float second = fma_rn(beta2, v[i], __fmul_rn(rest2, __fmul_rn(g[i], g[i])));
    m[i] = first;
    v[i] = second;
    float root = __fadd_rn(__fsqrt_rn(__fmul_rn(second, correction2)), eps);
    float update = __fdiv_rn(__fmul_rn(first, correction1), root);
    p[i] = fma_rn(-rate, fma_rn(decay, p[i], update), p[i]);
}

KERNEL sgd(float* p, const float* g, u64 n, float rate, float decay) {
    u64 i = (u64)blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) p[i] = fma_rn(-rate, fma_rn(decay, p[i], g[i]), p[i]);
}

// sums[b] = the chain of squares of block b of 256. grid (ceil(blocks / 64)), block 64.
KERNEL squares(const float* values, float* sums, u64 n) {
    u64 b = (u64)blockIdx.x * blockDim.x + threadIdx.x;
    if (b * BLOCK_K >= n) return;
    u64 end = (b + 1) * BLOCK_K < n ? (b + 1) * BLOCK_K : n;
    float sum = 0.0f;
    for (u64 i = b * BLOCK_K; i < end; i++) sum = fma_rn(values[i], values[i], sum);
    sums[b] = sum;
}
