// C = A B in f32 at several tile shapes; the caller picks by m and n, the bits are the same.
// Scalar twin: gemm::gemm (core/src/gemm/mod.rs); with from_zero: attribution::gemm::multiply.
// grid (ceil(n / BN), ceil(m / BM), batch), block BM / TM * BN / TN. Batches lie za, zb, zc floats apart.
// With `split`, batch z is block z of the sum over k instead: C gets one partial product a block, zc apart, and who
// writes a tile's last one joins all of them in order in `whole` [m, ldw]; `tickets` counts, one a tile, and is zero again.
#include "gemm.cuh"

template <u32 BM, u32 BN, u32 THREADS>
NOINLINE void join(const float* parts, float* whole, u32 m, u32 n, u64 apart, u64 ldw, u32* tickets) {
    __shared__ u32 before;
    u32* ticket = tickets + blockIdx.y * gridDim.x + blockIdx.x;
    __threadfence();
    __syncthreads();
    if (threadIdx.x == 0) before = atomicAdd(ticket, 1u);
    __syncthreads();
    if (before + 1 < gridDim.z) return;
    __threadfence();
    if (threadIdx.x == 0) *ticket = 0;
    // All of a block's reads are on their way at once.
    constexpr u32 QUADS = BM * BN / 4 / THREADS;
    const bool wide = n % 4 == 0 && ldw % 4 == 0 && ((u64)whole & 15) == 0;
    float4 total[QUADS];
    for (u32 z = 0; z < gridDim.z; z++) {
#pragma unroll
        for (u32 i = 0; i < QUADS; i++) {
            const u32 at = (threadIdx.x + i * THREADS) * 4, row = blockIdx.y * BM + at / BN, col = blockIdx.x * BN + at % BN;
            const float* from = parts + z * apart + (u64)row * n + col;
            float4 v = {0.0f, 0.0f, 0.0f, 0.0f};
            if (row < m && wide && col < n) v = __ldcg((const float4*)from);
            if (row < m && !wide) {
                if (col < n) v.x = __ldcg(from);
                if (col + 1 < n) v.y = __ldcg(from + 1);
                if (col + 2 < n) v.z = __ldcg(from + 2);
                if (col + 3 < n) v.w = __ldcg(from + 3);
            }
            const float4 t = total[i];
            total[i] = v;
            if (z > 0) total[i] = {__fadd_rn(t.x, v.x), __fadd_rn(t.y, v.y), __fadd_rn(t.z, v.z), __fadd_rn(t.w, v.w)};
        }
    }
#pragma unroll
    for (u32 i = 0; i < QUADS; i++) {
        const u32 at = (threadIdx.x + i * THREADS) * 4, row = blockIdx.y * BM + at / BN, col = blockIdx.x * BN + at % BN;
        if (row >= m) continue;
        float* to = whole + row * ldw + col;
        if (wide && col < n) *(float4*)to = total[i];
        if (wide) continue;
        if (col < n) to[0] = total[i].x;
        if (col + 1 < n) to[1] = total[i].y;
        if (col + 2 < n) to[2] = total[i].z;
        if (col + 3 < n) to[3] = total[i].w;
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
