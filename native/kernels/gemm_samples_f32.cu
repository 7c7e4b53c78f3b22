// Per-sample products over the rows of a batch: G_z = sum over the rows of sample z of s^T a, where sample
// z owns rows starts[z] .. starts[z + 1]. Training adds them up in sample order (DESIGN 6, rule 6), attribution
// keeps each.
// Scalar twins: train::lora::outer and the sum in train::lora; attribution::whiten::gradient (from_zero).
// s [rows, lds] of m columns, a [rows, lda] of n columns, C [samples][m, ldc], zc floats apart.
// grid (ceil(n / BN), ceil(m / BM), samples), block 256.
#include "gemm.cuh"

#define SAMPLES(NAME, BM, BN, TM, TN)                                                                         \
    KERNEL __launch_bounds__(256)                                                                             \
        NAME(const float* s, const float* a, float* c, const u32* starts, u32 m, u32 n, u64 lds, u64 lda, u64 ldc, \
             u32 from_zero, u64 zc) {                                                                         \
        u32 from = starts[blockIdx.z], to = starts[blockIdx.z + 1];                                           \
        product<BM, BN, TM, TN, 16, false>(s + from * lds, a + from * lda, c + blockIdx.z * zc, m, n, to - from, 1, \
                                           lds, 1, lda, ldc, from_zero);                                      \
    }

SAMPLES(gemm_samples_f32_64x64, 64, 64, 4, 4)
SAMPLES(gemm_samples_f32_64x16, 64, 16, 4, 1)
SAMPLES(gemm_samples_f32_16x64, 16, 64, 1, 4)

// C [m, ldc] += parts[0], then parts[1], ..., each [m, n]. grid (ceil(n / 256), m), block 256.
KERNEL add_samples(const float* parts, float* c, u32 n, u64 ldc, u32 count) {
    u32 j = blockIdx.x * blockDim.x + threadIdx.x;
    if (j >= n) return;
    float total = c[blockIdx.y * ldc + j];
    for (u32 z = 0; z < count; z++) total = __fadd_rn(total, parts[((u64)z * gridDim.y + blockIdx.y) * n + j]);
    c[blockIdx.y * ldc + j] = total;
}
