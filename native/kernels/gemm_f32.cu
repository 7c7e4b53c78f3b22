// C = A B in f32 at four tile shapes; the caller picks by m and n, the bits are the same.
// Scalar twin: gemm::gemm (core/src/gemm/mod.rs); with from_zero: attribution::gemm::multiply.
// grid (ceil(n / BN), ceil(m / BM), batch), block 256. Batches lie za, zb, zc floats apart. With `split`, batch z is
// block z of the sum over k instead: C gets one partial product a block, which add_blocks joins in order.
#include "gemm.cuh"

#define GEMM(NAME, PRODUCT, BLOCKS, BM, BN, TM, TN, BK, HOIST)                                                            \
    KERNEL __launch_bounds__(256, BLOCKS)                                                                      \
        NAME(const float* a, const float* b, float* c, u32 m, u32 n, u32 k, u64 ai, u64 ak, u64 bj, u64 bk,    \
             u64 ldc, u32 from_zero, u32 split, u64 za, u64 zb, u64 zc) {                                      \
        u64 z = blockIdx.z;                                                                                    \
        u32 kz = split ? least(BLOCK_K, k - blockIdx.z * BLOCK_K) : k;                                         \
        PRODUCT<BM, BN, TM, TN, BK, HOIST>(a + z * za, b + z * zb, c + z * zc, m, n, kz, ai, ak, bj, bk, ldc, from_zero); \
    }

GEMM(gemm_f32_128x128, product_in_place, 2, 128, 128, 8, 8, 16, true)
GEMM(gemm_f32_64x64, product, 3, 64, 64, 4, 4, 16, false)
GEMM(gemm_f32_64x16, product, 4, 64, 16, 4, 1, 16, false)
GEMM(gemm_f32_16x64, product, 4, 16, 64, 1, 4, 16, false)

// C [m, ldc] = parts[0] + parts[1] + ..., each [m, n]. grid (ceil(n / 256), m), block 256.
KERNEL add_blocks(const float* parts, float* c, u32 n, u64 ldc, u32 count) {
    u32 j = blockIdx.x * blockDim.x + threadIdx.x;
    if (j >= n) return;
    const float* from = parts + (u64)blockIdx.y * n + j;
    float total = *from;
    for (u32 z = 1; z < count; z++) total = __fadd_rn(total, from[(u64)z * gridDim.y * n]);
    c[blockIdx.y * ldc + j] = total;
}
