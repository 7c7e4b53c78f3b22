// y = x W^T for few rows: what decoding does. Reading W is all the work, so the chains of one output (256
// long each) go to different warps and their sums are added in order.
// Scalar twin: gemm::gemm (core/src/gemm/mod.rs). x [m, k], w [n, k] rows, y [m, ldy].
// grid (ceil(n / 32), ceil(m / 8)), block 256: 8 chains at a time, 32 columns, up to 8 rows.
#include "common.cuh"

#define ROWS_MAX 8u

template <u32 ROWS>
DEVICE void chain(const float* x, const float* w, u64 ldx, u32 k0, u32 k1, bool wide, float (*sum)[32]) {
    float acc[ROWS];
#pragma unroll
    for (u32 r = 0; r < ROWS; r++) acc[r] = 0.0f;
    u32 k = k0;
    if (wide) {
#pragma unroll 8
        for (; k + 4 <= k1; k += 4) {
            float4 v = *(const float4*)(w + k);
#pragma unroll
            for (u32 r = 0; r < ROWS; r++) {
                float4 u = *(const float4*)(x + r * ldx + k);
                acc[r] = fma_rn(u.x, v.x, acc[r]);
                acc[r] = fma_rn(u.y, v.y, acc[r]);
                acc[r] = fma_rn(u.z, v.z, acc[r]);
                acc[r] = fma_rn(u.w, v.w, acc[r]);
            }
        }
    }
    for (; k < k1; k++)
#pragma unroll
        for (u32 r = 0; r < ROWS; r++) acc[r] = fma_rn(x[r * ldx + k], w[k], acc[r]);
#pragma unroll
    for (u32 r = 0; r < ROWS; r++) sum[r][threadIdx.x % 32] = acc[r];
}

KERNEL __launch_bounds__(256)
    gemm_rows_f32(const float* x, const float* w, float* y, u32 m, u32 n, u32 k, u64 ldx, u64 ldw, u64 ldy) {
    __shared__ float sums[8][ROWS_MAX][32];
    const u32 lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    const u32 row0 = blockIdx.y * ROWS_MAX, col = blockIdx.x * 32 + lane;
    const u32 rows = least(ROWS_MAX, m - row0), blocks = (k + BLOCK_K - 1) / BLOCK_K;
    const bool wide = ldx % 4 == 0 && ldw % 4 == 0 && (((u64)x | (u64)w) & 15) == 0;
    // Columns past the end read the last one and are not written.
    const float* from = w + (u64)(col < n ? col : n - 1) * ldw;
    const float* left = x + row0 * ldx;
    const u32 row = warp;
    float total = 0.0f;
    for (u32 b0 = 0; b0 < blocks; b0 += 8) {
        u32 k0 = (b0 + warp) * BLOCK_K, k1 = least(k0 + BLOCK_K, k);
        if (b0 + warp < blocks) {
            switch (rows) {
                case 1: chain<1>(left, from, ldx, k0, k1, wide, sums[warp]); break;
                case 2: chain<2>(left, from, ldx, k0, k1, wide, sums[warp]); break;
                case 3: chain<3>(left, from, ldx, k0, k1, wide, sums[warp]); break;
                case 4: chain<4>(left, from, ldx, k0, k1, wide, sums[warp]); break;
                case 5: chain<5>(left, from, ldx, k0, k1, wide, sums[warp]); break;
                case 6: chain<6>(left, from, ldx, k0, k1, wide, sums[warp]); break;
                case 7: chain<7>(left, from, ldx, k0, k1, wide, sums[warp]); break;
                default: chain<8>(left, from, ldx, k0, k1, wide, sums[warp]);
            }
        }
        __syncthreads();
        if (row < rows)
            for (u32 b = 0; b < least(8, blocks - b0); b++)
                total = b0 + b == 0 ? sums[b][row][lane] : __fadd_rn(total, sums[b][row][lane]);
        __syncthreads();
    }
    if (row < rows && col < n) y[(row0 + row) * ldy + col] = total;
}
