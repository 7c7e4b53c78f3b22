// y = x W^T for few rows: what decoding does. Reading W is all the work, so the chains of one output (256
// long each) go to different warps and their sums are added in order.
// Scalar twin: gemm::gemm (core/src/gemm/mod.rs). x [m, ldx], w [n, ldw], y [m, ldy].
// grid (ceil(n / COLS), ceil(m / (32 / COLS * ROWS))), block 32 a warp, at most WARPS: each a chain at a time.
#include "chain.cuh"

template <u32 COLS, u32 ROWS, u32 WARPS>
DEVICE void rows(const float* x, const float* w, float* y, u32 m, u32 n, u32 k, u64 ldx, u64 ldw, u64 ldy) {
    constexpr u32 X = 32 / COLS * ROWS;
    __shared__ __align__(16) Near<COLS, ROWS> near[WARPS];
    __shared__ float sums[WARPS][X * COLS];
    __shared__ float totals[X * COLS];
    const u32 lane = threadIdx.x % 32, warp = threadIdx.x / 32, warps = blockDim.x / 32;
    const u32 row0 = blockIdx.y * X, col0 = blockIdx.x * COLS, blocks = (k + BLOCK_K - 1) / BLOCK_K;
    const u32 rows = least(X, m - row0), columns = least(COLS, n - col0);
    const bool wide = ldx % 4 == 0 && ldw % 4 == 0 && (((u64)x | (u64)w) & 15) == 0;
    const Chains chains = {x + row0 * ldx, w + col0 * ldw, ldx, ldw, rows, columns, wide};
    for (u32 b0 = 0; b0 < blocks; b0 += warps) {
        const u32 k0 = (b0 + warp) * BLOCK_K;
        if (k0 < k) {
            float acc[ROWS];
            chain_of<COLS, ROWS>(chains, k0, least(k0 + BLOCK_K, k), near[warp], acc);
#pragma unroll
            for (u32 r = 0; r < ROWS; r++)
                sums[warp][(lane / COLS * ROWS + r) * COLS + lane % COLS] = acc[r];
        }
        __syncthreads();
        for (u32 at = threadIdx.x; at < rows * COLS; at += blockDim.x) {
            float total = b0 == 0 ? sums[0][at] : __fadd_rn(totals[at], sums[0][at]);
            for (u32 b = 1; b < least(warps, blocks - b0); b++) total = __fadd_rn(total, sums[b][at]);
            totals[at] = total;
            const u32 row = at / COLS, column = at % COLS;
            if (b0 + warps >= blocks && column < columns) y[(row0 + row) * ldy + col0 + column] = total;
        }
        __syncthreads();
    }
}

#define GEMM_ROWS(NAME, COLS, ROWS, WARPS)                                                                                     \
    KERNEL __launch_bounds__(WARPS * 32)                                                                       \
        NAME(const float* x, const float* w, float* y, u32 m, u32 n, u32 k, u64 ldx, u64 ldw, u64 ldy) {            \
        rows<COLS, ROWS, WARPS>(x, w, y, m, n, k, ldx, ldw, ldy);                                                                \
    }
GEMM_ROWS(gemm_row_f32, 32, 1, 6)
GEMM_ROWS(gemm_rows4_f32, 8, 1, 6)
GEMM_ROWS(gemm_rows8_f32, 8, 2, 5)
