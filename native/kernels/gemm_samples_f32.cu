// Per-sample products over the rows of a batch: G_z = sum over the rows of sample z of s^T a, where sample
// z owns rows starts[z] .. starts[z + 1]. Either every G_z is written (attribution: c + z * zc), or their
// sum in sample order, on top of what C holds (training: DESIGN 6, rule 6).
// Scalar twins: train::lora::outer and the sum in train_lora; attribution::whiten::gradient (from_zero).
// s [rows, lds] of m columns, a [rows, lda] of n columns, C [m, ldc].
// grid (ceil(n / BN), ceil(m / BM), samples or 1), block 256.
#include "gemm.cuh"

template <u32 BM, u32 BN, u32 TM, u32 TN>
DEVICE void samples(const float* s, const float* a, float* c, const u32* starts, u32 count, u32 m, u32 n,
                    u64 lds, u64 lda, u64 ldc, u32 from_zero, u32 added, u64 zc) {
    const u32 row0 = blockIdx.y * BM, col0 = blockIdx.x * BN;
    const u32 ty = down(), tx = across();
    Operand left = operand(s, 1, lds, m), right = operand(a, 1, lda, n);
    float all[TM][TN];
    for (u32 i = 0; i < TM; i++)
        for (u32 j = 0; j < TN; j++) {
            u32 row = row0 + place<BM, TM>(ty, i), col = col0 + place<BN, TN>(tx, j);
            all[i][j] = added && row < m && col < n ? c[row * ldc + col] : 0.0f;
        }
    u32 z0 = added ? 0 : blockIdx.z, z1 = added ? count : blockIdx.z + 1;
    for (u32 z = z0; z < z1; z++) {
        float one[TM][TN];
        bool first = !from_zero;
        for (u32 i = 0; i < TM; i++)
            for (u32 j = 0; j < TN; j++) one[i][j] = 0.0f;
        chains<BM, BN, TM, TN>(left, right, row0, col0, starts[z], starts[z + 1], [&](float (&acc)[TM][TN]) {
#pragma unroll
            for (u32 i = 0; i < TM; i++)
#pragma unroll
                for (u32 j = 0; j < TN; j++)
                    one[i][j] = first ? acc[i][j] : __fadd_rn(one[i][j], acc[i][j]);
            first = false;
        });
#pragma unroll
        for (u32 i = 0; i < TM; i++)
#pragma unroll
            for (u32 j = 0; j < TN; j++) all[i][j] = added ? __fadd_rn(all[i][j], one[i][j]) : one[i][j];
    }
    float* to = c + (added ? 0 : blockIdx.z * zc);
    for (u32 i = 0; i < TM; i++) {
        u32 row = row0 + place<BM, TM>(ty, i);
        for (u32 j = 0; j < TN; j++) {
            u32 col = col0 + place<BN, TN>(tx, j);
            if (row < m && col < n) to[row * ldc + col] = all[i][j];
        }
    }
}

#define SAMPLES(NAME, BM, BN, TM, TN)                                                                     \
    KERNEL __launch_bounds__(256)                                                                         \
        NAME(const float* s, const float* a, float* c, const u32* starts, u32 count, u32 m, u32 n, u64 lds, \
             u64 lda, u64 ldc, u32 from_zero, u32 added, u64 zc) {                                        \
        samples<BM, BN, TM, TN>(s, a, c, starts, count, m, n, lds, lda, ldc, from_zero, added, zc);       \
    }

SAMPLES(gemm_samples_f32_64x64, 64, 64, 4, 4)
SAMPLES(gemm_samples_f32_64x16, 64, 16, 4, 1)
SAMPLES(gemm_samples_f32_16x64, 16, 64, 1, 4)
