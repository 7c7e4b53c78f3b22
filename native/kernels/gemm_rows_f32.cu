// y = x W^T for few rows: what decoding does. Reading W is all the work, so the chains of one output (256
// long each) go to different warps and their sums are added in order.
// Scalar twin: gemm::gemm (core/src/gemm/mod.rs). x [m, ldx], w [n, ldw], y [m, ldy].
// grid (ceil(n / 32), ceil(m / ROWS)), block 32 a warp, at most WARPS: each a chain at a time, 32 columns.
#include "chain.cuh"

template <u32 ROWS, u32 WARPS>
DEVICE void rows(const float* x, const float* w, float* y, u32 m, u32 n, u32 k, u64 ldx, u64 ldw, u64 ldy) {
    __shared__ __align__(16) Near<32, ROWS> near[WARPS];
    __shared__ float sums[WARPS][ROWS][32];
    __shared__ float totals[ROWS][32];
    const u32 lane = threadIdx.x % 32, warp = threadIdx.x / 32, warps = blockDim.x / 32;
    const u32 row0 = blockIdx.y * ROWS, col0 = blockIdx.x * 32;
    const u32 rows = least(ROWS, m - row0), blocks = (k + BLOCK_K - 1) / BLOCK_K, columns = least(32, n - col0);
    const bool wide = ldx % 4 == 0 && ldw % 4 == 0 && (((u64)x | (u64)w) & 15) == 0;
    const Chains chains = {x + row0 * ldx, w + col0 * ldw, ldx, ldw, rows, columns, wide};
    for (u32 b0 = 0; b0 < blocks; b0 += warps) {
        const u32 k0 = (b0 + warp) * BLOCK_K;
        if (k0 < k) {
            float acc[ROWS];
            chain_of<32, ROWS>(chains, k0, least(k0 + BLOCK_K, k), near[warp], acc);
#pragma unroll
            for (u32 r = 0; r < ROWS; r++) sums[warp][r][lane] = acc[r];
        }
        __syncthreads();
        for (u32 r = warp; r < rows; r += warps) {
            float total = b0 == 0 ? sums[0][r][lane] : __fadd_rn(totals[r][lane], sums[0][r][lane]);
            for (u32 b = 1; b < least(warps, blocks - b0); b++) total = __fadd_rn(total, sums[b][r][lane]);
            totals[r][lane] = total;
        }
        __syncthreads();
    }
    for (u32 r = warp; r < rows; r += warps)
        if (lane < columns) y[(row0 + r) * ldy + col0 + lane] = totals[r][lane];
}

#define GEMM_ROWS(NAME, ROWS, WARPS)                                                                                \
    KERNEL __launch_bounds__(WARPS * 32)                                                                            \
        NAME(const float* x, const float* w, float* y, u32 m, u32 n, u32 k, u64 ldx, u64 ldw, u64 ldy) {            \
        rows<ROWS, WARPS>(x, w, y, m, n, k, ldx, ldw, ldy);                                                         \
    }
GEMM_ROWS(gemm_row_f32, 1, 6)
GEMM_ROWS(gemm_rows4_f32, 4, 6)
GEMM_ROWS(gemm_rows8_f32, 8, 6)
