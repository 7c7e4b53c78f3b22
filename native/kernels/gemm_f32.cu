// C = A B in f32 at several tile shapes; the caller picks by m and n, the bits are the same.
// Scalar twin: gemm::gemm (core/src/gemm/mod.rs); with from_zero: attribution::gemm::multiply.
// grid (ceil(n / BN), ceil(m / BM), batch), block BM / TM * BN / TN. Batches lie za, zb, zc floats apart.
// With `split`, batch z is block z of the sum over k instead: C gets one partial product a block, zc apart, and who
// writes a tile's last one joins all of them in order in `whole` [m, ldw]; `tickets` counts, one a tile, and is zero again.
#include "gemm.cuh"

template <u32 BM, u32 BN, u32 THREADS>
DEVICE void join(const float* parts, float* whole, u32 m, u32 n, u64 apart, u64 ldw, u32* tickets) {
    __shared__ u32 before;
    u32* ticket = tickets + blockIdx.y * gridDim.x + blockIdx.x;
    __threadfence();
    __syncthreads();
    if (threadIdx.x == 0) before = atomicAdd(ticket, 1u);
    __syncthreads();
    if (before + 1 < gridDim.z) return;
    __threadfence();
    if (threadIdx.x == 0) *ticket = 0;
    for (u32 at = threadIdx.x; at < BM * BN; at += THREADS) {
        const u32 row = blockIdx.y * BM + at / BN, col = blockIdx.x * BN + at % BN;
        if (row >= m || col >= n) continue;
        const float* from = parts + (u64)row * n + col;
        float total = __ldcg(from);
        for (u32 z = 1; z < gridDim.z; z++) total = __fadd_rn(total, __ldcg(from + z * apart));
        whole[row * ldw + col] = total;
    }
}

#define GEMM(NAME, PRODUCT, BLOCKS, BM, BN, TM, TN, BK, HOIST)                                                            \
    KERNEL __launch_bounds__(BM / TM * (BN / TN), BLOCKS)                                                      \
        NAME(const float* a, const float* b, float* c, u32 m, u32 n, u32 k, u64 ai, u64 ak, u64 bj, u64 bk,    \
             u64 ldc, u32 from_zero, u32 split, u64 za, u64 zb, u64 zc, float* whole, u64 ldw, u32* tickets) { \
        u64 z = blockIdx.z;                                                                                    \
        u32 kz = split ? least(BLOCK_K, k - blockIdx.z * BLOCK_K) : k;                                         \
        PRODUCT<BM, BN, TM, TN, BK, HOIST>(a + z * za, b + z * zb, c + z * zc, m, n, kz, ai, ak, bj, bk, ldc, from_zero); \
        if (split) join<BM, BN, BM / TM * (BN / TN)>(c, whole, m, n, zc, ldw, tickets);                        \
    }

GEMM(gemm_f32_128x128, product_in_place, 2, 128, 128, 8, 8, 16, true)
GEMM(gemm_f32_64x16, product, 4, 64, 16, 4, 1, 16, false)
GEMM(gemm_f32_16x64, product, 4, 16, 64, 1, 4, 16, false)
GEMM(gemm_f32_16x128, product, 4, 16, 128, 4, 4, 16, false)
GEMM(gemm_f32_32x64, product, 4, 32, 64, 4, 4, 32, false)
GEMM(gemm_f32_32x128, product, 3, 32, 128, 8, 4, 16, false)
